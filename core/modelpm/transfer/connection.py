"""Bring the bytes of one stream to their places in a partial."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from modelpm.api.types import Stream
from modelpm.errors import Code, PluginError, Unavailable
from modelpm.store.partials.partial import Partial
from modelpm.store.partials.ranges import END
from modelpm.transfer.bandwidth import Limiter
from modelpm.transfer.segment import Task

_SMALLEST = 16 << 10
_FIRST = 64 << 10
_QUICK, _SLOW = 0.02, 0.1  # seconds; a read that takes longer than the one and less than the other has the right size


class Aborted(Exception):  # noqa: N818 - no failure: somebody else decided that this connection shall end
    """The task was aborted."""


@dataclass(slots=True)
class Pace:
    """How much to read at once: about a twentieth of a second's worth, for a kill loses what is in memory.

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
    """One task over one stream.

    Attributes:
        task: What is wanted.
        partial: Where it goes.
        limiter: Asked before each read.
        came: Called after each write.
        pause: Waits so many seconds, or less if the run ends.
    """

    task: Task
    partial: Partial
    limiter: Limiter
    came: Callable[[Task], None]
    pause: Callable[[float], object]

    def copy(self, stream: Stream, buffer: memoryview) -> None:
        """Write what the stream brings, up to the task's stop; more is cut off, and what is there is not written again.

        Args:
            stream: Begins where the task begins.
            buffer: Scratch memory; its size bounds a read.

        Raises:
            Aborted: The task was aborted.
            Unavailable: The stream failed or ended too early.
            StoreError: The disk refuses.
        """
        task, read, pace = self.task, _reader(stream), Pace(len(buffer), min(_FIRST, len(buffer)))
        while task.position < task.stop:
            began = time.monotonic()
            block = read(buffer[: task.ask(self.limiter.quantum(pace.size))])
            if not block:
                self._ended(stream)
                break
            pace.took(time.monotonic() - began, len(block))
            task.heard(len(block))
            self._write(block)
            self.came(task)
            self._pay(len(block))

    def _write(self, block: memoryview) -> None:
        task = self.task
        with task.lock:  # whoever aborts, splits or abandons the task is served before or after the write, not amid it
            if task.aborted is not None:
                raise Aborted
            begin, end = task.position, min(task.position + len(block), task.stop)
            for start, stop in self.partial.gaps(begin, end):
                self.partial.write(start, block[start - begin : stop - begin])
                task.gained += stop - start
            task.position, task.asked = end, 0

    def _pay(self, count: int) -> None:
        wait = self.limiter.charge(count)
        if wait > 0:
            self.task.waits(wait)
            self.pause(wait)

    def _ended(self, stream: Stream) -> None:
        task = self.task
        with task.lock:
            if task.stop == END:
                task.stop = task.position
            if task.aborted is not None:
                raise Aborted
        if task.position < task.stop:
            total = f" of {stream.total}" if stream.total is not None else ""
            raise Unavailable(f"the bytes ended at {task.position}{total}, too early", code=Code.CUT_SHORT)


def _reader(stream: Stream) -> Callable[[memoryview], memoryview]:
    """Return what reads a block: into the buffer where the stream can, else as the stream's own chunks come."""
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
