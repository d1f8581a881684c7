"""Remember which locations serve ranges and which refuse them, so that each is found out once."""

import time
from dataclasses import dataclass, field
from enum import Enum, auto
from threading import Lock

from modelpm.errors import Code, ModelpmError, Unavailable
from modelpm.http.failures import closed_early

_MOST = 1024
# The answers of firewalls and simple servers to a request because it has a Range.
_STATUSES = frozenset({400, 403, 405, 501})
# A refusal that says more than its status is about something else.
_UNEXPLAINED = frozenset({Code.DENIED, Code.EXPIRED, Code.HTTP_STATUS, Code.NETWORK})


class Kind(Enum):
    """The facts about one location."""

    SERVES = auto()  # a range was answered
    REFUSES = auto()  # a range was refused, and the whole file was served


@dataclass(slots=True)
class Ranging:
    """The facts about locations and ranges. Thread-safe."""

    _kinds: dict[str, Kind] = field(default_factory=dict)
    _resets: dict[str, float] = field(default_factory=dict)  # when a connection broke before the answer
    _lock: Lock = field(default_factory=Lock)

    def of(self, location: str) -> Kind | None:
        """Return what is known of a location."""
        with self._lock:
            return self._kinds.get(location)

    def note(self, location: str, kind: Kind | None) -> None:
        """Take note of what a location did; None forgets it, so that ranges are tried again."""
        with self._lock:
            if len(self._kinds) >= _MOST:
                self._kinds.clear()
                self._resets.clear()
            self._resets.pop(location, None)
            if kind is None:
                self._kinds.pop(location, None)
            else:
                self._kinds[location] = kind

    def may_refuse(self, location: str, error: ModelpmError, began: float) -> bool:
        """Tell whether a request may have failed only because it had a range.

        A location that served a range refuses for another reason. A connection that breaks before the answer counts
        where it is the second in a row: one may be chance, and those that break together are one.

        Args:
            location: What was asked.
            error: How it failed.
            began: When it was asked, by the monotonic clock.
        """
        if error.code not in _UNEXPLAINED or self.of(location) is Kind.SERVES:
            return False
        if error.details.get("status") in _STATUSES:
            return True
        cause = error.__cause__
        if not isinstance(error, Unavailable) or not error.unanswered or cause is None or not closed_early(cause):
            return False
        with self._lock:
            before = self._resets.setdefault(location, time.monotonic())
            return before < began
