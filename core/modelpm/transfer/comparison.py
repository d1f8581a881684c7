"""Compare a file at its source with older files on this machine, before it is fetched.

The header is read and kept as the beginning of the download. Then a few random places of its tensors are compared, in
bounded time. What seems the same is only guessed: the digest of the whole file decides.
"""

import threading
import time
from collections.abc import Collection, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import SystemRandom
from typing import Final

from modelpm.api.cursor import BoundError, MalformedError
from modelpm.errors import ModelpmError
from modelpm.inspection.files import LocalFile, remote_range
from modelpm.inspection.inspectors import Inspectors
from modelpm.store.partials.partial import Partial
from modelpm.transfer.context import RunContext
from modelpm.transfer.likeness import SAMPLE, Older, Span, alike, candidates, looks, probes
from modelpm.transfer.model import Origin
from modelpm.transfer.pieces import equal_pieces

_RANDOM: Final = SystemRandom()  # places that a publisher cannot foresee
_LARGEST_HEADER: Final = 64 << 20
_ROOM: Final = 16 << 10  # bytes by which a header may be longer than that of the older file, and still take one request
_PROBING: Final = 5.0  # seconds for the first places: one round trip, of a server that is far away
_RATE: Final = 4_000_000_000  # bytes of the file for each second of comparing: 2.5 % of the time at 100 MB a second
_PATIENCE: Final = 4  # times as long, where the digest says that something differs: to fetch all takes longer
_AT_ONCE: Final = 8
_TICK: Final = 0.05  # seconds between two looks whether the time is over, or the run


@dataclass(slots=True)
class Comparison:
    """Finds the spans of one file that older files have.

    Attributes:
        origin: Serves the file.
        size: Its bytes.
        context: The state that the run shares.
        inspectors: They read headers.
        spans: What seems to be the same, in file order.
        received: Bytes that were fetched for it.
    """

    origin: Origin
    size: int
    context: RunContext
    inspectors: Inspectors
    spans: Sequence[Span] = ()
    received: int = 0
    _files: dict[Path, LocalFile] = field(default_factory=dict)
    _opened: ExitStack = field(default_factory=ExitStack)
    _later: "_Looks | None" = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def compare(self, paths: Sequence[Path], partial: Partial) -> None:
        """Find out what seems to be the same; nothing if that cannot be done.

        Args:
            paths: The older files, the likeliest first.
            partial: Takes the bytes of the header.

        Raises:
            StoreError: The partial cannot be written.
        """
        for path in paths:
            with suppress(ModelpmError):
                self._files[path] = self._opened.enter_context(LocalFile(path))
        if pieces := self.origin.remote.pieces:  # they tell, and nothing is guessed
            self.spans = equal_pieces(pieces, self.size, self._files, self.context.stopped)
            return
        older = [old for path, file in self._files.items() if (old := self._older(path, file)) is not None]
        if not older:
            return
        found, head = self._candidates(older)
        if head:
            partial.write(0, memoryview(head))
        if found:
            self._look(found)

    def differing(self) -> Collection[Span]:
        """Return which of the spans were found to differ since, as far as that is known now."""
        return self._later.unlike if self._later is not None else ()

    def unlike(self) -> Collection[Span]:
        """Return the same when all were looked at, or that takes too long: the digest says that some differ."""
        if self._later is not None:
            self._later.result(_PATIENCE * self.size / _RATE)
        return self.differing()

    def close(self) -> None:
        """Look no further, and release the files."""
        if self._later is not None:
            self._later.end()
        self._opened.close()

    def _older(self, path: Path, file: LocalFile) -> Older | None:
        try:
            tensors = self.inspectors.tensors(file)
        except (ModelpmError, MalformedError):
            return None
        return Older(path, file.size, tensors) if tensors else None

    def _candidates(self, older: Sequence[Older]) -> tuple[list[Span], bytes]:
        """Return the spans to look at, and the bytes of the header."""
        first = min(tensor.start for tensor in older[0].tensors) + _ROOM
        head = _Head(self, first)
        try:
            return candidates(self.inspectors.tensors(head), self.size, older), bytes(head.data)
        except (ModelpmError, MalformedError):  # the download itself finds out what is wrong with it
            return [], bytes(head.data)

    def _look(self, spans: Sequence[Span]) -> None:
        """Look at some spans; what that leaves is looked at while the copy is made."""
        found = _Looks(self, probes(spans, _RANDOM)).result(_PROBING)
        if not any(found.values()):
            return
        more = _Looks(self, looks(spans, _RANDOM)).result(self.size / _RATE)
        looked = {span: found.get(span, True) and more.get(span, True) for span in (*found, *more)}
        self.spans = alike(spans, looked)
        self._later = _Looks(self, [span for span in self.spans if span not in looked])

    def differs(self, span: Span) -> bool:
        """Whether a random place of a span has other bytes at the source, or cannot be read."""
        at = _RANDOM.randrange(max(1, span.length - SAMPLE + 1))
        count = min(SAMPLE, span.length - at)
        try:
            return self.fetch(span.start + at, count) != self._files[span.path].read(span.offset + at, count)
        except ModelpmError:
            return True

    def fetch(self, start: int, count: int) -> bytes:
        """Return bytes of the file at its source.

        Raises:
            ModelpmError: The source fails.
        """
        origin = self.origin
        got = remote_range(origin.source, origin.remote, origin.location, start, count)
        with self._lock:
            self.received += len(got)
        self.context.stopped.wait(self.context.engine.limiter.charge(len(got)))
        return got


