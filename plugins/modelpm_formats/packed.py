"""Compressed bytes, read forward within bounds; to go back means to begin again, which the budget pays."""

import bz2
import gzip
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from contextlib import suppress
from typing import Final, Protocol

from modelpm.api.inspection import ByteSource
from modelpm.api.toolkit import BoundError, MalformedError, Part
from modelpm_formats.budget import Budget

PIECE: Final = 256 << 10
_FIRST: Final = 8 << 10  # pieces double: of most members the head is enough
_WINDOW: Final = 1 << 20
_LARGEST_READ: Final = 64 << 20
_LARGEST_DICTIONARY: Final = 65 << 20  # what `xz -9` needs
_OLD_JOBLIB: Final = re.compile(rb"ZF([0-9a-fA-Fx ]{19}) ?")  # a length, and a zlib stream
_GZIP, _BZIP, _XZ, _LZMA = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x5d\x00"
_DEFLATE, _WINDOWS, _PRESET, _CHECK = 8, 7, 32, 31  # of the two bytes before a zlib stream
_BZIP_BLOCK: Final = b"1AY&SY"
_BZIP_END: Final = b"\x17rE8P\x90"  # an empty stream, behind which another may follow
FAST, SLOW = 256, 32
"""Bytes that one unit of work gives: inflated, and of bzip2 or LZMA."""

FAULTS: Final = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError,
    RuntimeError, NotImplementedError, OverflowError, MemoryError, IndexError,
)  # fmt: skip
"""What the standard library's readers of archives raise for bytes that are damaged, or made to do harm."""


class Readable(Protocol):
    """Bytes that are read forward."""

    def read(self, count: int, /) -> bytes:
        """Return at most that many bytes; none at the end."""
        ...


class Stream(io.RawIOBase):
    """A source as the file object that the standard library's readers need."""

    def __init__(self, source: ByteSource, most: int = _LARGEST_READ) -> None:
        """Start at the beginning of a source; ``most`` bytes are returned at once."""
        super().__init__()
        self._source, self._at, self._most = source, 0, most

    def seekable(self) -> bool:
        """Return that the stream can be positioned."""
        return True

    def readable(self) -> bool:
        """Return that the stream can be read."""
        return True

    def tell(self) -> int:
        """Return the offset of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to an offset from the start, from here, or from the end."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}[whence]
        if self._at < 0:
            raise OSError("a position before the file's start")
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes, or all.

        Raises:
            MalformedError: They are more than the stream returns at once.
        """
        rest = max(0, self._source.size - self._at)
        wanted = rest if size is None or size < 0 else min(size, rest)
        if wanted > self._most:
            raise MalformedError("a header of the archive is larger than modelpm reads")
        data = self._source.read(self._at, wanted)
        self._at += len(data)
        return data


class Xz:
    """An xz or LZMA file, within a bound of memory, which the standard library's reader does not have."""

    def __init__(self, source: ByteSource) -> None:
        """Start at the beginning."""
        self._packed, self._data = Stream(source), b""
        self._reader = lzma.LZMADecompressor(memlimit=_LARGEST_DICTIONARY)

    def read(self, count: int, /) -> bytes:
        """Return at most that many bytes; none at the end."""
        while True:
            if self._reader.eof:
                self._data = self._reader.unused_data or self._packed.read(PIECE)
                if not self._data.strip(b"\0"):
                    return b""
                self._reader = lzma.LZMADecompressor(memlimit=_LARGEST_DICTIONARY)
            elif self._reader.needs_input and not self._data:
                self._data = self._packed.read(PIECE)
                if not self._data:
                    raise EOFError("the compressed file ends early")
            found = self._reader.decompress(self._data, count)
            self._data = b""
            if found:
                return found


class Zlib:
    """One zlib stream, as joblib writes it."""

    def __init__(self, source: ByteSource) -> None:
        """Start at the beginning."""
        self._packed, self._reader = Stream(source), zlib.decompressobj()

    def read(self, count: int, /) -> bytes:
        """Return at most that many bytes; none at the end."""
        reader = self._reader
        while not reader.eof:
            data = reader.unconsumed_tail or self._packed.read(PIECE)
            if found := reader.decompress(data, count):
                return found
            if not data and not reader.eof:
                raise EOFError("the compressed file ends early")
        if reader.unused_data or self._packed.read(1):
            raise EOFError("it holds several streams")
        return b""


