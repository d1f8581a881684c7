"""How many connections to use: climbs while throughput does, and down again where fewer bring as much.

Pure: it is told the time.
"""

from dataclasses import dataclass
from enum import Enum, auto

_INTERVAL = 0.25  # seconds between two looks
_GAIN = 1.15  # more connections must bring that much more
_HOT = 0.6  # of all processors: more connections would only take them from the digest, the sender and the disk
_LOSS = 0.8  # fewer may bring that much less then; the processor is spared, and no measurement is exact
_COLLAPSE = 0.4  # of the steady rate; below that something changed for the worse
_PATIENCE = 4  # looks in a row that must agree on a collapse
_PROBE = 10.0  # seconds of a steady state after which growth is tried again
_FIRST = 4  # so many are there at once; a server next door wants fewer, and one that is slow soon gets more


class _Phase(Enum):
    GROWING = auto()  # more were tried; the next look tells whether they help
    SHRINKING = auto()  # fewer were tried; the next look tells whether they do as well
    HOLDING = auto()


@dataclass(slots=True)
class Width:
    """The number of connections that seems best.

    Attributes:
        most: It never exceeds that.
        cores: Processors of the machine; so many connections are kept when those are what limits.
        target: The number now.
        rate: Bytes per second over the last look.
    """

    most: int
    cores: int = 1
    target: int = 0
    rate: float = 0.0
    _phase: _Phase = _Phase.GROWING
    _before: int = 1  # the width to go back to when a change brought nothing
    _least: int = 1  # fewer were tried, and brought less
    _reference: float = 0.0  # the rate that a change is held against
    _low: int = 0
    _looked: float | None = None
    _bytes: int = 0
    _worked: float = 0.0
    _steady_since: float = 0.0
    _throttled_at: float = float("-inf")
    _humbled: bool = False  # a server said that it was too much

    def __post_init__(self) -> None:
        self.target = self._before = min(self.most, _FIRST)
        self._least = min(self.most, self.cores)

    def observe(self, now: float, received: int, *, running: int, worked: float = 0.0) -> None:
        """Take a look.

        Args:
            now: Seconds, monotonic.
            received: Bytes that came since the beginning.
            running: Connections under way; fewer than the target where there is no work for more, and more while
                those that are too many finish what they began.
            worked: Seconds that the processors worked for us since the beginning.
        """
        if self._looked is None or running > self.target:  # what comes now says nothing about this width
            self._looked, self._bytes, self._worked = now, received, worked
            return
        if (seconds := now - self._looked) < _INTERVAL:
            return
        self.rate = (received - self._bytes) / seconds
        hot = (worked - self._worked) / seconds > _HOT * self.cores
        self._looked, self._bytes, self._worked = now, received, worked
        if running < self.target:
            self._low = 0
        elif self._phase is _Phase.SHRINKING and self.rate < self._reference * _LOSS:
            self.target = self._least = self._before
            self._settle(now)
        elif hot and self.target > self._least:
            self._shrink()
        elif self._phase is _Phase.GROWING and not hot:
            self._grow(now)
        else:
            self._hold(now)

    @property
    def wide(self) -> int:
        """The number for files so small that nothing can be learned from how fast their bytes come."""
        return self.target if self._humbled else self.most

    def throttled(self, now: float) -> None:
        """Take half: a server said that it is too much. Connections that hear it together count once."""
        if now - self._throttled_at < _INTERVAL:
            return
        self._throttled_at = now
        before, self.target = self.target, max(1, self.target // 2)
        self._reference *= self.target / before
        self._humbled = True
        self._settle(now)

    def _shrink(self) -> None:
        self._reference, self._before = self.rate, self.target
        self.target = max(self._least, self.target // 2)
        self._phase = _Phase.SHRINKING

    def _grow(self, now: float) -> None:
        if self._reference and self.rate < self._reference * _GAIN:
            self.target = self._before
            self._settle(now)
            return
        self._reference = max(self.rate, 1.0)
        self._before = self.target
        self.target = min(self.most, self.target * 2)
        if self.target == self._before:
            self._settle(now)

    def _hold(self, now: float) -> None:
        if self._phase is not _Phase.HOLDING:
            self._settle(now)
        self._low = self._low + 1 if self.rate < self._reference * _COLLAPSE else 0
        if self._low >= _PATIENCE:
            self.target = max(1, self.target // 2)
            self._reference = self.rate
            self._settle(now)
        elif now - self._steady_since > _PROBE:
            self._reference, self._before = max(self.rate, 1.0), self.target
            self.target = min(self.most, self.target + max(1, self.target // 4))
            self._phase = _Phase.GROWING if self.target > self._before else _Phase.HOLDING
            self._steady_since = now
        else:
            self._reference = max(self._reference, self.rate)

    def _settle(self, now: float) -> None:
        self._phase, self._low, self._steady_since = _Phase.HOLDING, 0, now