@dataclass(slots=True)
class _Head:
    """The beginning of a remote file, fetched as far as it is read."""

    comparison: Comparison
    first: int
    data: bytearray = field(default_factory=bytearray)

    @property
    def size(self) -> int:
        """Return how many bytes the file has."""
        return self.comparison.size

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes from ``offset``.

        Raises:
            BoundError: The header is longer than any.
            ModelpmError: The source fails.
        """
        stop = min(max(offset + length, self.first), self.size)
        if stop > _LARGEST_HEADER:
            raise BoundError("the header has more bytes than modelpm reads")
        if stop > len(self.data):
            self.data += self.comparison.fetch(len(self.data), stop - len(self.data))
        return bytes(self.data[offset : offset + length])


class _Looks:
    """Places that several threads look at; a thread that a server keeps is left alone.

    Attributes:
        unlike: The spans that were found to differ.
    """

    def __init__(self, comparison: Comparison, spans: Sequence[Span]) -> None:
        """Begin to look at a place of each span, in their order."""
        self.unlike: frozenset[Span] = frozenset()
        self._comparison = comparison
        self._waiting = list(reversed(spans))
        self._left = len(spans)
        self._found: dict[Span, bool] = {}
        self._changed = threading.Condition()
        for _ in range(min(_AT_ONCE, comparison.context.engine.options.jobs, len(spans))):
            threading.Thread(target=self._look, name="modelpm-comparison", daemon=True).start()

    def result(self, seconds: float) -> dict[Span, bool]:
        """Return whether each span was equal that was looked at when all were, or the time is over."""
        deadline, stopped = time.monotonic() + seconds, self._comparison.context.stopped
        with self._changed:
            while self._left and time.monotonic() < deadline and not stopped.is_set():
                self._changed.wait(_TICK)
            self.end()
            return dict(self._found)

    def end(self) -> None:
        """Begin with no other place."""
        with self._changed:
            self._waiting.clear()

    def _look(self) -> None:
        while True:
            with self._changed:
                if not self._waiting:
                    return
                span = self._waiting.pop()
            differs = self._comparison.differs(span)
            with self._changed:
                self._found[span] = self._found.get(span, True) and not differs
                self.unlike |= {span} if differs else frozenset()
                self._left -= 1
                self._changed.notify()
