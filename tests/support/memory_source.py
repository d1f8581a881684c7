"""A source over bytes in memory, with faults to order; what the engine is tried against without a network."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from modelpm.api.types import Reference, RemoteFile, Snapshot, Stream
from modelpm.errors import ModelpmError
from modelpm.plugins.discovery import Entry
from modelpm.plugins.kinds.source import GuardedSource
from modelpm.transfer import Origin

ENTRY = Entry("source", 1, "memory", "tests.support.memory_source", "modelpm-tests", "1")


@dataclass
class Request:
    """One call of ``open``."""

    number: int
    path: str
    start: int
    stop: int | None
    validator: str | None


Fault = Callable[[Request, bytes], "Answer | ModelpmError | Exception | None"]


@dataclass
class Answer:
    """What a fault makes of a request: how the stream begins, and what is in it."""

    body: Iterator[bytes]
    start: int
    total: int | None
    validator: str | None = None
    abort: Callable[[], None] | None = None


@dataclass
class MemorySource:
    """Serves ``files`` by path.

    Attributes:
        files: The bytes.
        fault: Asked first at every ``open``; None of its answer means that all is well.
        validator: Strong validator of every file.
        requests: Every call, in order.
        sent: Bytes handed out.
    """

    files: dict[str, bytes]
    fault: Fault | None = None
    validator: str | None = None
    readinto: bool = True
    piece: int = 1 << 18
    requests: list[Request] = field(default_factory=list)
    sent: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def resolve(self, reference: Reference) -> Snapshot:
        """List nothing; the engine does not ask."""
        return Snapshot(reference, "", ())

    @contextmanager
    def open(
        self, file: RemoteFile, location: str, *, start: int = 0, stop: int | None = None, validator: str | None = None
    ) -> Iterator[Stream]:
        """Open a range."""
        del file
        with self._lock:
            request = Request(len(self.requests), location, start, stop, validator)
            self.requests.append(request)
        data = self.files[location]
        answer = self.fault(request, data) if self.fault else None
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            answer = Answer(self.pieces(data[start:stop]), start, len(data), self.validator)
        chunks = self._counted(answer.body)
        readinto = _reader(chunks) if self.readinto else None
        yield Stream(chunks, answer.start, answer.total, answer.validator, readinto, answer.abort)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Cut bytes into pieces."""
        for at in range(0, len(data), self.piece):
            yield data[at : at + self.piece]

    def _counted(self, body: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in body:
            with self._lock:
                self.sent += len(chunk)
            yield chunk

    def origin(self, path: str, size: int | None = None, label: str = "memory") -> Origin:
        """Return the origin of a file."""
        return Origin(GuardedSource.of(ENTRY, self), RemoteFile(path, size, None, (path,)), path, f"{label}/{path}")


def _reader(chunks: Iterator[bytes]) -> Callable[[memoryview], int]:
    rest = memoryview(b"")

    def readinto(buffer: memoryview) -> int:
        nonlocal rest
        if not rest:
            rest = memoryview(next(chunks, b""))
        count = min(len(buffer), len(rest))
        buffer[:count] = rest[:count]
        rest = rest[count:]
        return count

    return readinto
