"""One range of one file on one connection, as the threads that share it see it."""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

from modelpm.api.types import Stream
from modelpm.errors import Code, ModelpmError, Unavailable
from modelpm.store.partials.partial import Partial
from modelpm.store.partials.ranges import END
from modelpm.transfer.bandwidth import RateWindow


class Aborted(Exception):  # noqa: N818 - not a failure: another thread decided that this connection must end
    """The segment was aborted."""


@dataclass(slots=True, eq=False)
class Segment:
    """A range that is being fetched. Its thread moves ``position``; other threads may shorten, abort or abandon it.

    Attributes:
        start: First offset.
        stop: Offset after the last; ``END`` where the size is unknown.
        position: Where the stream stands: every byte before it was handled.
        started: When it started, by the monotonic clock.
        received: Bytes that were received.
        gained: Bytes of those that were missing.
        claimed: Bytes from ``position`` on that are being read right now.
        aborted: Why it was aborted, in words for an error; empty if only the plan changed; None while it runs.
        code: What kind of failure that is.
        aborted_at: When it was aborted.
        finished: Whether it is over, or was abandoned.
    """

    start: int
    stop: int
    position: int = 0
    started: float = field(default_factory=time.monotonic)
    received: int = 0
    gained: int = 0
    claimed: int = 0
    aborted: str | None = None
    code: str = Code.STALLED
    aborted_at: float = 0.0
    finished: bool = False
    # Serializes a write with a split, a cut, an abort and an abandonment: they happen before or after it.
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stream: Stream | None = None
    _last_received: float = field(default_factory=time.monotonic)
    _pauses: tuple[float, float] = (0.0, 0.0)  # seconds of deliberate pauses, the current one included, and its end
    _window: RateWindow | None = None

    def __post_init__(self) -> None:
        self.position = self.start

    @property
    def left(self) -> int:
        """Bytes that are still to be fetched."""
        return self.stop - self.position

    def claim(self, most: int) -> int:
        """Return how many bytes to read now, at most ``most``; no other connection will be given them."""
        with self._lock:
            self.claimed = min(most, self.left)
            return self.claimed

    def opened(self, stream: Stream) -> bool:
        """Record that the stream is open; return False if the segment was aborted meanwhile."""
        with self._lock:
            self._stream = stream
            self._last_received = time.monotonic()
            return self.aborted is None

    def add_received(self, count: int) -> None:
        """Record that bytes were received."""
        self.received += count
        self._last_received = time.monotonic()

    def pause(self, seconds: float) -> None:
        """Record that the thread pauses on purpose: for so long, silence is not the connection's fault."""
        self._last_received = time.monotonic() + seconds
        self._pauses = self._pauses[0] + seconds, self._last_received

    def write(self, partial: Partial, block: memoryview) -> None:
        """Write what is missing of a block at ``position``, and move on behind it.

        Raises:
            Aborted: The segment was aborted.
            StoreError: The disk refuses.
        """
        with self._lock:
            if self.aborted is not None:
                raise Aborted
            begin, end = self.position, min(self.position + len(block), self.stop)
            for start, stop in partial.gaps(begin, end):
                partial.write(start, block[start - begin : stop - begin])
                self.gained += stop - start
            self.position, self.claimed = end, 0

    def end_of_stream(self) -> bool:
        """Record that the stream ended; return whether all bytes of the segment are there.

        Raises:
            Aborted: The segment was aborted.
        """
        with self._lock:
            if self.stop == END:
                self.stop = self.position
            if self.aborted is not None:
                raise Aborted
            return self.position >= self.stop

    def limit(self, size: int) -> None:
        """End at ``size`` at the latest: the file has no more bytes."""
        with self._lock:
            self.stop = min(self.stop, size)

    def split(self, smallest: int, align: int) -> int | None:
        """Give away the second half of what is left and not being read.

        Returns:
            Where the half starts that another connection must fetch up to the old stop, or None if that is too
            little.
        """
        with self._lock:
            free = self.left - self.claimed
            if free < 2 * smallest or self.stop == END or self.aborted is not None:
                return None
            middle = self.stop - free // 2
            middle += -middle % align
            if middle >= self.stop:
                return None
            self.stop = middle
            return middle

    def cut(self, align: int) -> int | None:
        """Give away all that is left and not being read; return where that starts, or None if there is nothing."""
        with self._lock:
            begin = self.position + max(self.claimed, 1)  # a thread that has not claimed yet needs something to claim
            begin += -begin % align
            if begin >= self.stop or self.stop == END or self.aborted is not None:
                return None
            self.stop = begin
            return begin

    def abort(self, reason: str, code: str = Code.STALLED) -> None:
        """Make the thread give up as soon as possible."""
        with self._lock:
            if self.aborted is not None or self.finished:
                return
            self.aborted, self.code, self.aborted_at = reason, code, time.monotonic()
            abort = self._stream.abort if self._stream is not None else None
        if abort is not None:
            with suppress(ModelpmError):  # if it fails, the thread is abandoned, as on systems without the call
                abort()

    def abandon(self) -> bool:
        """Forbid the thread to write anything more; return False if the segment is over already."""
        with self._lock:
            if self.finished:
                return False
            self.finished = True
            self.aborted = self.aborted or ""
            return True

    def finish(self) -> bool:
        """Record that the thread is done; return False if the segment was abandoned before."""
        with self._lock:
            abandoned, self.finished = self.finished, True
            return not abandoned

    def failure(self) -> Unavailable:
        """Return the error of a segment that was aborted for a reason."""
        return Unavailable(self.aborted or "", code=self.code)

    def silence(self, now: float, idle: float, opening: float) -> str | None:
        """Return what is wrong if nothing arrives, else None.

        Args:
            now: By the monotonic clock.
            idle: Seconds it may be silent.
            opening: Seconds it may take to open; a source has its own timeouts for that, and a plugin may have none.
        """
        if self._stream is None:
            return f"no answer for {opening:g} s" if now - self.started > opening else None
        return f"no byte for {idle:g} s" if now - self._last_received > idle else None

    def rate(self, now: float, seconds: float) -> float | None:
        """Return the bytes a second over the last seconds; None if that cannot be said yet."""
        if self._stream is None:
            return None
        if self._window is None:
            self._window = RateWindow(seconds)
        paused, until = self._pauses
        return self._window.rate(now, self.received, paused - max(0.0, until - now))
