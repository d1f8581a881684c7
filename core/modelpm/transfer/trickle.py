"""Which connections bring next to nothing. Pure: it is told the time.

A line may be slow, and then all connections are: that is no fault of theirs. One that is far below the others, or below
what there was a moment ago, is replaced; where all of them together bring less than a floor, each try counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from modelpm.errors import Code
from modelpm.text.human import binary_size
from modelpm.transfer.bandwidth import Span
from modelpm.transfer.segment import Task

_SHARE = 20  # who brings less than this part of the fastest is far below it
_ENOUGH = 64 << 10  # bytes a second that are enough, whatever others bring


@dataclass(frozen=True, slots=True)
class Trickle:
    """A connection to end.

    Attributes:
        task: What it brings.
        code: ``trickle`` or ``stalled`` where that is a failure, ``replaced`` where another connection shall go on.
        reason: Why, in words.
    """

    task: Task
    code: str
    reason: str


@dataclass(slots=True)
class Trickles:
    """Watches over the connections of a run.

    Attributes:
        idle: Seconds over which each is judged.
        floor: Bytes a second that are next to nothing.
    """

    idle: float
    floor: int
    _totals: Span = field(init=False)
    _best: tuple[float, float] = (0.0, 0.0)  # bytes a second of the fastest lately, and when that was

    def __post_init__(self) -> None:
        self._totals = Span(self.idle)

    def look(self, now: float, received: int, connections: Sequence[tuple[Task, bool]]) -> list[Trickle]:
        """Return the connections to end.

        Args:
            now: By the monotonic clock.
            received: Bytes that came in this run.
            connections: What is under way, and whether another connection can go on where it stands.
        """
        together = self._totals.rate(now, received)
        rates = [(task, rate) for task, _ in connections if (rate := task.rate(now, self.idle)) is not None]
        resumable = {id(task) for task, can in connections if can}
        best = self._best[0] if now - self._best[1] <= 2 * self.idle else 0.0
        found = []
        for task, rate in rates:
            fastest = max([best, *(other for it, other in rates if it is not task)])
            code = self._code(rate, fastest, together, resumable=id(task) in resumable)
            if code and not (code == Code.REPLACED and task.left < rate * self.idle):  # which is about to end
                found.append(Trickle(task, code, f"only {binary_size(int(rate))} a second over {self.idle:g} s"))
        now_best = max((rate for _, rate in rates), default=0.0)
        if found:  # where the next ones are no faster, it is the line
            self._best = (0.0, now)
        elif now_best >= best:
            self._best = (now_best, now)
        return found

    def _code(self, rate: float, fastest: float, together: float | None, *, resumable: bool) -> str:
        if rate < self.floor and together is not None and together < self.floor:
            return "trickle"
        if rate >= min(fastest / _SHARE, _ENOUGH):
            return ""
        if rate < self.floor:
            return "stalled"
        return "replaced" if resumable else ""
