"""Bundles: blobs and a few texts as one tar. Streamed; the same content, the same bytes."""

import contextlib
import hashlib
import os
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from modelpm import disk
from modelpm.disk import atomic, system
from modelpm.errors import IntegrityError
from modelpm.names import printable
from modelpm.store import blobs, meta, parts
from modelpm.store.layout import Layout

CHUNK = 4 << 20
_BLOCK = 512


def member_of(sha256: str) -> str:
    """Return a blob's name inside a bundle."""
    return f"blobs/sha256/{sha256[:2]}/{sha256}"


def packed(texts: Sequence[tuple[str, bytes]], files: Iterable[tuple[str, int, Path]]) -> Iterator[bytes]:
    """Yield a tar.

    Args:
        texts: Name and content of what stands first.
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
    yield b"\0" * (2 * _BLOCK)


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
            code="damaged",
            expected=sha256,
            actual=hasher.hexdigest(),
            hints=["`modelpm verify --repair` mends it"],
        )


def unpacked(path: Path) -> Iterator[tuple[str, int, Iterator[bytes]]]:
    """Yield name, size (bytes) and content of each member of a bundle, all parts of it; contents may be passed over.

    Raises:
        IntegrityError: It is no bundle, is cut, or has something in it that no bundle has.
    """
    with parts.opened(path) as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                for member in tar:
                    content = tar.extractfile(member) if member.isreg() else None
                    if content is None:
                        raise _no_bundle(path, f"`{printable(member.name)}` is no file")
                    yield member.name, member.size, _chunks(content, member.size, path)
        except tarfile.TarError as error:
            raise _no_bundle(path, printable(str(error)) or "it is cut") from None


def is_bundle(path: Path) -> bool:
    """Whether a file, or the first part of one, begins like a tar."""
    with disk.explained(path, "read"), parts.first(path).open("rb") as file:
        return file.read(_BLOCK)[257:262] == b"ustar"


def receive(layout: Layout, chunks: Iterable[bytes], sha256: str) -> None:
    """Make a stream a blob.

    Raises:
        IntegrityError: The bytes are not what the name says; nothing is kept.
    """
    draft = atomic.temporary(layout.partials)
    hasher, offset, prefixes = hashlib.sha256(), 0, list[str]()
    with disk.explained(draft, "write"):
        fd = system.open_file(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        try:
            for chunk in chunks:
                view = memoryview(chunk)
                while view:
                    piece = view[: meta.PIECE - offset % meta.PIECE]
                    with disk.explained(draft, "write", needed=len(piece)):
                        system.pwrite(fd, piece, offset)
                    hasher.update(piece)
                    offset, view = offset + len(piece), view[len(piece) :]
                    if offset % meta.PIECE == 0:
                        prefixes.append(hasher.copy().hexdigest())
        finally:
            os.close(fd)
        if hasher.hexdigest() != sha256:
            raise IntegrityError(
                f"the bundle's {sha256[:12]}… is damaged: its bytes have another digest",
                code="digest_mismatch",
                expected=sha256,
                actual=hasher.hexdigest(),
                hints=["copy the bundle again"],
            )
        blobs.commit(layout, draft, sha256, prefixes)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return b"\0" * (-size % _BLOCK)


def _chunks(content: object, size: int, path: Path) -> Iterator[bytes]:
    left = size
    while left:
        try:
            piece: bytes = content.read(min(left, CHUNK))  # type: ignore[attr-defined]
        except tarfile.TarError:
            raise _no_bundle(path, "it is cut") from None
        left -= len(piece)
        yield piece


def _no_bundle(path: Path, why: str) -> IntegrityError:
    return IntegrityError(f"{path} is no bundle of modelpm: {why}", code="no_bundle", hints=["copy the bundle again"])


def digest(path: Path) -> str:
    """Return the sha256 of a file that stands where a bundle's file belongs."""
    with disk.explained(path, "read"):
        return blobs.digest(path).sha256
