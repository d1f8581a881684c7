"""How many connections to use: more while throughput grows, and fewer where fewer bring as much.

Pure: the caller passes the time.
"""

from dataclasses import dataclass
from enum import Enum, auto

_INTERVAL = 0.25  # seconds between two measurements: shorter ones measure the bursts of single reads
_GAIN = 1.15  # more connections must bring this much more; less is within the noise of a measurement
_HOT = 0.6  # share of all processors; above it, more connections take time from the digest, the sender and the disk
_LOSS = 0.8  # share of the rate that fewer connections must keep then: the processor is spared, and measurements vary
_COLLAPSE = 0.4  # share of the steady rate; below it something changed for the worse
_PATIENCE = 4  # measurements in a row that must agree on a collapse: one or two are a hiccup
_PROBE = 10.0  # seconds of a steady state after which growth is tried again: rarely, because a failed try costs
_FIRST = 4  # connections at the start; a nearby server needs fewer, and a slow one gets more within a second


class _Phase(Enum):
    GROWING = auto()  # more were tried; the next measurement tells whether they help
    SHRINKING = auto()  # fewer were tried; the next measurement tells whether they are as fast
    HOLDING = auto()


@dataclass(slots=True)
class Concurrency:
    """The number of connections that seems best.

    Attributes:
        most: The number never exceeds this.
        cores: Processors of the machine; this many connections are kept where the processors are the limit.
        target: The number now.
        rate: Bytes per second at the last measurement.
    """

    most: int
    cores: int = 1
    target: int = 0
    rate: float = 0.0
    _phase: _Phase = _Phase.GROWING
    _before: int = 1  # the number to go back to when a change brought nothing
    _least: int = 1  # fewer were tried, and were slower
    _reference: float = 0.0  # the rate that a change is compared with
    _low: int = 0
    _measured_at: float | None = None
    _bytes: int = 0
    _worked: float = 0.0
    _steady_since: float = 0.0
    _throttled_at: float = float("-inf")
    _was_throttled: bool = False  # a server said that there were too many

    def __post_init__(self) -> None:
        self.target = self._before = min(self.most, _FIRST)
        self._least = min(self.most, self.cores)

    def observe(self, now: float, received: int, *, running: int, worked: float = 0.0) -> None:
        """Measure, and adapt the number.

        Args:
            now: Seconds, monotonic.
            received: Bytes received since the start.
            running: Open connections; fewer than the target where more would have no work, and more while the
                surplus ones finish what they started.
            worked: Seconds that the processors worked for this process since the start.
        """
        if self._measured_at is None or running > self.target:  # the rate says nothing about the target
            self._measured_at, self._bytes, self._worked = now, received, worked
            return
        if (seconds := now - self._measured_at) < _INTERVAL:
            return
        self.rate = (received - self._bytes) / seconds
        hot = (worked - self._worked) / seconds > _HOT * self.cores
        self._measured_at, self._bytes, self._worked = now, received, worked
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
    def for_small_files(self) -> int:
        """The number for files so small that their speed teaches nothing."""
        return self.target if self._was_throttled else self.most

    def throttled(self, now: float) -> None:
        """Halve the number: a server said that it is too high. Connections that get this answer together count once."""
        if now - self._throttled_at < _INTERVAL:
            return
        self._throttled_at = now
        before, self.target = self.target, max(1, self.target // 2)
        self._reference *= self.target / before
        self._was_throttled = True
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
