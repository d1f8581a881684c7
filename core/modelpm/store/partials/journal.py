"""The journal of a partial download: which bytes are there, and which of them would survive a power cut.

A header line (JSON and its CRC), then fixed records ``magic | kind | offset | length | digest | crc``, append-only.
A torn tail, or a damaged record, ends what counts. Four kinds of records say something of the data:

* ``EXTENT``: these bytes were written; true as long as the machine stays up.
* ``PREFIX``: SHA-256 of everything before ``offset``; finds bytes that rotted since.
* ``DROP``: these bytes are not good after all.
* ``COPY``: these bytes are, or will be, those of another file that seems to have them; its record comes before theirs.

``SYNC`` says that everything in the journal's first ``length`` bytes is on the medium. The header names the boot
it was written in: after another one, only what a ``SYNC`` covers is believed.
"""

import json
import os
import struct
import zlib
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

from modelpm.disk import system
from modelpm.disk.atomic import write_atomic
from modelpm.store.partials.ranges import END, Ranges

VERSION = 1
MAX_HEADER_BYTES = 1 << 14
MAX_BYTES = 1 << 26  # a million records; the bytes of later ones are fetched again
_MAGIC = b"MPMJ"
_BODY = struct.Struct("<4sB3xQQ32s")
_CRC = struct.Struct("<I")
RECORD_SIZE = _BODY.size + _CRC.size


class Kind(IntEnum):
    """The kind of a record."""

    EXTENT = 1
    PREFIX = 2
    DROP = 3
    SYNC = 4
    COPY = 5


@dataclass(frozen=True, slots=True)
class Header:
    """The file that the bytes belong to.

    Attributes:
        key: Name of the partial.
        size: Bytes of the whole file, or None if unknown.
        digest: The digest that is promised, as ``algorithm:hex``, or None.
        origin: Label of the origin that ``validator`` is from.
        validator: A strong ETag; without a promised digest, only this allows a resume.
        boot: Identifies the boot it was written in; "" is never the same boot.
    """

    key: str
    size: int | None
    digest: str | None
    origin: str = ""
    validator: str | None = None
    boot: str = ""


@dataclass(slots=True)
class Contents:
    """The contents of a journal.

    Attributes:
        header: What it belongs to.
        extents: The bytes that count.
        prefixes: SHA-256 (hexadecimal) of the bytes before an offset.
        copied: The bytes that were not fetched, but copied from a file that seems to have them.
    """

    header: Header
    extents: Ranges = field(default_factory=Ranges)
    prefixes: dict[int, str] = field(default_factory=dict)
    copied: Ranges = field(default_factory=Ranges)


def encode_header(header: Header) -> bytes:
    """Return the header line."""
    text = json.dumps({"v": VERSION, **asdict(header)}, separators=(",", ":")).encode()
    return text + b" %08x\n" % zlib.crc32(text)


def encode(kind: Kind, offset: int, length: int, digest: bytes = b"") -> bytes:
    """Return one record."""
    body = _BODY.pack(_MAGIC, kind, offset, length, digest)
    return body + _CRC.pack(zlib.crc32(body))


def decode(raw: bytes, boot: str) -> Contents | None:
    """Read a journal as far as it is whole.

    Args:
        raw: The file's bytes, however damaged.
        boot: The boot we are in; where the header names another, only what is marked as synced counts.

    Returns:
        What it says, or None if the header is damaged or of a newer version.
    """
    line, newline, rest = raw.partition(b"\n")
    header = _decode_header(line) if newline and len(line) <= MAX_HEADER_BYTES else None
    if header is None:
        return None
    records = _decode_records(rest)
    if not boot or header.boot != boot:
        begin = len(line) + 1
        marks = [length for kind, _, length, _ in records if kind == Kind.SYNC]
        synced = max(marks, default=0)
        records = records[: max(0, synced - begin) // RECORD_SIZE]
    contents = Contents(header)
    for kind, offset, length, digest in records:
        _apply(contents, kind, offset, length, digest)
    return contents


def _decode_header(line: bytes) -> Header | None:
    text, _, crc = line.rpartition(b" ")
    try:
        if crc != b"%08x" % zlib.crc32(text):
            return None
        values: Any = json.loads(text)
        header = Header(**values) if values.pop("v") == VERSION else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return header


def _decode_records(raw: bytes) -> list[tuple[int, int, int, bytes]]:
    records = []
    for at in range(0, len(raw) - RECORD_SIZE + 1, RECORD_SIZE):
        body = raw[at : at + _BODY.size]
        (crc,) = _CRC.unpack_from(raw, at + _BODY.size)
        magic, kind, offset, length, digest = _BODY.unpack(body)
        if magic != _MAGIC or crc != zlib.crc32(body) or max(offset, length) > END:
            break
        records.append((kind, offset, length, digest))
    return records


def _apply(contents: Contents, kind: int, offset: int, length: int, digest: bytes) -> None:
    if kind == Kind.EXTENT:
        contents.extents.add(offset, offset + length)
    elif kind == Kind.DROP:
        contents.extents.remove(offset, offset + length)
        contents.copied.remove(offset, offset + length)
    elif kind == Kind.COPY:
        contents.copied.add(offset, offset + length)
    elif kind == Kind.PREFIX:
        contents.prefixes[offset] = digest.hex()


class Journal:
    """An open journal. Appending is one ``write``; threads that share it hold a lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.length = 0
        self._fd = -1

    @property
    def started(self) -> bool:
        """Whether it is open, so that something can be appended."""
        return self._fd >= 0

    def start(self, contents: Contents, *, synced: bool) -> None:
        """Write a new journal in place of whatever is there, atomically, and open it.

        Args:
            contents: What it should say.
            synced: Whether the bytes it speaks of are on the medium.

        Raises:
            OSError: The system refuses.
        """
        self.close()
        raw = encode_header(contents.header)
        raw += b"".join(encode(Kind.COPY, start, stop - start) for start, stop in contents.copied)
        raw += b"".join(encode(Kind.EXTENT, start, stop - start) for start, stop in contents.extents)
        raw += b"".join(encode(Kind.PREFIX, at, 0, bytes.fromhex(hex_)) for at, hex_ in contents.prefixes.items())
        if contents.extents:
            raw += encode(Kind.SYNC, 0, len(raw)) if synced else b""
            write_atomic(self.path, raw, mode=0o600)
            self._fd = system.open_file(self.path, os.O_WRONLY)
        else:  # nothing can be lost: a torn header is a new beginning
            self._fd = system.open_file(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            system.pwrite(self._fd, raw, 0)
        self.length = len(raw)

    def append(self, kind: Kind, offset: int, length: int, digest: bytes = b"") -> None:
        """Add a record.

        Raises:
            OSError: The system refuses; a part that was written is overwritten by the next record.
        """
        system.pwrite(self._fd, encode(kind, offset, length, digest), self.length)
        self.length += RECORD_SIZE

    def sync(self) -> None:
        """Bring the journal to the medium."""
        system.fdatasync(self._fd)

    def cut(self, length: int) -> None:
        """Cut the journal to its first ``length`` bytes."""
        os.ftruncate(self._fd, length)
        self.length = length

    def close(self) -> None:
        """Release the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def read(path: Path) -> bytes:
    """Return the bytes of a journal; none if there is none, or where something else is in its place."""
    try:
        fd = system.open_file(path, os.O_RDONLY)
    except OSError:
        return b""
    with os.fdopen(fd, "rb") as file:
        return file.read(MAX_BYTES)
