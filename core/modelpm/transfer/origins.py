"""Choose the origin of a file to ask next: in the order given, except for those that rest or are excluded."""

import threading
from dataclasses import dataclass, field

from modelpm.errors import ModelpmError, NotFound
from modelpm.network.health import Hosts, Rest
from modelpm.transfer.model import Fetch, Origin


@dataclass(slots=True)
class _Health:
    rest: Rest = field(default_factory=Rest)
    excluded: ModelpmError | None = None  # why it is not asked again
    suspect: bool = False  # it sent wrong bytes


@dataclass(frozen=True, slots=True)
class OriginChoice:
    """An origin to ask now.

    Attributes:
        origin: Which.
        round: How many times the origins had been located by then.
    """

    origin: Origin
    round: int


@dataclass(slots=True)
class Origins:
    """The origins of one file and how they fared. Thread-safe.

    Where no digest is promised, the first that is left is asked, however it fares: nothing proves that another one has
    the same bytes.

    Attributes:
        fetch: The file, which locates them.
        hosts: How servers fared with other files.
        last_sender: Label of the origin that sent bytes last; empty if none did.
    """

    fetch: Fetch
    hosts: Hosts
    last_sender: str = ""
    _senders: set[str] = field(default_factory=set)  # labels of those that sent the bytes that are present
    _located: tuple[Origin, ...] = ()
    _round: int = 0
    _health: dict[str, _Health] = field(default_factory=dict)
    _distrust_mirrors: bool = False  # wrong bytes arrived: mirrors are asked last
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _locating: threading.Lock = field(default_factory=threading.Lock)

    def choose(self) -> OriginChoice:
        """Return the first origin that is well, else the one that failed least often, or whose rest ends first.

        Raises:
            ModelpmError: ``locate`` failed, or no origin is left; then why the first of them was excluded.
        """
        if not self._round:
            self.relocate(0)
        with self._lock:
            origin = self._next()
            if origin is None:
                raise self._nothing_left()
            return OriginChoice(origin, self._round)

    def relocate(self, round_: int) -> None:
        """Locate the origins again; of several connections whose location of one round expired, one does it."""
        with self._locating:
            if self._round == round_:
                located = self._locate()
                with self._lock:
                    self._located, self._round = located, self._round + 1

    def failed(self, origin: Origin, wait: float) -> None:
        """Make an origin rest at least ``wait`` seconds, longer each time; connections that fail together are one."""
        self.hosts.failed(origin.label)
        with self._lock:
            health = self._of(origin)
            health.rest = health.rest.failed(self.hosts.clock(), wait)

    def has_fresh(self) -> bool:
        """Whether the origin to ask next has not failed since it last worked.

        An origin whose rest is over is not fresh: where every failure takes long, there would always be one.
        """
        with self._lock:
            origin = None if self._in_order else self._next()
            return origin is not None and not self._of(origin).rest.failures

    def all_given_up(self) -> bool:
        """Whether other files have just given up the servers of all origins that are left."""
        with self._lock:
            return all(self.hosts.hopeless(o.label) for o in self._left())

    def worked(self, origin: Origin) -> None:
        """Record that an origin works: its failures are forgotten."""
        self.hosts.worked(origin.label)
        with self._lock:
            self._of(origin).rest = Rest()

    def sent(self, origin: Origin) -> None:
        """Record that an origin sent bytes."""
        self.last_sender = origin.label
        self._senders.add(origin.label)

    def has_sent(self, origin: Origin) -> bool:
        """Whether an origin sent some of the bytes that are present."""
        return origin.label in self._senders

    def exclude(self, origin: Origin, error: ModelpmError) -> bool:
        """Never ask an origin again; return whether another one is left."""
        with self._lock:
            self._of(origin).excluded = error
            return bool(self._left())

    def distrust_senders(self) -> None:
        """Prefer other origins than those that sent bytes so far, for the bytes were wrong; and any to a mirror."""
        with self._lock:
            self._distrust_mirrors = True
            senders, self._senders = self._senders, set()
            for origin in self._located:
                self._of(origin).suspect |= origin.label in senders

    def count(self) -> int:
        """Return how many origins are left."""
        with self._lock:
            return len(self._left())

    @property
    def _in_order(self) -> bool:
        return self.fetch.digest is None

    def _locate(self) -> tuple[Origin, ...]:
        """Return the origins; a mirror is asked only for what is known already, for nothing is learned from one."""
        known = self.fetch.digest is not None and self.fetch.size is not None
        return tuple(origin for origin in self.fetch.locate() if known or not origin.mirror)

    def _next(self) -> Origin | None:
        left = self._left()
        if self._in_order:
            return left[0] if left else None
        return min(left, key=self._reluctance, default=None)

    def _left(self) -> list[Origin]:
        return [o for o in self._located if self._of(o).excluded is None]

    def _reluctance(self, origin: Origin) -> tuple[float, bool, bool, int, float]:
        """Return the sort key: of those whose rest is over, the one that failed least often comes first."""
        health = self._of(origin)
        rest = health.rest.left(self.hosts.clock())
        doubtful = self._distrust_mirrors and origin.mirror
        return rest, health.suspect, doubtful, health.rest.failures, self.hosts.rest(origin.label)

    def _of(self, origin: Origin) -> _Health:
        return self._health.setdefault(origin.label, _Health())

    def _nothing_left(self) -> ModelpmError:
        # The origin's own answer counts, not that a mirror lacks the file.
        known = sorted(self._located, key=lambda origin: origin.mirror)
        reasons = [h.excluded for h in map(self._of, known) if h.excluded is not None]
        return reasons[0] if reasons else NotFound("no source says where the file is")
