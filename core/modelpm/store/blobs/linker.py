"""Link a blob to a file's own name: as a clone, a hard link, a symlink, or a copy."""

import contextlib
import errno
import os
import stat
import threading
from collections.abc import Callable, Collection
from pathlib import Path

from modelpm import disk
from modelpm.api.events import Bus
from modelpm.api.stages import Work
from modelpm.disk import atomic, system
from modelpm.errors import StoreError, UsageError

ORDER = ("reflink", "hardlink", "symlink", "copy")
MODES = {
    "auto": ORDER,
    "file": ("reflink", "hardlink", "copy"),  # a regular file, for programs that follow no symlinks
    "apart": ("reflink", "copy"),  # a file that may change independently of the blob
    **{kind: (kind,) for kind in ORDER},
}
"""The kinds of links that each mode allows, in the order in which they are tried."""

_NEVER = frozenset({errno.EXDEV, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})  # true of the pair, not of one file
_ELSEWISE = _NEVER | {errno.EPERM, errno.EACCES, errno.EMLINK, errno.EINVAL}
_CHUNK = 4 << 20


class Linker:
    """Makes links, and remembers for the run which kinds fail between two file systems. Thread-safe.

    Args:
        bus: Gets the progress of copies.
    """

    def __init__(self, bus: Bus | None = None) -> None:
        self._bus = bus or Bus()
        self._impossible: set[tuple[int, int, str]] = set()
        self._guard = threading.Lock()

    def link(self, blob: Path, target: Path, mode: str, *, without: Collection[str] = (), durable: bool = True) -> str:
        """Link ``target`` to the blob, atomically, in place of any file or link of that name.

        Args:
            blob: A blob.
            target: The name; its folder exists.
            mode: One of :data:`MODES`; ``auto`` is the first kind that works.
            without: Kinds that must not be made; if the wanted kind is among them, the first other that works is made.
            durable: Whether to sync the name; a caller that makes many names in a folder syncs the folder once.

        Returns:
            The kind that was made: ``reflink``, ``hardlink``, ``symlink`` or ``copy``.

        Raises:
            StoreError: The system refuses, or cannot make the wanted kind.
            UsageError: No such kind.
        """
        kinds = [kind for kind in MODES.get(mode, ()) if kind not in without]
        kinds = kinds or [kind for kind in ORDER if kind not in without]
        if mode not in MODES:
            raise UsageError(f"unknown kind of link {mode!r}", hints=[f"there are: auto, {', '.join(ORDER)}"])
        with disk.explained(target, "link"):
            pair = blob.stat().st_dev, target.parent.stat().st_dev
            for kind in kinds:
                if self._possible(pair, kind) and self._make(blob, target, kind):
                    if durable:
                        system.fsync_folder(target.parent)
                    return kind
        raise StoreError(
            f"cannot link {target}: no {mode} to {blob} is possible there",
            hints=["auto takes the next kind that works"],
            path=str(target),
        )

    def _possible(self, pair: tuple[int, int], kind: str) -> bool:
        with self._guard:
            return (*pair, kind) not in self._impossible

    def _make(self, blob: Path, target: Path, kind: str) -> bool:
        draft = atomic.temporary(target.parent)
        try:
            if not self._drawn(kind, blob, draft, target.name):
                return False
            system.replace(draft, target)
            # Renaming one of two names of a file onto the other does nothing at all, by POSIX.
            draft.unlink(missing_ok=True)
        except BaseException:
            with contextlib.suppress(OSError):
                system.unlink(draft)
            raise
        return True

    def _drawn(self, kind: str, blob: Path, draft: Path, name: str) -> bool:
        try:
            made = self._copied(blob, draft, name) if kind == "copy" else _KINDS[kind](blob, draft)
            never = not made
        except OSError as error:
            if kind == "copy" or error.errno not in _ELSEWISE:
                raise
            made, never = False, error.errno in _NEVER
        if never:
            with self._guard:
                self._impossible.add((blob.stat().st_dev, draft.parent.stat().st_dev, kind))
        return made

    def _copied(self, blob: Path, draft: Path, name: str) -> bool:
        about = blob.name if name.startswith(atomic.TEMPORARY) else name  # a draft's name says nothing
        with self._bus.during(Work.COPYING, about, total=blob.stat().st_size) as copying:
            _copy(blob, draft, copying.add)
        return True


def _reflink(blob: Path, draft: Path) -> bool:
    if not system.reflink(blob, draft):
        return False
    _finish(blob, draft)
    return True


def _hardlink(blob: Path, draft: Path) -> bool:
    os.link(blob, draft, follow_symlinks=False)
    return True


def _symlink(blob: Path, draft: Path) -> bool:
    draft.symlink_to(blob.absolute())
    try:
        draft.stat()
    except OSError:  # a file system that makes links but does not follow them
        system.unlink(draft)
        return False
    return True


def _copy(blob: Path, draft: Path, step: Callable[[int], None]) -> None:
    reading = system.open_file(blob, os.O_RDONLY)
    try:
        writing = system.open_file(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            buffer = memoryview(bytearray(_CHUNK))
            offset = 0
            while count := system.pread_into(reading, buffer, offset):
                system.pwrite(writing, buffer[:count], offset)
                offset += count
                step(count)
        finally:
            os.close(writing)
    finally:
        os.close(reading)
    _finish(blob, draft)


def _finish(blob: Path, draft: Path) -> None:
    """Sync a new file, with the permissions of the blob."""
    fd = system.open_file(draft, os.O_RDWR)
    try:
        system.set_mode(fd, draft, stat.S_IMODE(blob.stat().st_mode))
        system.fsync(fd)
    finally:
        os.close(fd)


_KINDS: dict[str, Callable[[Path, Path], bool]] = {
    "reflink": _reflink,
    "hardlink": _hardlink,
    "symlink": _symlink,
}
