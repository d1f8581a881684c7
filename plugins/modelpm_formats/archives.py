"""The wrappings in which pickles come: zip and tar, opened bounded and never extracted."""

import re
import tarfile
import zipfile
from collections.abc import Iterator
from typing import Final

from modelpm.api.inspection import ByteSource
from modelpm.api.toolkit import MalformedError, Part
from modelpm_formats.budget import MEMBER, Budget
from modelpm_formats.packed import FAST, FAULTS, SLOW, Forward, Readable, Stream

MOST_MEMBERS: Final = 50_000
_LARGEST_DIRECTORY: Final = 8 << 20
_LARGEST_TAR_HEADER: Final = 1 << 20
_TAR_BLOCK: Final = 512
_ENTRY, _DIRECTORY, _END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_ENTRY_BYTES: Final = 30
_END_BYTES: Final = 22
_END_ZIP64: Final = 56 + 20
_RECORD_ZIP64, _LOCATOR_ZIP64 = b"PK\x06\x06", b"PK\x06\x07"
_LONGEST_COMMENT: Final = 65535
_MOST_ENDS: Final = 8
_UNREADABLE: Final = {b"\x04\x22\x4d\x18": "lz4", b"\x28\xb5\x2f\xfd": "zstd"}
_UTF_8: Final = 0x800  # a flag: the name is UTF-8
_STORAGE: Final = re.compile(r"(.*)/data/[0-9]+")


def is_zip(head: bytes) -> bool:
    """Return whether the first bytes are those of a zip archive."""
    return head.startswith((_ENTRY, _END))


def zip_end(source: ByteSource) -> int | None:
    """Return where a zip archive's end stands, for readers that look from the end whatever a file begins with."""
    tail = source.read(max(0, source.size - _END_BYTES - _LONGEST_COMMENT), _END_BYTES + _LONGEST_COMMENT)
    at, ends = tail.rfind(_END), 0
    while at >= 0:
        ends += 1
        place, end = source.size - len(tail) + at, tail[at : at + _END_BYTES]
        size, offset = _number(end[12:16]), _number(end[16:20])
        before = source.read(max(0, place - _END_ZIP64), _END_ZIP64)
        starts = [where for where in (offset, place - size) if 0 <= where < place]
        is_found = any(source.read(where, len(_DIRECTORY)) == _DIRECTORY for where in starts)
        if is_found or before[56:60] == _LOCATOR_ZIP64 or ends > _MOST_ENDS:
            return place
        at = tail.rfind(_END, 0, at)
    return None


def is_tar(head: bytes) -> bool:
    """Return whether the first 512 bytes are a tar header, however its numbers are spelled."""
    block = head[:_TAR_BLOCK]
    if len(block) < _TAR_BLOCK or not block.strip(b"\0"):
        return False
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except FAULTS:
        return False
    return True


def unreadable(head: bytes) -> str | None:
    """Return the compression that Python's standard library does not read."""
    return next((name for magic, name in _UNREADABLE.items() if head.startswith(magic)), None)


def tar_members(source: ByteSource, budget: Budget) -> Iterator[tuple[str, Part]]:
    """Yield the name and the bytes of each file in a tar archive.

    Raises:
        MalformedError: The archive is damaged, has sparse members, or more members than modelpm reads.
    """
    try:
        archive = tarfile.open(fileobj=Stream(source, _LARGEST_TAR_HEADER), mode="r:")  # noqa: SIM115 - the stream holds nothing open
        for number, member in enumerate(archive):
            budget.spend(MEMBER)
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


def zip_member(archive: zipfile.ZipFile, source: ByteSource, info: zipfile.ZipInfo, budget: Budget) -> ByteSource:
    """Return the bytes of a zip archive's member; those that are stored as they are can be read in any order.

    Raises:
        MalformedError: It is damaged, encrypted, or of another name than the directory says.
    """
    budget.spend(MEMBER)
    is_stored = info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1
    return stored(source, info) if is_stored else Member(archive, info, budget)


def stored(source: ByteSource, info: zipfile.ZipInfo) -> Part:
    """Return the bytes of a member that is stored as it is.

    Raises:
        MalformedError: Its own entry says something else than the directory.
    """
    entry = source.read(info.header_offset, _ENTRY_BYTES)
    begin = info.header_offset + _ENTRY_BYTES + _number(entry[26:28])
    name = source.read(info.header_offset + _ENTRY_BYTES, _number(entry[26:28]))
    text = name.decode("utf-8" if info.flag_bits & _UTF_8 else "cp437", "replace")
    if not entry.startswith(_ENTRY) or text != info.orig_filename or info.file_size != info.compress_size:
        raise MalformedError("the zip archive's directory says something else than its members")
    return Part(source, begin + _number(entry[28:30]), info.file_size)


class Member(Forward):
    """A zip archive's member, decompressed."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget) -> None:
        """Open a member."""
        self._archive, self._info = archive, info
        super().__init__(budget, info.file_size)

    def _begun(self) -> tuple[Readable, int]:
        try:
            stream = self._archive.open(self._info)
        except FAULTS as error:
            raise MalformedError(f"it cannot be read: {error}") from error
        return stream, FAST if self._info.compress_type == zipfile.ZIP_DEFLATED else SLOW
