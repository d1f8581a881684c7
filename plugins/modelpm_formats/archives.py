"""The wrappings in which pickles come: zip, tar and compressed files, opened bounded and never extracted."""

import bz2
import gzip
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Final

from modelpm.api.inspection import ByteSource
from modelpm.api.toolkit import BoundError, MalformedError, Memory, Part

MOST_MEMBERS: Final = 50_000
MOST_UNPACKED: Final = 256 << 20
_LARGEST_DIRECTORY: Final = 8 << 20
_LARGEST_READ: Final = 64 << 20
_PIECE: Final = 1 << 20
_LARGEST_DICTIONARY: Final = 128 << 20
_LARGEST_TAR_HEADER: Final = 1 << 20
_TAR_BLOCK: Final = 512
_TAR_CHECKSUM: Final = slice(148, 156)
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
_END: Final = b"PK\x05\x06"
_END_BYTES: Final = 22
_END_ZIP64: Final = 56 + 20
_RECORD_ZIP64, _LOCATOR_ZIP64 = b"PK\x06\x06", b"PK\x06\x07"
_GZIP, _BZIP, _XZ, _LZMA = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x5d\x00"
_UNREADABLE: Final = {b"\x04\x22\x4d\x18": "lz4", b"\x28\xb5\x2f\xfd": "zstd"}
_STORAGE: Final = re.compile(r"(.*)/data/[0-9]+")
_ZLIB: Final = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_BZIP_BLOCK: Final = b"1AY&SY"
_BZIP_END: Final = b"\x17rE8P\x90"  # an empty stream, behind which another may follow

FAULTS: Final = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError,
    RuntimeError, NotImplementedError, OverflowError, MemoryError, IndexError,
)  # fmt: skip
"""What the standard library's readers of archives raise for bytes that are damaged, or made to do harm."""


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


def is_zip(head: bytes) -> bool:
    """Return whether the first bytes are those of a zip archive."""
    return head.startswith(_ZIP)


def is_tar(head: bytes) -> bool:
    """Return whether the first 512 bytes are a tar header with a right checksum, of signed or unsigned bytes."""
    block = head[:_TAR_BLOCK]
    digits = block[_TAR_CHECKSUM].strip(b" \0")
    if len(block) < _TAR_BLOCK or not digits.isdigit() or not block[0]:
        return False
    counted = sum(block) - sum(block[_TAR_CHECKSUM]) + len(block[_TAR_CHECKSUM]) * ord(" ")
    signed = counted - 256 * sum(byte >= 128 for byte in block[: _TAR_CHECKSUM.start] + block[_TAR_CHECKSUM.stop :])  # noqa: PLR2004 - a signed byte
    return int(digits, 8) in {counted, signed} if not digits.strip(b"01234567") else False


def is_compressed(head: bytes) -> bool:
    """Return whether the first bytes are those of gzip, bzip2, xz, LZMA or zlib."""
    bzip = head.startswith(_BZIP) and head[4:10] in {_BZIP_BLOCK, _BZIP_END}
    return bzip or head.startswith((_GZIP, _XZ, _LZMA, *_ZLIB))


def unreadable(head: bytes) -> str | None:
    """Return the compression that Python's standard library does not read."""
    return next((name for magic, name in _UNREADABLE.items() if head.startswith(magic)), None)


def unpacked_head(source: ByteSource, most: int) -> bytes:
    """Return the first bytes of a compressed file, decompressed.

    Raises:
        MalformedError: It is damaged.
    """
    return _decompressed(source, most, whole=False)


def unpacked(source: ByteSource, most: int) -> Memory:
    """Decompress a file.

    Raises:
        MalformedError: It is damaged, or larger than ``most`` once decompressed.
    """
    data = _decompressed(source, most + 1, whole=True)
    if len(data) > most:
        raise BoundError(f"it has more than {most:,} bytes once decompressed")
    return Memory(data)


def _decompressed(source: ByteSource, most: int, *, whole: bool) -> bytes:
    head = source.read(0, 8)
    try:
        if head.startswith(_GZIP):
            return gzip.GzipFile(fileobj=Stream(source)).read(most)
        if head.startswith(_BZIP):
            return bz2.BZ2File(Stream(source)).read(most)
        packed = Stream(source).read(-1 if whole else _PIECE)
        xz = head.startswith((_XZ, _LZMA))
        reader = lzma.LZMADecompressor(memlimit=_LARGEST_DICTIONARY) if xz else zlib.decompressobj()
        data = reader.decompress(packed, most)
    except FAULTS as error:
        raise MalformedError(f"it cannot be decompressed: {error}") from error
    if whole and (reader.unused_data or (not reader.eof and len(data) < most)):
        raise MalformedError("it ends early, or holds several streams")
    return data


