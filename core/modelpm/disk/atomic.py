"""The one way in which a small file is written: whole or not at all, also through a power cut."""

import contextlib
import os
import stat
import time
from pathlib import Path

from modelpm import disk
from modelpm.disk import system

_BEGAN = time.time()
TEMPORARY = ".modelpm-"  # how the names of unfinished files begin


def temporary(folder: Path) -> Path:
    """Return a new name in ``folder`` for a file that will be renamed when it is complete."""
    return folder / f"{TEMPORARY}{os.urandom(8).hex()}.tmp"


def dead_drafts(folder: Path) -> list[Path]:
    """Return the unfinished files in a folder that are older than this process; the caller keeps others out."""
    try:
        with os.scandir(folder) as entries:
            ours = [e for e in entries if e.name.startswith(TEMPORARY) and e.name.endswith(".tmp")]
            # By ctime: one that is a second name of a file has that file's time of modification.
            return [Path(e.path) for e in ours if e.is_file(follow_symlinks=False) and _is_old(e)]
    except OSError:  # it is gone, or closed to us
        return []


def _is_old(entry: "os.DirEntry[str]") -> bool:
    return entry.stat(follow_symlinks=False).st_ctime < _BEGAN


def write_atomic(path: Path, data: bytes, *, mode: int | None = None, durable: bool = True) -> None:
    """Replace a file, or make it: a reader finds all of the old bytes or all of the new.

    Args:
        path: The file; its folder must exist. A symlink there is refused, not followed and not replaced.
        data: All of its bytes.
        mode: Permissions, before the umask; None keeps those of the file that is there, else ``0o666``.
        durable: Whether it must outlast a power cut; what only saves work need not.

    Raises:
        StoreError: The system refuses; nothing has changed, and no temporary file is left.
    """
    with disk.explained(path, "write", needed=len(data)):
        kept = _mode_of(path)
        draft = temporary(path.parent)
        try:
            _fill(draft, data, 0o666 if mode is None else mode, kept if mode is None else None, durable=durable)
            system.replace(draft, path)
        except BaseException:
            with contextlib.suppress(OSError):
                system.unlink(draft)
            raise
        if durable:
            system.fsync_folder(path.parent)


def restore(path: Path, data: bytes | None) -> None:
    """Bring a file back to what it was.

    Args:
        path: The file.
        data: Its bytes; None if it was not there.

    Raises:
        StoreError: The system refuses.
    """
    if data is not None:
        write_atomic(path, data)
        return
    with disk.explained(path, "remove"):
        path.unlink(missing_ok=True)
        system.fsync_folder(path.parent)


def _mode_of(path: Path) -> int | None:
    """Return the permissions of the file that is there; a symlink is refused."""
    try:
        facts = path.lstat()
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(facts.st_mode):
        raise disk.symlink(path, "write")
    return stat.S_IMODE(facts.st_mode)


def _fill(draft: Path, data: bytes, mode: int, kept: int | None, *, durable: bool) -> None:
    fd = disk.create(draft, mode if kept is None else kept & 0o777, os.O_WRONLY | os.O_EXCL)
    try:
        if kept is not None and stat.S_IMODE(os.fstat(fd).st_mode) != kept:
            system.set_mode(fd, draft, kept)
        system.pwrite(fd, data, 0)
        if durable:
            system.fsync(fd)
    finally:
        os.close(fd)


def keep_newest(folder: Path, most: int) -> None:
    """Remove the oldest files of a cache, in the folders of a folder, so that at most so many stay."""
    with contextlib.suppress(OSError):  # there is none, or another process removes them, too
        files = [path for inner in folder.iterdir() for path in inner.iterdir()]
        for path in sorted(files, key=lambda path: path.lstat().st_mtime, reverse=True)[most:]:
            path.unlink()
