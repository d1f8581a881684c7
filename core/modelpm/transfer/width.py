"""How many connections to use: grows while throughput grows, shrinks when it collapses. Pure: it is told the time."""

from dataclasses import dataclass

_INTERVAL = 0.25  # seconds between two looks
_GAIN = 1.15  # more connections must bring that much more
_COLLAPSE = 0.4  # of the steady rate; below that something changed for the worse
_PATIENCE = 4  # looks in a row that must agree on a collapse
_PROBE = 10.0  # seconds of a steady state after which growth is tried again
_FIRST = 4


@dataclass(slots=True)
class Width:
    """The number of connections that seems best.

    Attributes:
        most: It never exceeds that.
        target: The number now.
        rate: Bytes per second over the last look.
    """

    most: int
    target: int = 0
    rate: float = 0.0
    _growing: bool = True
    _before: int = 1  # the width to go back to when growth brought nothing
    _reference: float = 0.0  # the rate that growth is held against
    _low: int = 0
    _looked: float | None = None
    _bytes: int = 0
    _steady_since: float = 0.0

    def __post_init__(self) -> None:
        self.target = self._before = min(self.most, _FIRST)

    def observe(self, now: float, received: int, *, saturated: bool, hot: bool = False) -> None:
        """Take a look.

        Args:
            now: Seconds, monotonic.
            received: Bytes that came since the beginning.
            saturated: Whether there was work for every connection.
            hot: Whether the processor is what limits; more connections would only take it from the digest.
        """
        if self._looked is None:
            self._looked, self._bytes = now, received
            return
        if now - self._looked < _INTERVAL:
            return
        self.rate = (received - self._bytes) / (now - self._looked)
        self._looked, self._bytes = now, received
        if not saturated:
            self._low = 0
        elif hot:
            self.target = max(1, self.target // 2)
            self._reference = self.rate
            self._settle(now)
        elif self._growing:
            self._grow(now)
        else:
            self._hold(now)

    def throttled(self, now: float) -> None:
        """Take half: a server said that it is too much."""
        self.target = max(1, self.target // 2)
        self._settle(now)

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
        self._low = self._low + 1 if self.rate < self._reference * _COLLAPSE else 0
        if self._low >= _PATIENCE:
            self.target = max(1, self.target // 2)
            self._reference = self.rate
            self._settle(now)
        elif now - self._steady_since > _PROBE:
            self._reference, self._before = max(self.rate, 1.0), self.target
            self.target = min(self.most, self.target + max(1, self.target // 4))
            self._growing = self.target > self._before
            self._steady_since = now
        else:
            self._reference = max(self._reference, self.rate)

    def _settle(self, now: float) -> None:
        self._growing, self._low, self._steady_since = False, 0, now
