"""Streams as files, whole or cut into parts ``NAME.001``, ``NAME.002``: written, and read as if they were one.

An interrupted write resumes: what exists of a file is compared with what belongs there, and written from the
first difference on.
"""

import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator, Sequence
from io import BufferedIOBase
from pathlib import Path

from modelpm import disk
from modelpm.disk import system
from modelpm.errors import Code, IntegrityError, StoreError, UsageError

_CHUNK = 4 << 20
_PART = re.compile(r"(.*)\.(\d{3,})")
_TOO_LARGE_FOR_FAT = 4 << 30  # by a single byte; and "4G" is what people say who mean such a disk


def largest_part(split: int) -> int:
    """Return how large a part becomes that should have at most ``split`` bytes."""
    return split - 1 if split == _TOO_LARGE_FOR_FAT else split


def write(chunks: Iterable[bytes], target: Path, split: int | None = None) -> list[Path]:
    """Write a stream to a file, or to parts ``target.001``, ``target.002`` of at most ``split`` bytes.

    Nothing has its final name before it is complete.

    Returns:
        What was written.
    """
    writer = _Writer(target, split)
    try:
        for chunk in chunks:
            writer.write(memoryview(chunk))
        writer.finish()
    finally:
        writer.close()
    return writer.done


class _Writer:
    def __init__(self, target: Path, split: int | None) -> None:
        self.done: list[Path] = []
        self._target, self._split = target, largest_part(split) if split else None
        self._fd, self._offset, self._agrees = -1, 0, True
        self._draft = self._final = target

    def write(self, data: memoryview) -> None:
        while data:
            if self._fd < 0:
                self._open()
            piece = data if self._split is None else data[: self._split - self._offset]
            with disk.explained(self._draft, "write", needed=len(piece)):
                self._put(piece)
            data = data[len(piece) :]
            if self._offset == self._split:
                self.finish()

    def finish(self) -> None:
        if self._fd < 0:
            return
        with disk.explained(self._draft, "write"):
            os.truncate(self._fd, self._offset)
            system.fsync(self._fd)
            self.close()
            system.replace(self._draft, self._final)
            system.fsync_folder(self._final.parent)
        self.done.append(self._final)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _open(self) -> None:
        number = f".{len(self.done) + 1:03}" if self._split else ""
        self._final = self._target.with_name(self._target.name + number)
        self._draft = self._final.with_name(self._final.name + ".partial")
        with disk.explained(self._draft, "write"):
            if self._split and is_alone(self._final) and not os.path.lexists(self._draft):
                system.replace(self._final, self._draft)  # of an interrupted run: compared like everything else
            self._fd = system.open_file(self._draft, os.O_RDWR | os.O_CREAT)
            if os.fstat(self._fd).st_nlink != 1:  # the other name may be a blob's: what we wrote would be in both
                raise in_the_way(self._draft, "it has a second name")
        self._offset, self._agrees = 0, True

    def _put(self, piece: memoryview) -> None:
        if self._agrees:
            there = bytearray(len(piece))
            self._agrees = system.pread_into(self._fd, there, self._offset) == len(piece) and there == piece
        if not self._agrees:
            system.pwrite(self._fd, piece, self._offset)
        self._offset += len(piece)


def is_alone(path: Path) -> bool:
    """Whether a name is a regular file's, and its only one."""
    try:
        facts = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1


def in_the_way(path: Path, why: str) -> StoreError:
    """Return the error for a path that a file of the user occupies."""
    return StoreError(
        f"{path} is in the way: {why}",
        code=Code.IN_THE_WAY,
        hints=["choose another name for the bundle, or move it away"],
        path=str(path),
    )


def drop_shared(path: Path) -> None:
    """Remove drafts of a file that have a second name: who wrote into one would write into a blob.

    Args:
        path: Its name, which says whose they are: a digest.
    """
    with disk.explained(path.parent, "write"):
        for draft in path.parent.glob(path.name + "*.partial"):
            if not is_alone(draft):
                system.unlink(draft)


def keep_only(path: Path, made: Collection[Path]) -> None:
    """Remove what else is there under a file's name: parts of another size, the whole where there are parts, drafts.

    Args:
        path: Its name without the part's number.
        made: What stays.
    """
    with disk.explained(path.parent, "write"):
        for other in path.parent.glob(path.name + "*"):
            if other not in made:
                other.unlink()


def joined(path: Path, size: int) -> Iterator[bytes] | None:
    """Return the content of a folder's blob that was cut into parts; None if there are none.

    Args:
        path: Its name without the part's number.
        size: Bytes that it must have.

    Raises:
        IntegrityError: A part is missing or cut, or there are more than belong to it.
    """
    parts = _numbered(path)
    later = next(path.parent.glob(f"{path.name}.[0-9]*[0-9]"), None)
    if not parts and (later is None or first_of(later) is None):
        return None
    with disk.explained(path, "read"):
        there = sum(part.stat().st_size for part in parts)
    if there != size:
        missing = f"{path.name}.{len(parts) + 1:03} is missing, or " if there < size else ""
        raise IntegrityError(
            f"{path}.001 and what follows are damaged: {missing}a part has not the size it was written with",
            code=Code.SIZE_MISMATCH,
            expected=size,
            actual=there,
            hints=["copy the bundle again, all parts into one folder"],
        )
    return _streamed(parts)


def _streamed(parts: Sequence[Path]) -> Iterator[bytes]:
    with _Parts(parts) as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def opened(path: Path) -> BufferedIOBase:
    """Return the content of a file, or of all parts where it is, or names, the first of them.

    Raises:
        UsageError: There is none.
    """
    return _Parts(_parts(path))


def first(path: Path) -> Path:
    """Return the file, or the first of its parts; as :func:`opened`."""
    return _parts(path)[0]


def first_of(path: Path) -> Path | None:
    """Return the first part's path where a file has the name of a later one; None for other names."""
    found = _PART.fullmatch(path.name)
    if found is None or int(found[2]) <= 1 or f"{int(found[2]):03}" != found[2]:
        return None
    return path.with_name(f"{found[1]}.001")


def _parts(path: Path) -> list[Path]:
    """Return the file, or all parts where it is, or names, the first of them."""
    found = _PART.fullmatch(path.name)
    base = path.with_name(found[1]) if found and int(found[2]) == 1 else path
    if base == path and path.is_file():
        return [path]
    parts = _numbered(base)
    if not parts:
        raise UsageError(
            f"{path} does not exist", hints=["name a model's file, a folder, or a bundle or its first part"]
        )
    return parts


def _numbered(base: Path) -> list[Path]:
    parts: list[Path] = []
    while (part := base.with_name(f"{base.name}.{len(parts) + 1:03}")).is_file():
        parts.append(part)
    return parts


class _Parts(BufferedIOBase):
    """Files, one behind the other."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = list(paths)
        self._file: BufferedIOBase | None = None

    def read(self, size: int | None = -1) -> bytes:
        found = b""
        wanted = -1 if size is None else size
        while wanted < 0 or len(found) < wanted:
            if self._file is None:
                if not self._paths:
                    break
                self._file = self._paths.pop(0).open("rb")
            piece = self._file.read(wanted - len(found) if wanted >= 0 else -1)
            if not piece:
                self._file.close()
                self._file = None
            found += piece
        return found

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        super().close()
