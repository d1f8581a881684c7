"""Bytes to inspect: a file of this machine, or a range of one at its source."""

import os
import threading
from pathlib import Path
from typing import Final, Self

from modelpm.api.cursor import BoundError
from modelpm.api.types import RemoteFile
from modelpm.disk import explained, system
from modelpm.errors import Code, IntegrityError
from modelpm.plugins.kinds.source import GuardedSource

_LARGEST_READ: Final = 256 << 20


class LocalFile:
    """A file of this machine, opened once: what is inspected is one file, whatever its name leads to afterwards."""

    def __init__(self, path: Path) -> None:
        """Open a regular file.

        Raises:
            StoreError: The system refuses.
        """
        self._path = path
        with explained(path, "read"):
            self._fd = system.open_file(path, os.O_RDONLY)
            self._facts = os.fstat(self._fd)
        self._lock = threading.Lock()  # an inspector that was given up may still read while the file is closed

    @property
    def size(self) -> int:
        """Return how many bytes there are."""
        return self._facts.st_size

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes from ``offset``: ``length`` of them, or those up to the end.

        Raises:
            BoundError: They are more than an inspector may have at once.
            StoreError: The disk fails.
        """
        count = max(0, min(length, self.size - offset))
        if count > _LARGEST_READ or offset < 0:
            raise BoundError("an inspector asked for more bytes than it may have at once")
        buffer = bytearray(count)
        with self._lock, explained(self._path, "read"):
            got = 0
            while got < count and (more := system.pread_into(self._fd, memoryview(buffer)[got:], offset + got)):
                got += more
        return bytes(buffer[:got])

    def check_unchanged(self) -> None:
        """Make sure that another program did not write the file while it was inspected.

        Raises:
            IntegrityError: Code ``damaged``.
        """
        with self._lock:
            now = os.fstat(self._fd)
        if (now.st_size, now.st_mtime_ns) != (self._facts.st_size, self._facts.st_mtime_ns):
            raise IntegrityError(
                f"{self._path} was changed while it was inspected",
                code=Code.DAMAGED,
                hints=["end the program that writes it, then run the same command again"],
                path=str(self._path),
            )

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        with self._lock:
            os.close(self._fd)
            self._fd = -1


def remote_range(source: GuardedSource, file: RemoteFile, location: str, start: int, length: int) -> bytes:
    """Return a range of a file at its source.

    Args:
        source: Serves it.
        file: As its source listed it.
        location: Where it is.
        start: Offset of the first byte.
        length: How many bytes are wanted; what a source sends beyond is dropped.

    Raises:
        ModelpmError: The source fails, or cannot begin there.
    """
    got = bytearray()
    with source.open(file, location, start=start, stop=start + length) as stream:
        if stream.start != start:
            return b""
        for chunk in stream.chunks:
            got += chunk[: length - len(got)]
            if len(got) >= length:
                break
    return bytes(got)
