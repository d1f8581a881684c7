"""Tar: the files of an archive that is read forward once; nothing but files, and names of bounded length."""

import tarfile
from collections.abc import Iterator
from typing import Final

from modelpm.api.toolkit import MalformedError

_BLOCK: Final = tarfile.BLOCKSIZE
_LARGEST_NAMES: Final = 256 << 10
_DIGITS: Final = 20
_FOLLOWING: Final = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)


class _Forward:
    """Pieces of bytes, read in whatever lengths are asked for."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._left = pieces, b""

    def upto(self, count: int) -> bytes:
        """Return at least one byte and at most ``count``; none at the end."""
        if not self._left:
            self._left = next(self._pieces, b"")
        found, self._left = self._left[:count], self._left[count:]
        return found

    def exactly(self, count: int) -> bytes:
        """Return that many bytes; fewer only at the end."""
        found = bytearray()
        while len(found) < count and (more := self.upto(count - len(found))):
            found += more
        return bytes(found)


class _Body:
    """The bytes of one member, which are passed over as far as they were not read."""

    def __init__(self, forward: _Forward, size: int) -> None:
        self._forward, self._left, self._padding = forward, size, -size % _BLOCK

    def chunks(self) -> Iterator[bytes]:
        while self._left:
            piece = self._forward.upto(self._left)
            if not piece:
                raise MalformedError("the tar archive ends early")
            self._left -= len(piece)
            yield piece

    def end(self) -> None:
        for _ in self.chunks():
            pass
        self._forward.exactly(self._padding)


def tar_files(pieces: Iterator[bytes]) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield name and bytes of each file; those of one are read, or passed over, before the next is looked for.

    Raises:
        MalformedError: The archive is damaged, or has a link, a device, a sparse file, or a name without bounds.
    """
    forward, name, size = _Forward(pieces), "", None
    while (block := forward.exactly(_BLOCK)).strip(b"\0") or len(block) < _BLOCK:  # a block of zeros is the end
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except (tarfile.TarError, ValueError) as error:
            raise MalformedError(f"the tar archive cannot be read: {error}") from error
        if info.size < 0:
            raise MalformedError("the tar archive declares a size below zero")
        body = _Body(forward, info.size if size is None or info.type in _FOLLOWING else size)
        if info.type in _FOLLOWING:
            name, size = _extended(_text(body, info.size), name)
        elif info.type == tarfile.GNUTYPE_LONGNAME:
            name = _text(body, info.size).rstrip(b"\0").decode("utf-8", "surrogateescape")
        elif info.type in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE):
            yield name or info.name, body.chunks()
            name, size = "", None
        elif info.type == tarfile.DIRTYPE:
            name, size = "", None
        elif info.type != tarfile.XGLTYPE:
            raise MalformedError(f"`{(name or info.name)[:80]}` is a link, a device or a sparse file")
        body.end()


def _text(body: _Body, size: int) -> bytes:
    if size > _LARGEST_NAMES:
        raise MalformedError("a name in the tar archive is longer than modelpm reads")
    return b"".join(body.chunks())


def _extended(text: bytes, name: str) -> tuple[str, int | None]:
    """Read the records ``LENGTH KEY=VALUE`` of a pax header: the name and size of the file behind it."""
    size, at = None, 0
    while at < len(text):
        space = text.find(b" ", at, at + _DIGITS)
        digits = text[at:space]
        length = int(digits) if space > 0 and digits.isdigit() else 0
        record = text[space + 1 : at + length]
        if not record.endswith(b"\n") or at + length > len(text):
            raise MalformedError("a header of the tar archive is damaged")
        key, _, value = record[:-1].partition(b"=")
        if key == b"path":
            name = value.decode("utf-8", "surrogateescape")
        elif key == b"size":
            if not value.isdigit() or len(value) > _DIGITS:
                raise MalformedError("the tar archive declares a size that is not a number")
            size = int(value)
        elif key.startswith(b"GNU.sparse."):
            raise MalformedError("the tar archive has a sparse file")
        at += length
    return name, size
