"""Which origin of a file to ask next: in the order given, except for those that rest or are out."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from modelpm.errors import ModelpmError, NotFound
from modelpm.network.health import Hosts, Rest
from modelpm.transfer.model import Origin


@dataclass(slots=True)
class _Health:
    rest: Rest = field(default_factory=Rest)
    out: ModelpmError | None = None  # why it is not asked again
    suspect: bool = False  # it sent bytes that were not right


@dataclass(frozen=True, slots=True)
class Choice:
    """An origin to ask now.

    Attributes:
        origin: Where.
        round: Which answer of ``locate`` it is from.
    """

    origin: Origin
    round: int


@dataclass(slots=True)
class Mirrors:
    """The origins of one file and how they fared. Thread-safe.

    Attributes:
        locate: Returns the origins, best first.
        hosts: How servers fared with other files.
        in_order: Whether the first that is left is asked, however it fares: nothing proves that another one has the
            same bytes.
    """

    locate: Callable[[], Sequence[Origin]]
    hosts: Hosts
    in_order: bool = False
    _origins: tuple[Origin, ...] = ()
    _round: int = 0
    _health: dict[str, _Health] = field(default_factory=dict)
    _distrust: bool = False  # wrong bytes came: what only stands in for the origin is asked after it
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _locating: threading.Lock = field(default_factory=threading.Lock)

    def choose(self) -> Choice:
        """Return the first origin that is well, else the one that failed least often, or whose rest ends first.

        Raises:
            ModelpmError: ``locate`` failed, or no origin is left; then why the first of them was given up.
        """
        if not self._round:
            self._ask(0)
        with self._lock:
            origin = self._next()
            if origin is None:
                raise self._nothing_left()
            return Choice(origin, self._round)

    def _next(self) -> Origin | None:
        left = self._left()
        if self.in_order:
            return left[0] if left else None
        return min(left, key=self._reluctance, default=None)

    def _left(self) -> list[Origin]:
        return [o for o in self._origins if self._of(o).out is None]

    def _reluctance(self, origin: Origin) -> tuple[float, bool, bool, int, float]:
        """Return what makes others go first: of those whose rest is over, the one that failed least often."""
        health = self._of(origin)
        rest = health.rest.left(self.hosts.clock())
        doubtful = self._distrust and origin.mirror
        return rest, health.suspect, doubtful, health.rest.failures, self.hosts.rest(origin.label)

    def relocate(self, round_: int) -> None:
        """Ask again where the bytes are; of several that saw the same answer run out, one asks."""
        self._ask(round_)

    def _ask(self, round_: int) -> None:
        with self._locating:
            if self._round == round_:
                origins = tuple(self.locate())
                with self._lock:
                    self._origins, self._round = origins, self._round + 1

    def failed(self, origin: Origin, wait: float) -> None:
        """Let an origin rest, longer each time, and at least so long; connections that fail together count once."""
        self.hosts.failed(origin.label)
        with self._lock:
            health = self._of(origin)
            health.rest = health.rest.failed(self.hosts.clock(), wait)

    def has_fresh(self) -> bool:
        """Whether the origin to ask next has not failed since it last worked.

        One whose rest is over is not fresh: where every failure takes long, there would always be one.
        """
        with self._lock:
            origin = None if self.in_order else self._next()
            return origin is not None and not self._of(origin).rest.failures

    def hopeless(self) -> bool:
        """Whether other files have just given up the servers of all origins that are left."""
        with self._lock:
            return all(self.hosts.hopeless(o.label) for o in self._left())

    def worked(self, origin: Origin) -> None:
        """Note that bytes came."""
        self.hosts.worked(origin.label)
        with self._lock:
            self._of(origin).rest = Rest()

    def exclude(self, origin: Origin, error: ModelpmError) -> bool:
        """Never ask an origin again; return whether another one is left."""
        with self._lock:
            self._of(origin).out = error
            return bool(self._left())

    def suspect(self, labels: set[str]) -> None:
        """Prefer other origins than those of bytes that turned out wrong, and any before a mirror."""
        with self._lock:
            self._distrust = True
            for origin in self._origins:
                self._of(origin).suspect |= origin.label in labels

    def count(self) -> int:
        """Return how many origins are left."""
        with self._lock:
            return len(self._left())

    def _of(self, origin: Origin) -> _Health:
        return self._health.setdefault(origin.label, _Health())

    def _nothing_left(self) -> ModelpmError:
        # What the origin says counts, not that a mirror lacks the file.
        known = sorted(self._origins, key=lambda origin: origin.mirror)
        reasons = [h.out for h in map(self._of, known) if h.out is not None]
        return reasons[0] if reasons else NotFound("no source says where the file is")