def tar_members(source: ByteSource) -> Iterator[tuple[str, ByteSource]]:
    """Yield the name and the bytes of each file in a tar archive.

    Raises:
        MalformedError: The archive is damaged, has sparse members, or more members than modelpm reads.
    """
    try:
        archive = tarfile.open(fileobj=Stream(source, _LARGEST_TAR_HEADER), mode="r:")  # noqa: SIM115 - the stream holds nothing open
        for number, member in enumerate(archive):
            if number >= MOST_MEMBERS or member.issparse():
                raise MalformedError(f"it has more than {MOST_MEMBERS:,} members, or a sparse one")
            if member.isfile():
                yield member.name, Part(source, member.offset_data, member.size)
    except FAULTS as error:
        raise MalformedError(f"the tar archive cannot be read: {error}") from error


def zip_archive(source: ByteSource) -> zipfile.ZipFile:
    """Open a zip archive whose directory every reader finds at the same place.

    Raises:
        MalformedError: The archive is damaged, or ambiguous.
    """
    _directory(source)
    try:
        archive = zipfile.ZipFile(Stream(source))
    except FAULTS as error:
        raise MalformedError(f"the zip archive cannot be read: {error}") from error
    names = archive.namelist()
    if len(names) > MOST_MEMBERS or len({name.lower() for name in names}) < len(names):
        raise MalformedError(f"it has more than {MOST_MEMBERS:,} members, or two with one name")
    return archive


def _directory(source: ByteSource) -> None:
    """Hold the records at a zip archive's end against each other; readers differ in which of them they believe."""
    place = source.size - _END_BYTES
    end = source.read(max(0, place), _END_BYTES)
    if place < 0 or not end.startswith(_END) or end[-2:] != b"\0\0":
        raise MalformedError("the zip archive does not end with its directory")
    claims = [(end[10:12], _number(end[10:12])), (end[12:16], _number(end[12:16])), (end[16:20], _number(end[16:20]))]
    record = source.read(max(0, place - _END_ZIP64), _END_ZIP64)
    if record.startswith(_RECORD_ZIP64) and record[56:60] == _LOCATOR_ZIP64:
        place -= _END_ZIP64
        wide = [_number(record[32:40]), _number(record[40:48]), _number(record[48:56])]
        agreed = all(
            number == other or not raw.strip(b"\xff") for (raw, number), other in zip(claims, wide, strict=True)
        )
        if not agreed or _number(record[64:72]) != place:
            raise MalformedError("the zip archive has two directories")
    else:
        wide = [number for _, number in claims]
    members, size, offset = wide
    if members > MOST_MEMBERS or size > _LARGEST_DIRECTORY or offset + size != place:
        raise MalformedError("the zip archive's directory is too large, or not where the archive says")


def _number(raw: bytes) -> int:
    return int.from_bytes(raw, "little")


def is_storage(name: str, names: frozenset[str]) -> bool:
    """Return whether a member holds the raw numbers of a torch checkpoint, which torch never unpickles."""
    found = _STORAGE.fullmatch(name)
    return bool(found) and f"{found[1]}/data.pkl" in names if found else False


class Member:
    """A zip archive's member, decompressed as it is read forward, within a bound for the whole archive."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> None:
        """Open a member; at most ``most`` bytes of it are decompressed."""
        self.size, self.unpacked = info.file_size, 0
        self._archive, self._info, self._most = archive, info, most
        self._at, self._stream = 0, self._open()

    def _open(self) -> IO[bytes]:
        try:
            return self._archive.open(self._info)
        except FAULTS as error:
            raise MalformedError(f"it cannot be read: {error}") from error

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes from ``offset``: ``length`` of them, or those up to the end."""
        if offset < self._at:
            self._at, self._stream = 0, self._open()
        while self._at < offset:
            self._piece(offset - self._at)
        data, end = bytearray(), min(offset + length, self.size)
        while self._at < end:
            data += self._piece(end - self._at)
        return bytes(data)

    def _piece(self, count: int) -> bytes:
        try:
            data = self._stream.read(min(count, _PIECE))
        except FAULTS as error:
            raise MalformedError(f"it cannot be read: {error}") from error
        self._at += len(data)
        self.unpacked += len(data)
        if not data or self.unpacked > self._most:
            raise BoundError("it ends early, or has more bytes decompressed than modelpm reads")
        return data
