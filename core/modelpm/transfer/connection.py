"""Copy the bytes of one stream to their places in a partial."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from modelpm.api.types import Stream
from modelpm.errors import Code, PluginError, Unavailable
from modelpm.store.partials.partial import Partial
from modelpm.transfer.bandwidth import Limiter
from modelpm.transfer.segment import Segment

_SMALLEST = 16 << 10  # bytes of a read at least: smaller ones cost more processor than they protect from a kill
_FIRST = 64 << 10  # bytes of the first read, when the speed is unknown: little to lose on a slow line
# A read that takes between these many seconds has the right size: a kill then loses at most a tenth of a second.
_QUICK, _SLOW = 0.02, 0.1


@dataclass(slots=True)
class Pace:
    """How much to read at once: about a twentieth of a second's worth, because a kill loses what is in memory.

    Attributes:
        most: Bytes at most.
        size: Bytes now.
    """

    most: int
    size: int = _FIRST

    def took(self, seconds: float, count: int) -> None:
        """Adapt to how long a read took."""
        if seconds > _SLOW:
            self.size = max(_SMALLEST, self.size // 2)
        elif seconds < _QUICK and count >= self.size:
            self.size = min(self.most, self.size * 2)


@dataclass(slots=True)
class Connection:
    """One segment over one stream.

    Attributes:
        segment: What is wanted.
        partial: Where it goes.
        limiter: Limits the bandwidth.
        stopped: Ends a pause early when the run ends.
    """

    segment: Segment
    partial: Partial
    limiter: Limiter
    stopped: threading.Event

    def copy(self, stream: Stream, buffer: memoryview) -> Iterator[None]:
        """Write what the stream sends, up to the segment's stop, and yield after each write.

        More than that is cut off, and bytes that are present are not written again.

        Args:
            stream: Starts where the segment starts.
            buffer: Scratch memory; its size bounds a read.

        Raises:
            Aborted: The segment was aborted.
            Unavailable: The stream failed or ended too early.
            StoreError: The disk refuses.
        """
        segment, read, pace = self.segment, _reader(stream), Pace(len(buffer), min(_FIRST, len(buffer)))
        while segment.position < segment.stop:
            began = time.monotonic()
            block = read(buffer[: segment.claim(self.limiter.quantum(pace.size))])
            if not block:
                self._ended(stream)
                break
            pace.took(time.monotonic() - began, len(block))
            segment.add_received(len(block))
            segment.write(self.partial, block)
            yield
            self._pay(len(block))

    def _pay(self, count: int) -> None:
        wait = self.limiter.charge(count)
        if wait > 0:
            self.segment.pause(wait)
            self.stopped.wait(wait)

    def _ended(self, stream: Stream) -> None:
        if not self.segment.end_of_stream():
            total = f" of {stream.total}" if stream.total is not None else ""
            raise Unavailable(f"the bytes ended at {self.segment.position}{total}, too early", code=Code.CUT_SHORT)


def _reader(stream: Stream) -> Callable[[memoryview], memoryview]:
    """Return a function that reads a block: into the buffer where the stream can, else the stream's own chunks."""
    readinto = stream.readinto
    if readinto is None:
        chunks = iter(stream.chunks)

        def next_chunk(_buffer: memoryview) -> memoryview:
            chunk = next((c for c in chunks if c), b"")
            if not isinstance(chunk, bytes | bytearray | memoryview):
                raise PluginError(f"a stream's chunks are {type(chunk).__name__}, not bytes")
            return memoryview(chunk)

        return next_chunk

    def fill(buffer: memoryview) -> memoryview:
        count = readinto(buffer)
        if not 0 <= count <= len(buffer):
            raise PluginError(f"a stream's readinto returned {count!r} for a buffer of {len(buffer)} bytes")
        return buffer[:count]

    return fill
