"""Bytes a second: what was received lately, and the limit: one bucket for all connections, by the time of day."""

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime

_BURST = 0.25  # seconds' worth that may be taken at once, so that a late wake-up does not lower the rate
_QUANTUM = 0.05  # seconds' worth of one read, so that many connections share evenly
_SMALLEST = 1024  # bytes of one read at least: at a very low limit, a read of a few bytes costs more than it brings
_RECHECK = 1.0  # seconds between two looks at the clock of the day; formatting it for each read would cost too much
_MARKS = 8  # measurements within a window: its edge moves in steps of an eighth, and memory stays bounded


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How many bytes a second may be taken.

    Attributes:
        rate: Bytes per second; 0 means no limit.
        windows: ``(from, to, rate)`` with times of day as ``HH:MM``; the first that applies replaces ``rate``.
            One that ends before it starts lasts past midnight.
    """

    rate: int = 0
    windows: tuple[tuple[str, str, int], ...] = ()

    def at(self, clock: str) -> int:
        """Return the rate that applies at a time of day, ``HH:MM``; 0 means no limit."""
        for begin, end, rate in self.windows:
            inside = begin <= clock < end if begin <= end else (clock >= begin or clock < end)
            if inside:
                return rate
        return self.rate


class Limiter:
    """Shares out bandwidth. Thread-safe."""

    def __init__(self, limit: RateLimit) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._paid_until = 0.0  # when everything taken so far is paid for
        self._rate = 0
        self._checked_at = float("-inf")

    @property
    def limited(self) -> bool:
        """Whether there is, or may later be, a limit."""
        return bool(self._limit.rate or self._limit.windows)

    def quantum(self, wanted: int) -> int:
        """Return how many bytes to read at once, at most ``wanted``."""
        rate = self._current_rate(time.monotonic())
        return wanted if not rate else min(wanted, max(_SMALLEST, int(rate * _QUANTUM)))

    def charge(self, taken: int) -> float:
        """Account for bytes that were taken; return the seconds to wait before taking more."""
        now = time.monotonic()
        rate = self._current_rate(now)
        if not rate:
            return 0.0
        with self._lock:
            self._paid_until = max(self._paid_until, now - _BURST) + taken / rate
            return max(0.0, self._paid_until - now)

    def _current_rate(self, now: float) -> int:
        if not self.limited:
            return 0
        if now - self._checked_at >= _RECHECK:
            self._checked_at = now
            rate = self._limit.at(datetime.now().astimezone().strftime("%H:%M"))
            if rate != self._rate:
                self._rate, self._paid_until = rate, now
        return self._rate


@dataclass(slots=True)
class RateWindow:
    """Bytes a second over the last seconds.

    Attributes:
        seconds: How many.
    """

    seconds: float
    _marks: deque[tuple[float, int, float]] = field(default_factory=deque)

    def rate(self, now: float, received: int, waited: float = 0.0) -> float | None:
        """Measure, and return the rate; None before the window is full, or where most of it was a deliberate pause.

        Args:
            now: Seconds, monotonic.
            received: Bytes received since the start.
            waited: Seconds of deliberate pauses since then.
        """
        marks = self._marks
        if not marks or now - marks[-1][0] >= self.seconds / _MARKS:
            marks.append((now, received, waited))
        while len(marks) > 1 and now - marks[1][0] >= self.seconds:
            marks.popleft()
        since, before, paused = marks[0]
        busy = now - since - (waited - paused)
        if now - since < self.seconds or busy < self.seconds / 2:
            return None
        return (received - before) / busy
