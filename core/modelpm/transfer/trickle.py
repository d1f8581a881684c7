"""Find connections that are far too slow. Pure: the caller passes the time.

A line may be slow, and then all connections are: that is not their fault. One that is far slower than the others, or
than the fastest a moment ago, is replaced; where all of them together are below a floor, each try counts as a failure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from modelpm.errors import Code
from modelpm.text.human import binary_size
from modelpm.transfer.bandwidth import RateWindow
from modelpm.transfer.segment import Segment

_SHARE = 20  # a connection below this part of the fastest is far slower; a smaller difference is ordinary
_ENOUGH = 64 << 10  # bytes a second that are enough, however fast others are: a new connection costs a second or two


@dataclass(frozen=True, slots=True)
class SlowConnection:
    """A connection to end.

    Attributes:
        segment: What it fetches.
        code: ``trickle`` or ``stalled`` where that is a failure, ``replaced`` where another connection continues.
        reason: Why, in words.
    """

    segment: Segment
    code: str
    reason: str


@dataclass(slots=True)
class TrickleDetector:
    """Finds the slow connections of a run.

    Attributes:
        idle: Seconds over which each is measured.
        floor: Bytes a second that are too few in any case.
    """

    idle: float
    floor: int
    _totals: RateWindow = field(init=False)
    _best: tuple[float, float] = (0.0, 0.0)  # bytes a second of the fastest lately, and when that was

    def __post_init__(self) -> None:
        self._totals = RateWindow(self.idle)

    def find(self, now: float, received: int, connections: Sequence[tuple[Segment, bool]]) -> list[SlowConnection]:
        """Return the connections to end.

        Args:
            now: By the monotonic clock.
            received: Bytes received in this run.
            connections: Each running segment, and whether another connection can continue it.
        """
        together = self._totals.rate(now, received)
        rates = [(segment, rate) for segment, _ in connections if (rate := segment.rate(now, self.idle)) is not None]
        resumable = {id(segment) for segment, can_continue in connections if can_continue}
        best = self._best[0] if now - self._best[1] <= 2 * self.idle else 0.0
        found = []
        for segment, rate in rates:
            fastest = max([best, *(other for it, other in rates if it is not segment)])
            code = self._code(rate, fastest, together, resumable=id(segment) in resumable)
            ends_soon = code is Code.REPLACED and segment.left < rate * self.idle
            if code is not None and not ends_soon:
                found.append(
                    SlowConnection(segment, code, f"only {binary_size(int(rate))} a second over {self.idle:g} s")
                )
        now_best = max((rate for _, rate in rates), default=0.0)
        if found:  # where the next ones are not faster, the line is slow
            self._best = (0.0, now)
        elif now_best >= best:
            self._best = (now_best, now)
        return found

    def _code(self, rate: float, fastest: float, together: float | None, *, resumable: bool) -> Code | None:
        if rate < self.floor and together is not None and together < self.floor:
            return Code.TRICKLE
        if rate >= min(fastest / _SHARE, _ENOUGH):
            return None
        if rate < self.floor:
            return Code.STALLED
        return Code.REPLACED if resumable else None
