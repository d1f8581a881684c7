"""The health of servers in this run: a failure that one file or listing saw spares the next one the wait."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_REST_CAP = 60.0
_GIVEN_UP = 30.0  # seconds for which no other file tries as long as the one that gave up …
_OUTAGE = 15.0  # … where the server had been away for so long: one that is only restarted must not cost a run its files
_JUST_NOW = 30.0  # seconds


@dataclass(frozen=True, slots=True)
class Rest:
    """For how long others go first, because something failed: longer each time, to a cap.

    Attributes:
        failures: How often it failed since it last worked.
        until: When the rest ends.
    """

    failures: int = 0
    until: float = 0.0

    def failed(self, now: float, wait: float = 0.0) -> "Rest":
        """Return the rest after a failure, at least so long; connections that break together count once."""
        rest = self
        if now >= self.until:
            rest = Rest(self.failures + 1, now + min(_REST_CAP, 2.0**self.failures))
        return Rest(rest.failures, max(rest.until, now + wait))

    def left(self, now: float) -> float:
        """Return the seconds until it ends."""
        return max(0.0, self.until - now)


@dataclass(slots=True)
class _Record:
    since: float
    rest: Rest = field(default_factory=Rest)
    given_up: float = float("-inf")


@dataclass(slots=True)
class Hosts:
    """The health of each server. Thread-safe.

    Attributes:
        clock: Seconds, monotonic.
    """

    clock: Callable[[], float] = time.monotonic  # a callable, so that tests need not wait for minutes
    _records: dict[str, _Record] = field(default_factory=dict)
    _served: set[str] = field(default_factory=set)
    _brought: dict[str, float] = field(default_factory=dict)
    _hurried: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def failed(self, label: str) -> None:
        """Note that a server failed; of those that see the same failure, one counts."""
        with self._lock:
            now = self.clock()
            record = self._records.setdefault(_host(label), _Record(now))
            record.rest = record.rest.failed(now)

    def gave_up(self, label: str) -> None:
        """Note that a file or listing used up its tries at a server without receiving a byte."""
        with self._lock:
            now = self.clock()
            self._records.setdefault(_host(label), _Record(now)).given_up = now

    def worked(self, label: str) -> None:
        """Note that a server served what it was asked for; an error status is not an answer."""
        host = _host(label)
        with self._lock:
            self._served.add(host)
            self._records.pop(host, None)

    def brought(self, label: str) -> None:
        """Note that bytes of a file came; the failures of a server are forgotten when :meth:`worked` says so."""
        host = _host(label)
        with self._lock:
            self._served.add(host)
            self._brought[host] = self.clock()

    def served(self, label: str) -> bool:
        """Whether a server has served a listing or bytes in this run."""
        return _host(label) in self._served

    def brings(self, label: str) -> bool:
        """Whether bytes of some file came from a server just now."""
        return self.clock() - self._brought.get(_host(label), float("-inf")) < _JUST_NOW

    def rest(self, label: str) -> float:
        """Return for how many seconds others should be asked first."""
        with self._lock:
            record = self._records.get(_host(label))
            return record.rest.left(self.clock()) if record is not None else 0.0

    @contextmanager
    def hurried(self) -> Iterator[None]:
        """Limit every listing to one try while the block runs: its answer helps, and the work can do without."""
        with self._lock:
            self._hurried += 1
        try:
            yield
        finally:
            with self._lock:
                self._hurried -= 1

    @property
    def hurries(self) -> bool:
        """Whether one try of a listing is enough."""
        return self._hurried > 0

    def hopeless(self, label: str) -> bool:
        """Whether one try is enough, because all tries were just made there in vain."""
        with self._lock:
            record = self._records.get(_host(label))
            if record is None:
                return False
            now = self.clock()
            return now - record.given_up < _GIVEN_UP and now - record.since >= _OUTAGE


def _host(label: str) -> str:
    """Return the server in the label of an origin."""
    try:
        return urlsplit(label).netloc or label
    except ValueError:  # a plugin's own words need not be a URL
        return label
