"""Which origin of a file to ask next: in the order given, except for those that rest or are out."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from modelpm.errors import ModelpmError, NotFound
from modelpm.transfer.hosts import Hosts, rest_after
from modelpm.transfer.values import Origin


@dataclass(slots=True)
class _Health:
    failures: int = 0
    until: float = 0.0  # rests until then
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
    """

    locate: Callable[[], Sequence[Origin]]
    hosts: Hosts
    _origins: tuple[Origin, ...] = ()
    _round: int = 0
    _health: dict[str, _Health] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _locating: threading.Lock = field(default_factory=threading.Lock)

    def choose(self) -> Choice:
        """Return the first origin that is well, else the one whose rest ends first.

        Raises:
            ModelpmError: ``locate`` failed, or no origin is left; then why the first of them was given up.
        """
        if not self._round:
            self._ask(0)
        with self._lock:
            left = [o for o in self._origins if self._of(o).out is None]
            if not left:
                raise self._nothing_left()
            return Choice(min(left, key=self._reluctance), self._round)

    def _reluctance(self, origin: Origin) -> tuple[float, float, bool]:
        health = self._of(origin)
        return max(0.0, health.until - self.hosts.clock()), self.hosts.rest(origin.label), health.suspect

    def relocate(self, round_: int) -> None:
        """Ask again where the bytes are; of several that saw the same answer run out, one asks."""
        self._ask(round_)

    def _ask(self, round_: int) -> None:
        with self._locating:
            if self._round == round_:
                origins = tuple(self.locate())
                with self._lock:
                    self._origins, self._round = origins, self._round + 1

    def failed(self, origin: Origin, wait: float) -> bool:
        """Let an origin rest, longer each time; return whether another one is well."""
        self.hosts.failed(origin.label)
        with self._lock:
            health, now = self._of(origin), self.hosts.clock()
            health.failures += 1
            health.until = now + max(wait, rest_after(health.failures))
            return any(h.out is None and h.until <= now for h in map(self._of, self._origins))

    def worked(self, origin: Origin) -> None:
        """Note that bytes came."""
        self.hosts.worked(origin.label)
        with self._lock:
            self._of(origin).failures = 0
            self._of(origin).until = 0.0

    def exclude(self, origin: Origin, error: ModelpmError) -> bool:
        """Never ask an origin again; return whether another one is left."""
        with self._lock:
            self._of(origin).out = error
            return any(self._of(o).out is None for o in self._origins)

    def suspect(self, labels: set[str]) -> None:
        """Prefer other origins than those of bytes that turned out wrong."""
        with self._lock:
            for origin in self._origins:
                self._of(origin).suspect |= origin.label in labels

    def count(self) -> int:
        """Return how many origins are left."""
        with self._lock:
            return sum(self._of(o).out is None for o in self._origins)

    def _of(self, origin: Origin) -> _Health:
        return self._health.setdefault(origin.label, _Health())

    def _nothing_left(self) -> ModelpmError:
        reasons = [h.out for h in map(self._of, self._origins) if h.out is not None]
        return reasons[0] if reasons else NotFound("no source says where the file is")
