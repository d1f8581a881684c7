"""One range of one file on its way over one connection, as the threads that share it see it."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from modelpm.errors import Code, ModelpmError
from modelpm.store.partials.ranges import END
from modelpm.transfer.bandwidth import Span


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
        code: What kind of failure that is.
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
    code: str = Code.STALLED
    aborted_at: float = 0.0
    finished: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    _abort: Callable[[], None] | None = None
    _heard: float = field(default_factory=time.monotonic)
    _streaming: bool = False
    _waits: tuple[float, float] = (0.0, 0.0)  # seconds waited on purpose, with those to come, and until when
    _span: Span | None = None

    def __post_init__(self) -> None:
        self.position = self.start

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

    def abort(self, reason: str, code: str = Code.STALLED) -> None:
        """Make the thread give up as soon as it can."""
        with self.lock:
            if self.aborted is not None or self.finished:
                return
            self.aborted, self.code, self.aborted_at = reason, code, time.monotonic()
            abort = self._abort
        if abort is not None:
            with suppress(ModelpmError):  # where it does not help, the thread is abandoned, as where there is none
                abort()

    def silence(self, now: float, idle: float, opening: float) -> str | None:
        """Say what is wrong with the connection, where it is that nothing comes.

        Args:
            now: By the monotonic clock.
            idle: Seconds it may be silent.
            opening: Seconds it may take to open; a source has timeouts of its own for that, and a plugin may have none.
        """
        if not self._streaming:
            return f"no answer for {opening:g} s" if now - self.started > opening else None
        return f"no byte for {idle:g} s" if now - self._heard > idle else None

    def rate(self, now: float, seconds: float) -> float | None:
        """Return the bytes a second over the last so many seconds; None where that cannot be said yet."""
        if not self._streaming:
            return None
        if self._span is None:
            self._span = Span(seconds)
        waited, until = self._waits
        return self._span.rate(now, self.received, waited - max(0.0, until - now))
