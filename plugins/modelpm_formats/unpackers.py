"""The unpackers: zip, tar, compressed files and raw parts, read forward and never written by themselves."""

import bz2
import gzip
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final

from modelpm.api import UsageError
from modelpm.api.inspection import ByteSource
from modelpm.api.toolkit import MalformedError
from modelpm.api.unpacking import Member
from modelpm_formats.archives import zip_archive
from modelpm_formats.packed import FAULTS, Readable, Stream, Xz
from modelpm_formats.tars import tar_files

PIECE: Final = 1 << 20
_LARGEST_WINDOW: Final = 128 << 20
_MAC: Final = "__MACOSX/"  # what macOS adds to every zip: no part of the model


def _gz(source: ByteSource) -> Readable:
    return gzip.GzipFile(fileobj=Stream(source))


def _bz2(source: ByteSource) -> Readable:
    return bz2.BZ2File(Stream(source))


class Zst:
    """A zstd file, decompressed forward by a library that is an extra."""

    def __init__(self, source: ByteSource) -> None:
        """Start at the beginning.

        Raises:
            UsageError: The library is missing.
        """
        try:
            import zstandard
        except ImportError as error:
            raise UsageError(
                "zstd archives need a library that is not installed",
                hints=["install it with: pip install 'modelpm[zstd]'"],
            ) from error
        self._fault: type[Exception] = zstandard.ZstdError
        reader: Any = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW)
        self._stream: Readable = reader.stream_reader(Stream(source), read_across_frames=True)

    def read(self, count: int, /) -> bytes:
        """Return at most that many bytes; none at the end."""
        try:
            return self._stream.read(count)
        except self._fault as error:
            raise ValueError(str(error)) from error


def pieces(stream: Readable | IO[bytes]) -> Iterator[bytes]:
    """Yield what a stream has, piece by piece.

    Raises:
        MalformedError: It is damaged.
    """
    while piece := _read(stream):
        yield piece


def _read(stream: Readable | IO[bytes]) -> bytes:
    try:
        return stream.read(PIECE)
    except FAULTS as error:
        raise MalformedError(f"it cannot be decompressed: {error}") from error


@dataclass(frozen=True, slots=True)
class Zip:
    """Reads a zip archive."""

    def unpack(self, parts: Sequence[ByteSource], name: str) -> Iterator[Member]:
        """As :meth:`modelpm.api.unpacking.Unpacker.unpack`."""
        del name
        archive = zip_archive(parts[0])
        for info in archive.infolist():
            if not info.is_dir() and not info.filename.startswith(_MAC):
                yield Member(info.filename, self._chunks(archive, info))

    def unpacked_size(self, parts: Sequence[ByteSource]) -> int:
        """As :meth:`modelpm.api.unpacking.Measured.unpacked_size`."""
        return sum(info.file_size for info in zip_archive(parts[0]).infolist())

    def _chunks(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in {0, stat.S_IFREG}:
            raise MalformedError(f"`{info.filename[:80]}` is a link or a device")
        if info.flag_bits & 1:
            raise MalformedError(f"`{info.filename[:80]}` is encrypted")
        try:
            stream = archive.open(info)
        except FAULTS as error:
            raise MalformedError(f"`{info.filename[:80]}` cannot be read: {error}") from error
        with stream:
            yield from pieces(stream)


@dataclass(frozen=True, slots=True)
class Tar:
    """Reads a tar archive.

    Attributes:
        opened: Decompresses it.
    """

    opened: Callable[[ByteSource], Readable]

    def unpack(self, parts: Sequence[ByteSource], name: str) -> Iterator[Member]:
        """As :meth:`modelpm.api.unpacking.Unpacker.unpack`."""
        del name
        for path, chunks in tar_files(pieces(self.opened(parts[0]))):
            yield Member(path, chunks)


@dataclass(frozen=True, slots=True)
class Single:
    """Reads one compressed file.

    Attributes:
        opened: Decompresses it.
    """

    opened: Callable[[ByteSource], Readable]

    def unpack(self, parts: Sequence[ByteSource], name: str) -> Iterator[Member]:
        """As :meth:`modelpm.api.unpacking.Unpacker.unpack`."""
        yield Member(name, pieces(self.opened(parts[0])))


@dataclass(frozen=True, slots=True)
class Join:
    """Puts the parts of one file together."""

    def unpack(self, parts: Sequence[ByteSource], name: str) -> Iterator[Member]:
        """As :meth:`modelpm.api.unpacking.Unpacker.unpack`."""
        yield Member(name, (piece for part in parts for piece in pieces(Stream(part))))

    def unpacked_size(self, parts: Sequence[ByteSource]) -> int:
        """As :meth:`modelpm.api.unpacking.Measured.unpacked_size`."""
        return sum(part.size for part in parts)


UNPACKERS: Final[Mapping[str, Zip | Tar | Single | Join]] = {
    "zip": Zip(),
    "tar": Tar(Stream),
    "tar.gz": Tar(_gz),
    "tar.bz2": Tar(_bz2),
    "tar.xz": Tar(Xz),
    "tar.zst": Tar(Zst),
    "gz": Single(_gz),
    "zst": Single(Zst),
    "join": Join(),
}