def is_compressed(head: bytes) -> bool:
    """Return whether the first bytes are those of gzip, bzip2, xz, LZMA or zlib."""
    bzip = head.startswith(_BZIP) and head[4:10] in {_BZIP_BLOCK, _BZIP_END}
    return bzip or head.startswith((_GZIP, _XZ)) or _is_weak(head)


def _is_weak(head: bytes) -> bool:
    """Return whether the first bytes are those of zlib, LZMA or an old joblib, which other data begins with, too."""
    if len(head) < 2:  # noqa: PLR2004 - a pair
        return False
    method, flags = head[0], head[1]
    zlib_ = method & 15 == _DEFLATE and method >> 4 <= _WINDOWS and not flags & _PRESET
    checked = zlib_ and (method << 8 | flags) % _CHECK == 0
    return checked or head.startswith(_LZMA) or _OLD_JOBLIB.match(head) is not None


def _opened(source: ByteSource) -> tuple[Readable, int]:
    """Return a compressed file, to be read from its beginning, and how many bytes a unit of work gives."""
    head = source.read(0, 32)
    if old := _OLD_JOBLIB.match(head):
        return Zlib(Part(source, old.end(), source.size - old.end())), FAST
    if head.startswith(_GZIP):
        return gzip.GzipFile(fileobj=Stream(source)), FAST
    if head.startswith(_BZIP):
        return bz2.BZ2File(Stream(source)), SLOW
    return (Xz(source), SLOW) if head.startswith((_XZ, _LZMA)) else (Zlib(source), FAST)


class Forward:
    """Bytes that come out of a decompressor; the last MiB is kept, so that headers can be looked at twice."""

    def __init__(self, budget: Budget, size: int) -> None:
        """Read nothing yet."""
        self.size = size
        self._budget, self._largest = budget, PIECE
        self._begin()

    def _begin(self) -> None:
        self._at, self._window, self._step = 0, b"", min(_FIRST, self._largest)
        self._stream, self._rate = self._begun()

    def _begun(self) -> tuple[Readable, int]:
        """Return the stream from its beginning, and how many of its bytes a unit of work gives."""
        raise NotImplementedError

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes from ``offset``: ``length`` of them, or those up to the end.

        Raises:
            MalformedError: They are damaged, or cost more than the budget has.
        """
        if offset < self._at - len(self._window):
            self._begin()
        end = min(offset + length, self.size)
        known = self._at - len(self._window)
        data = bytearray(self._window[max(0, offset - known) : max(0, end - known)])
        while self._at < end:
            before = self._at
            piece = self.piece()
            if not piece:
                raise BoundError("it ends early")
            data += piece[max(0, offset - before) : end - before]
        return bytes(data)

    def piece(self) -> bytes:
        """Return the next bytes; none at the end.

        Raises:
            MalformedError: As :meth:`read`.
        """
        try:
            data = self._stream.read(self._step)
        except MalformedError:
            raise
        except FAULTS as error:
            raise MalformedError(f"it cannot be decompressed: {error}") from error
        self._budget.spend(1 + len(data) // self._rate)
        self._at += len(data)
        self._step = min(2 * self._step, self._largest)
        self._window = (self._window + data)[-_WINDOW:]
        return data


class Packed(Forward):
    """A compressed file, decompressed."""

    def __init__(self, source: ByteSource, budget: Budget) -> None:
        """Read nothing yet; the size is not known before :meth:`measure`."""
        self._source = source
        super().__init__(budget, 1 << 62)

    def _begun(self) -> tuple[Readable, int]:
        try:
            return _opened(self._source)
        except FAULTS as error:
            raise MalformedError(f"it cannot be decompressed: {error}") from error

    def head(self, most: int) -> bytes:
        """Return the first bytes, as many as there are of them; none if the file only begins like a compressed one.

        Raises:
            MalformedError: It is damaged.
        """
        try:
            self._upto(most)
        except MalformedError:
            if not _is_weak(self._source.read(0, 32)):
                raise
            self._largest = 1  # what a loader gets before the fault
            self._begin()
            with suppress(MalformedError):
                self._upto(most)
        return self._window[:most]

    def _upto(self, most: int) -> None:
        while self._at < most and self.piece():
            pass

    def measure(self) -> None:
        """Decompress the file once to learn its size.

        Raises:
            MalformedError: It is damaged, or costs more than the budget has.
        """
        while self.piece():
            pass
        self.size = self._at
