"""Bundles: blobs and a few texts as one tar. Streamed; the same content, the same bytes."""

import hashlib
import os
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from io import BufferedIOBase
from pathlib import Path

from modelpm import disk
from modelpm.bundle import volumes
from modelpm.bundle.layout import member_of
from modelpm.disk import system
from modelpm.errors import Code, IntegrityError
from modelpm.store.blobs import blobs
from modelpm.text.untrusted import printable

CHUNK = 4 << 20
FIRST = "models.lock"  # stands first in every bundle
_BLOCK = 512
_END = bytes(2 * _BLOCK)
_NOTES = frozenset({tarfile.XHDTYPE, tarfile.XGLTYPE})  # what other programs note of a file, when they pack it again
_LONGEST_NOTE = 1 << 20


def packed(texts: Sequence[tuple[str, bytes]], files: Iterable[tuple[str, int, Path]]) -> Iterator[bytes]:
    """Yield a tar.

    Args:
        texts: Name and content of the texts at the beginning.
        files: Name, size (bytes) and path of the blobs; each is hashed on the way.

    Raises:
        IntegrityError: A blob is not what its name says.
    """
    for name, content in texts:
        yield _header(name, len(content)) + content + _padding(len(content))
    for sha256, size, path in files:
        yield _header(member_of(sha256), size)
        yield from verified(path, sha256, size)
        yield _padding(size)
    yield _END


def verified(path: Path, sha256: str, size: int) -> Iterator[bytes]:
    """Yield a blob's bytes.

    Raises:
        IntegrityError: They are not what the name says; all have been yielded then, but none must be believed.
    """
    hasher, left = hashlib.sha256(), size
    with disk.explained(path, "read"):
        fd = system.open_file(path, os.O_RDONLY)
    try:
        buffer = bytearray(CHUNK)
        while left and (count := system.pread_into(fd, memoryview(buffer)[: min(left, CHUNK)], size - left)):
            hasher.update(memoryview(buffer)[:count])
            left -= count
            yield bytes(memoryview(buffer)[:count])
    finally:
        os.close(fd)
    if left or hasher.hexdigest() != sha256:
        raise IntegrityError(
            f"the blob {sha256} in the store is damaged",
            code=Code.DAMAGED,
            expected=sha256,
            actual=hasher.hexdigest(),
            hints=["`modelpm verify --repair` fetches it again"],
        )


def unpacked(path: Path) -> Iterator[tuple[str, int, Iterator[bytes]]]:
    """Yield name, size (bytes) and content of each member of a bundle, all parts of it; contents may be passed over.

    Headers are read one block at a time, and not by ``tarfile`` itself: it takes as much memory as a header asks for.

    Raises:
        IntegrityError: It is not a bundle, is cut, or has something in it that no bundle has.
    """
    with volumes.opened(path) as stream:
        while (member := _member(stream, path)) is not None:
            content = _chunks(stream, member.size, path)
            if member.type in _NOTES and member.size <= _LONGEST_NOTE:
                _pass_over(content, stream, member.size, path)
                continue
            if not member.isreg() or member.size < 0:
                raise _no_bundle(path, f"`{printable(member.name)}` is not a file")
            yield member.name, member.size, content
            _pass_over(content, stream, member.size, path)


def _member(stream: BufferedIOBase, path: Path) -> tarfile.TarInfo | None:
    """Return the next header; None at the end. Where the end itself is missing, every file may be there, still."""
    with disk.explained(path, "read"):
        block = stream.read(_BLOCK)
    if not block or block == bytes(_BLOCK):
        return None
    if len(block) < _BLOCK:
        raise _no_bundle(path, "it is cut")
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError) as error:
        raise _no_bundle(path, printable(str(error))) from None


def _pass_over(content: Iterator[bytes], stream: BufferedIOBase, size: int, path: Path) -> None:
    """Read what is left of a member, and what fills its last block."""
    for _chunk in content:
        pass
    with disk.explained(path, "read"):
        stream.read(-size % _BLOCK)


def is_bundle(path: Path) -> bool:
    """Whether a file, or its first part, begins like a tar, or like a bundle that was cut off in its first header."""
    with disk.explained(path, "read"), volumes.first(path).open("rb") as file:
        block = file.read(_BLOCK)
    name = FIRST.encode() + b"\0"
    return block[257:262] == b"ustar" or (bool(block) and name.startswith(block[: len(name)]))


def begun(path: Path) -> bool:
    """Whether a file begins exactly as we begin a bundle, or its first part: no other program writes such a header."""
    try:
        fd = system.open_file(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        block = os.read(fd, _BLOCK)
        return block == _header(FIRST, tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape").size)
    except (OSError, ValueError, tarfile.TarError):
        return False
    finally:
        os.close(fd)


def ended(path: Path) -> bool:
    """Whether a file ends as we end a bundle, or its last part."""
    with disk.explained(path, "read"), path.open("rb") as file:
        file.seek(-min(len(_END), path.stat().st_size), os.SEEK_END)
        return file.read() == _END


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return b"\0" * (-size % _BLOCK)


def _chunks(stream: BufferedIOBase, size: int, path: Path) -> Iterator[bytes]:
    left = size
    while left > 0:
        with disk.explained(path, "read"):
            piece = stream.read(min(left, CHUNK))
        if not piece:
            raise _no_bundle(path, "it is cut")
        left -= len(piece)
        yield piece


def _no_bundle(path: Path, why: str) -> IntegrityError:
    return IntegrityError(
        f"{path} is not a bundle of modelpm: {why}", code=Code.NO_BUNDLE, hints=["copy the bundle again"]
    )


def digest(path: Path) -> str:
    """Return the sha256 of a file at the path of a bundle's file."""
    with disk.explained(path, "read"):
        return blobs.digest(path).sha256
