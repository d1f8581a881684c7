"""One range of one file on its way over one connection, as the threads that share it see it."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from modelpm.errors import ModelpmError
from modelpm.store.ranges import END


@dataclass(slots=True, eq=False)
class Task:
    """A range that is being fetched. Its thread moves ``position``; others may shorten, abort or abandon it.

    Attributes:
        start: First offset.
        stop: Offset behind the last; ``END`` where the size is unknown.
        position: Where the stream stands: what is before it was dealt with.
        started: When it began, by the monotonic clock.
        received: Bytes that came.
        gained: Those of them that were missing.
        asked: Bytes behind ``position`` that are being read right now.
        aborted: Why it was given up, in words for an error; empty where only the plan changed; None while it runs.
        aborted_at: When.
    """

    start: int
    stop: int
    position: int = 0
    started: float = field(default_factory=time.monotonic)
    received: int = 0
    gained: int = 0
    asked: int = 0
    aborted: str | None = None
    aborted_at: float = 0.0
    finished: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    _abort: Callable[[], None] | None = None
    _heard: float = field(default_factory=time.monotonic)
    _streaming: bool = False
    _waits: tuple[float, float] = (0.0, 0.0)  # seconds waited on purpose, with those to come, and until when
    _window: tuple[float, int, float] = (0.0, 0, 0.0)

    def __post_init__(self) -> None:
        self.position = self.start
        self._window = (self.started, 0, 0.0)

    @property
    def left(self) -> int:
        """Bytes still to come."""
        return self.stop - self.position

    def ask(self, most: int) -> int:
        """Return how many bytes to read now, at most so many: nobody else will be given them."""
        with self.lock:
            self.asked = min(most, self.left)
            return self.asked

    def opened(self, abort: Callable[[], None] | None) -> bool:
        """Note that the stream is open; return False where it was aborted meanwhile."""
        with self.lock:
            self._abort, self._streaming = abort, True
            self._heard = time.monotonic()
            self._window = (self._heard, 0, 0.0)
            return self.aborted is None

    def heard(self, count: int) -> None:
        """Note that bytes came."""
        self.received += count
        self._heard = time.monotonic()

    def waits(self, seconds: float) -> None:
        """Note that the thread waits on purpose, for so long from now: till then no silence is the connection's."""
        self._heard = time.monotonic() + seconds
        self._waits = self._waits[0] + seconds, self._heard

    def split(self, smallest: int, align: int) -> int | None:
        """Give away the second half of what is left and not being read.

        Returns:
            Where the half begins that somebody else shall fetch up to the old stop, or None where it is not worth it.
        """
        with self.lock:
            free = self.left - self.asked
            if free < 2 * smallest or self.stop == END or self.aborted is not None:
                return None
            middle = self.stop - free // 2
            middle += -middle % align
            if middle >= self.stop:
                return None
            self.stop = middle
            return middle

    def cut(self, align: int) -> int | None:
        """Give away all that is left and not being read; return where that begins, or None where there is nothing."""
        with self.lock:
            begin = self.position + max(self.asked, 1)  # who has not asked yet is left something to ask for
            begin += -begin % align
            if begin >= self.stop or self.stop == END or self.aborted is not None:
                return None
            self.stop = begin
            return begin

    def abort(self, reason: str) -> None:
        """Make the thread give up as soon as it can."""
        with self.lock:
            if self.aborted is not None or self.finished:
                return
            self.aborted, self.aborted_at = reason, time.monotonic()
            abort = self._abort
        if abort is not None:
            with suppress(ModelpmError):  # where it does not help, the thread is abandoned, as where there is none
                abort()

    def trouble(self, now: float, idle: float, rate: int, window: float) -> str | None:
        """Say what is wrong with the connection.

        Args:
            now: By the monotonic clock.
            idle: Seconds it may be silent.
            rate: Bytes per second it must bring …
            window: … over so many seconds.
        """
        if not self._streaming:
            # To connect and to get an answer have timeouts of their own; this is for a plugin that has none.
            return f"no answer for {2 * idle:.0f} s" if now - self.started > 2 * idle + 10 else None
        if now - self._heard > idle:
            return f"no byte for {idle:.0f} s"
        since, received, before = self._window
        if now - since < window:
            return None
        waited, until = self._waits
        waited -= max(0.0, until - now)
        busy = now - since - (waited - before)
        came = self.received - received
        self._window = (now, self.received, waited)
        if busy >= window / 2 and came < rate * busy:
            return f"only {came / busy:.0f} bytes a second over {busy:.0f} s"
        return None
