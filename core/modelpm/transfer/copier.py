"""Copy what older files seem to have into a partial, piece by piece, while the rest is fetched and hashed."""

import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from modelpm.disk import system
from modelpm.store.partials.partial import Partial
from modelpm.transfer.likeness import Span

_PIECE = 1 << 20  # as many files may be under way as there are connections: this is the memory of each


@dataclass(slots=True)
class Copier:
    """Copies spans in file order. Used only by the file's own thread.

    Attributes:
        partial: Where the bytes go.
        spans: What is still to copy, or to end with.
    """

    partial: Partial
    spans: list[Span]
    _path: Path | None = None
    _fd: int = -1
    _buffer: memoryview = field(default_factory=lambda: memoryview(bytearray(_PIECE)))

    def step(self, differing: Collection[Span]) -> Span | None:
        """Copy a piece; return the span that must be fetched instead, because it differs or cannot be read.

        Raises:
            StoreError: The partial cannot be written.
        """
        span = self.spans[0]
        missing = self.partial.gaps(span.start, span.stop)
        if missing and span not in differing:
            start, stop = missing[0]
            if count := self._read(span, start, min(stop - start, _PIECE)):
                self.partial.write(start, self._buffer[:count], copied=True)
                return None
        del self.spans[0]
        return span if missing else None

    def _read(self, span: Span, start: int, count: int) -> int:
        """Fill the buffer; return how many bytes came, none where the disk fails."""
        try:
            if span.path != self._path:
                self.close()
                self._fd, self._path = system.open_file(span.path, os.O_RDONLY), span.path
            return system.pread_into(self._fd, self._buffer[:count], span.offset + start - span.start)
        except OSError:
            return 0

    def close(self) -> None:
        """Release the file."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._path = -1, None
