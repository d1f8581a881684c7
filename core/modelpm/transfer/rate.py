"""The limit on bandwidth: one bucket over all connections, whose rate may depend on the time of day."""

import threading
import time
from dataclasses import dataclass
from datetime import datetime

_BURST = 0.25  # seconds' worth that may be taken at once
_QUANTUM = 0.05  # seconds' worth of one read, so that many connections share evenly
_SMALLEST = 1024


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How many bytes a second may be taken.

    Attributes:
        rate: Bytes per second; 0 is no limit.
        windows: ``(from, to, rate)`` with times of day as ``HH:MM``; the first that holds wins over ``rate``.
            One that ends before it begins lasts over midnight.
    """

    rate: int = 0
    windows: tuple[tuple[str, str, int], ...] = ()

    def at(self, clock: str) -> int:
        """Return the rate that holds at a time of day, ``HH:MM``; 0 is no limit."""
        for begin, end, rate in self.windows:
            inside = begin <= clock < end if begin <= end else (clock >= begin or clock < end)
            if inside:
                return rate
        return self.rate


class Limiter:
    """Gives out bandwidth. Thread-safe."""

    def __init__(self, limit: RateLimit) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._next = 0.0  # when everything given out so far is paid for
        self._rate = 0
        self._looked = float("-inf")

    @property
    def limited(self) -> bool:
        """Whether there is, or may later be, a limit."""
        return bool(self._limit.rate or self._limit.windows)

    def quantum(self, wanted: int) -> int:
        """Return how many bytes to read at once, at most ``wanted``."""
        rate = self._now(time.monotonic())
        return wanted if not rate else min(wanted, max(_SMALLEST, int(rate * _QUANTUM)))

    def charge(self, taken: int) -> float:
        """Account for bytes that were taken; return the seconds to wait before taking more."""
        now = time.monotonic()
        rate = self._now(now)
        if not rate:
            return 0.0
        with self._lock:
            self._next = max(self._next, now - _BURST) + taken / rate
            return max(0.0, self._next - now)

    def _now(self, now: float) -> int:
        if not self.limited:
            return 0
        if now - self._looked >= 1.0:
            self._looked = now
            rate = self._limit.at(datetime.now().astimezone().strftime("%H:%M"))
            if rate != self._rate:
                self._rate, self._next = rate, now
        return self._rate
