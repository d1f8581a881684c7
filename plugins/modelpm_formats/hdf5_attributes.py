"""The attributes of an HDF5 file's root: read through its superblock and the root's object header, and nothing else."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from modelpm.api.inspection import ByteSource
from modelpm.api.toolkit import BoundError, Cursor, MalformedError, Memory

_WIDTHS: Final = (2, 4, 8)
_NEWER: Final = 2  # the superblock whose fields moved
_NEWEST: Final = 3
_MOST_BLOCKS: Final = 256
_LARGEST: Final = 16 << 20
_ATTRIBUTE, _ATTRIBUTES, _CONTINUATION = 0x0C, 0x15, 0x10
_SHARED: Final = 2  # a flag: the message is somewhere else
_TEXT, _VARIABLE = 3, 9
_OLD_PREFIX: Final = 16
_HEADER, _HEADER_BLOCK, _HEAP = b"OHDR", b"OCHK", b"GCOL"


@dataclass(frozen=True, slots=True)
class Superblock:
    """Where an HDF5 file has what.

    Attributes:
        start: Where it begins: addresses are counted from here.
        offsets: Bytes of an address.
        lengths: Bytes of a length.
        root: Address of the root's object header.
    """

    start: int
    offsets: int
    lengths: int
    root: int

    @classmethod
    def read(cls, source: ByteSource, start: int) -> "Superblock":
        """Read the superblock behind the signature.

        Raises:
            MalformedError: It is of an unknown version, or the file is cut.
        """
        head = source.read(start, 128)
        version = head[8] if len(head) > 8 else -1  # noqa: PLR2004 - behind the signature
        at, end = (9, 12) if version >= _NEWER else (13, 24 if version == 0 else 28)
        widths = head[at : at + 2]
        if not 0 <= version <= _NEWEST or len(widths) < 2 or not set(widths) <= set(_WIDTHS):  # noqa: PLR2004 - a pair
            raise MalformedError(f"the HDF5 superblock cannot be read: its version is {version}")
        offsets, lengths = widths
        cursor = Cursor(Memory(head), end)
        base, _, declared, last = (cursor.number(offsets) for _ in range(4))
        root = last
        if version < _NEWER:
            cursor.skip(offsets)  # the offset of the root's name
            root = cursor.number(offsets)
        size = source.size
        if declared - base + start > size:
            raise MalformedError(f"the HDF5 file is declared to have {declared:,} bytes, and it has {size:,}")
        return cls(start, offsets, lengths, root)


def attributes(source: ByteSource, block: Superblock, names: Collection[bytes]) -> list[bytes]:
    """Return the texts of those attributes of the root that have one of some names.

    Raises:
        MalformedError: They are stored in a way that modelpm does not read.
    """
    reader = _Reader(source, block)
    return [text for message in reader.messages() for text in reader.text(message, names)]


@dataclass(slots=True)
class _Reader:
    source: ByteSource
    block: Superblock
    left: int = _LARGEST

    def at(self, address: int, count: int) -> bytes:
        """Return bytes of the file."""
        self.left -= count
        if self.left < 0:
            raise BoundError("its root is larger than modelpm reads")
        data = self.source.read(self.block.start + address, count)
        if len(data) < count:
            raise MalformedError("its root lies outside of the file")
        return data

    def messages(self) -> Iterator[bytes]:
        """Yield the attributes among the messages of the root's object header."""
        prefix = self.at(self.block.root, 64)
        newer = prefix.startswith(_HEADER)
        blocks, flags = [self._first(prefix)], prefix[5] if newer else 0
        for _ in range(_MOST_BLOCKS):
            if not blocks:
                return
            cursor = Cursor(Memory(self.at(*blocks.pop(0))))
            narrow = 4 + (2 if flags & 4 else 0)
            while cursor.end - cursor.position >= (narrow if newer else 8):
                kind, size = cursor.number(1 if newer else 2), cursor.number(2)
                shared = cursor.number(1) & _SHARED
                cursor.skip(narrow - 4 if newer else 3)
                data = cursor.take(size)
                if kind == _CONTINUATION:
                    blocks.append(self._next(data, newer=newer))
                elif kind == _ATTRIBUTES and self._is_dense(data):
                    raise MalformedError("its attributes are in a heap")
                elif kind == _ATTRIBUTE:
                    if shared:
                        raise MalformedError("it shares an attribute")
                    yield data
        raise BoundError("its root has more blocks than modelpm reads")

    def _first(self, prefix: bytes) -> tuple[int, int]:
        root = self.block.root
        if not prefix.startswith(_HEADER):
            if prefix[0] != 1:
                raise MalformedError("its root has no object header")
            return root + _OLD_PREFIX, int.from_bytes(prefix[8:12], "little")
        flags = prefix[5]
        at = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        return root + at + width, int.from_bytes(prefix[at : at + width], "little")

    def _next(self, data: bytes, *, newer: bool) -> tuple[int, int]:
        cursor = Cursor(Memory(data))
        address, count = cursor.number(self.block.offsets), cursor.number(self.block.lengths)
        if not newer:
            return address, count
        if self.at(address, 4) != _HEADER_BLOCK:
            raise MalformedError("a block of its root is none")
        return address + 4, max(0, count - 8)

    def _is_dense(self, data: bytes) -> bool:
        at = 2 + (2 if data[1:2] and data[1] & 1 else 0)
        heap = data[at : at + self.block.offsets]
        return bool(heap.strip(b"\xff"))

    def text(self, message: bytes, names: Collection[bytes]) -> Iterator[bytes]:
        """Yield the text of an attribute, if it has one of the names."""
        cursor = Cursor(Memory(message))
        version, flags = cursor.number(1), cursor.number(1)
        sizes = [cursor.number(2) for _ in range(3)]
        if version == 3:  # noqa: PLR2004 - it says how its name is encoded
            cursor.skip(1)
        parts = []
        for size in sizes:
            parts.append(cursor.take(size))
            cursor.skip(-size % 8 if version == 1 else 0)
        if parts[0].rstrip(b"\0") not in names:
            return
        kind = parts[1][0] & 15 if parts[1] else -1
        if (flags & 3 and version > 1) or kind not in (_TEXT, _VARIABLE):
            raise MalformedError("an attribute is of a type that modelpm does not read")
        if kind == _TEXT:
            yield cursor.take(cursor.end - cursor.position).rstrip(b"\0")
        else:
            yield self._of_heap(cursor)

    def _of_heap(self, cursor: Cursor) -> bytes:
        """Return a text of variable length from the global heap."""
        length, address, index = cursor.number(4), cursor.number(self.block.offsets), cursor.number(4)
        head = self.at(address, 8 + self.block.lengths)
        if not head.startswith(_HEAP):
            raise MalformedError("the heap of a text is none")
        heap = Cursor(Memory(self.at(address, int.from_bytes(head[8:], "little"))), len(head))
        while heap.end - heap.position >= 8 + self.block.lengths:
            number = heap.number(2)
            heap.skip(6)
            size = heap.number(self.block.lengths)
            if number == index:
                return heap.take(size)[:length]
            if not number:
                break
            heap.skip(size + -size % 8)
        raise MalformedError("a text is not in its heap")
