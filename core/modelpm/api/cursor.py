"""Bytes to inspect, local or remote, and a cursor that reads them forward in a few bounded pieces."""

from dataclasses import dataclass
from struct import Struct
from typing import Final

from modelpm.api.inspection import ByteSource

LENGTH: Final = Struct("<Q")
_LARGEST_PIECE: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that are in memory."""

    data: bytes

    @property
    def size(self) -> int:
        """Return how many bytes there are."""
        return len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset`` on, or fewer at the end."""
        return self.data[offset : offset + length]


@dataclass(frozen=True, slots=True)
class Part:
    """A range of another source, such as a member of a tar archive."""

    source: ByteSource
    start: int
    size: int

    def read(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset`` on, or fewer at the end of the part."""
        return self.source.read(self.start + offset, max(0, min(length, self.size - offset)))


class MalformedError(ValueError):
    """The bytes break the rules of their format, or a bound of modelpm."""


class CutError(MalformedError):
    """The file ends before what it declares.

    Attributes:
        needed: How many bytes the declaration asks for.
    """

    def __init__(self, message: str, needed: int = 0) -> None:
        """Say what is cut."""
        super().__init__(message)
        self.needed = needed


class BoundError(MalformedError):
    """The file asks for more than modelpm reads or follows."""


class Cursor:
    """Reads a source forward. Pieces double up to 4 MiB, and start small again after a jump."""

    def __init__(self, source: ByteSource, start: int = 0, *, first: int = 64 << 10, limit: int = 256 << 20) -> None:
        """Start at an offset.

        Args:
            source: The bytes.
            start: The offset to begin at.
            first: The bytes of the first request.
            limit: The most bytes to fetch; more is a ``BoundError``.
        """
        self.end = source.size
        self._source, self._first, self._step, self._limit = source, first, first, limit
        self._buffer, self._base, self._at = b"", start, 0

    @property
    def position(self) -> int:
        """Return the offset of the next byte."""
        return self._base + self._at

    def take(self, count: int) -> bytes:
        """Return the next bytes.

        Raises:
            CutError: The file ends too early.
            BoundError: The limit does not allow so many bytes.
        """
        at = self._at
        if at + count > len(self._buffer):
            self._fill(count)
            at = self._at
        self._at = at + count
        return self._buffer[at : at + count]

    def skip(self, count: int) -> None:
        """Skip bytes without fetching them."""
        if self._at + count <= len(self._buffer):
            self._at += count
            return
        target = self.position + count
        if target > self.end:
            raise self._cut(self.position, count)
        self._buffer, self._base, self._at, self._step = b"", target, 0, self._first

    def number(self, size: int) -> int:
        """Return the next bytes as an unsigned little-endian number."""
        return int.from_bytes(self.take(size), "little")

    def line(self, most: int) -> bytes:
        """Return the bytes before the next newline, at most ``most`` of them; skip the newline."""
        kept = bytearray()
        while True:
            if self._at == len(self._buffer):
                self._fill(1)
            found = self._buffer.find(b"\n", self._at)
            upto = len(self._buffer) if found < 0 else found
            kept += self._buffer[self._at : min(upto, self._at + most - len(kept))]
            self._at = upto
            if found >= 0:
                self._at += 1
                return bytes(kept)

    def skip_strings(self, count: int) -> None:
        """Skip strings that each follow an 8-byte length, fast enough for a vocabulary."""
        length, width = LENGTH.unpack_from, LENGTH.size
        while count:
            if self._at + width > len(self._buffer):
                self._fill(width)
            buffer, at, last = self._buffer, self._at, len(self._buffer) - width
            while count and at <= last:
                at += width + length(buffer, at)[0]
                count -= 1
            over = at - len(buffer)
            self._at = min(at, len(buffer))
            if over > 0:
                if self.position + over > self.end:
                    raise CutError(f"a string ends beyond the file's {self.end:,} bytes")
                self._fill(over)
                self._at += over

    def _cut(self, at: int, count: int) -> CutError:
        told = f"{count:,} bytes are declared at byte {at:,}, and the file ends at {self.end:,}"
        return CutError(told, count)

    def _fill(self, count: int) -> None:
        left = self._buffer[self._at :]
        start = self._base + self._at
        if start + count > self.end:
            raise self._cut(start, count)
        asked = min(max(count - len(left), self._step), self.end - start - len(left))
        self._limit -= asked
        if self._limit < 0:
            raise BoundError("it has more bytes than modelpm reads")
        got = self._source.read(start + len(left), asked)
        if len(left) + len(got) < count:
            raise CutError(f"the bytes at {start:,} could not be read")
        self._buffer, self._base, self._at = left + got, start, 0
        self._step = min(self._step * 2, _LARGEST_PIECE)
