"""The disk as the core uses it: failures in words, folders and modes that suit the umask and a group that shares."""

import errno
import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelpm.disk import closed, system
from modelpm.errors import Code, ModelpmError, StoreError, UsageError
from modelpm.text.human import binary_size

_FULL = {
    errno.ENOSPC: "no space left on {mount}",
    errno.EDQUOT: "your disk quota on {mount} is used up",
    errno.EFBIG: "{mount}, or the process's file size limit, refuses a file of that size",
}
_NO_FOLDER = frozenset({errno.EEXIST, errno.ENOENT, errno.ENOTDIR})
_SHOWN = 40  # characters around what cannot be encoded
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@contextmanager
def explained(path: Path, action: str, *, needed: int | None = None) -> Iterator[None]:
    """Turn what the system refuses in the block into a ``StoreError``.

    Args:
        path: What is worked on.
        action: The verb of "cannot … PATH", e.g. ``write``.
        needed: Bytes that should be written, where that is known.

    Raises:
        StoreError: See :func:`failure`.
    """
    try:
        yield
    except OSError as error:
        raise failure(error, path, action, needed=needed) from error


def failure(error: OSError, path: Path, action: str, *, needed: int | None = None) -> StoreError:
    """Say what a failed call means and what to do.

    Returns:
        The error to raise. ``code`` is ``no_space`` (``details``: mount, free, needed), ``no_permission``, ``symlink``,
        ``io_error`` or ``local``.
    """
    number = error.errno or 0
    reason = error.strerror or str(error)
    if number in _FULL:
        return _full(number, path, action, needed)
    if number in _FORBIDDEN:
        found = closed.find(error, path)
        text = f"cannot {action} {path}: {found.why}"
        return StoreError(text, code=Code.NO_PERMISSION, hints=found.hints, path=str(found.place))
    if number == errno.ELOOP:
        return symlink(path, action)
    if number in _NO_FOLDER:
        for above in path.parents:
            if is_dangling(above):
                return dangling(above)
    code = Code.IO_ERROR if number == errno.EIO else Code.LOCAL
    hints = ["the disk reports a defect: read the system's log"] if number == errno.EIO else []
    return StoreError(f"cannot {action} {path}: {reason}", code=code, hints=hints, path=str(path))


def symlink(path: Path, action: str) -> StoreError:
    """Return the error for a symlink at a path that modelpm would write."""
    return StoreError(
        f"cannot {action} {path}: it is a symbolic link, and nothing is written through one",
        code=Code.SYMLINK,
        hints=[f"to continue without the link: rm {shlex.quote(str(path))}", *_other_disk(path)],
        path=str(path),
    )


def _other_disk(link: Path) -> list[str]:
    """Return how the disk that a link leads to can be used all the same: by the store, to which views are links."""
    there = os.path.realpath(link)
    if not os.path.isdir(there):  # noqa: PTH112 - a text so far
        return []
    return [f"to keep the bytes of all models on that disk: modelpm store move {shlex.quote(there + '/modelpm-store')}"]


def is_dangling(path: Path) -> bool:
    """Whether a folder is a symlink which leads nowhere."""
    return path.is_symlink() and not path.is_dir()


def dangling(path: Path) -> StoreError:
    """Say that a folder is a symlink which leads nowhere: as one to a disk that is not mounted does."""
    return StoreError(
        f"cannot use {path}: it is a symbolic link to {path.readlink()}, which is not a folder",
        code=Code.SYMLINK,
        hints=["mount that disk, or make that folder; or remove the link"],
        path=str(path),
    )


def unnameable(error: UnicodeEncodeError) -> ModelpmError:
    """Say that a name cannot be given to the system, and how it could."""
    text = error.object[max(0, error.start - _SHOWN) : error.end + _SHOWN].strip()
    if error.encoding.lower().replace("_", "-") == "utf-8":
        return UsageError(f"`{text}` is not UTF-8, and cannot be a name", code=Code.ENCODING)
    return StoreError(
        f"this locale, whose characters are {error.encoding}, has no name for the file `{text}`",
        hints=["choose one with UTF-8: LC_ALL=C.UTF-8, or PYTHONUTF8=1"],
        code=Code.ENCODING,
    )


def _full(number: int, path: Path, action: str, needed: int | None) -> StoreError:
    mount = mount_point(path)
    free = system.free_space(mount)
    reason, cure = _FULL[number].format(mount=mount), "free some space"
    sizes = f"{binary_size(free)} free" + (f", {binary_size(needed)} needed" if needed is not None else "")
    if number == errno.ENOSPC and system.free_inodes(mount) == 0 and free > (needed or 0):
        reason, cure = f"{mount} holds as many files as it can: no inodes left", "remove files, however small,"
    return StoreError(
        f"cannot {action} {path}: {reason} ({sizes})",
        code=Code.NO_SPACE,
        hints=[f"{cure} on {mount}, or put the store on another disk (MODELPM_STORE)"],
        path=str(path),
        mount=str(mount),
        free=free,
        needed=needed,
    )


def mount_point(path: Path) -> Path:
    """Return the root of the file system that holds ``path``, or would hold it."""
    place = Path(os.path.realpath(standing(path)))
    while not os.path.ismount(place) and place != place.parent:
        place = place.parent
    return place


def standing(path: Path) -> Path:
    """Return the path itself or its nearest parent that exists."""
    place = path.absolute()
    while not os.path.exists(place) and place != place.parent:  # noqa: PTH110 - Path's raises below what is not ours
        place = place.parent
    return place


def is_ours(path: Path) -> bool:
    """Whether this user owns a path, or it does not exist, or this process is root and may do everything."""
    if system.user_id() == 0:
        return True
    try:
        return system.is_own(path.lstat())
    except OSError:
        return True


def creation_mode(folder: Path, mode: int) -> int:
    """Return the permissions of something new in ``folder``: under the umask, but shared where the folder is.

    In a folder with setgid the group may do with a new file what it may do with the folder, so that one member's
    strict umask does not lock out the others.

    Args:
        folder: Where it is made.
        mode: The most that is allowed, e.g. ``0o444``.
    """
    return mode & ~system.umask() | _shared(folder, mode)


def create(path: Path, mode: int, flags: int = os.O_RDWR) -> int:
    """Open a file that may have to be made; one that is made has the permissions of :func:`creation_mode`.

    Returns:
        The file descriptor.

    Raises:
        OSError: As :func:`modelpm.disk.system.open_file`.
    """
    fd = system.open_file(path, flags | os.O_CREAT, mode)  # the system applies the umask: asking for it costs more
    shared = _shared(path.parent, mode)
    if shared:
        system.set_mode(
            fd, path, stat.S_IMODE(os.fstat(fd).st_mode) | shared
        )  # refused where another user just made it
    return fd


def _shared(folder: Path, mode: int) -> int:
    """Return what the group may do with something new in ``folder``, whatever the umask says."""
    parent = folder.stat().st_mode
    return parent & mode & stat.S_IRWXG if parent & stat.S_ISGID else 0


def make_folder(path: Path, *, below: Path, mode: int = 0o777, durable: bool = True) -> None:
    """Make a folder and its missing parents; below ``below`` none of them may be a symlink.

    Args:
        path: The folder, ``below`` itself or inside of it.
        below: Where trust begins; it may be a symlink, and its parents are made as they come.
        mode: Permissions of the folder itself, before the umask; its parents are made as open as the umask allows.
        durable: Whether the names are synced; where many are made, the caller syncs each folder above them once.

    Raises:
        StoreError: A symlink or a file is in the way, or the system refuses.
    """
    with explained(path, "make the folder"):
        missing, place = [], below
        while not place.is_dir():
            if place.is_symlink():
                raise dangling(place)
            missing.append(place)
            place = place.parent
        for folder in reversed(missing):
            _make_one(folder, mode if folder == path else 0o777, durable=durable)
        inside = str(below)  # as text: a path object for every folder of every file takes longer than looking at it
        for part in path.relative_to(below).parts:
            inside = os.path.join(inside, part)  # noqa: PTH118 - see above
            if not _is_folder(inside):
                _make_one(Path(inside), mode if inside == str(path) else 0o777, durable=durable)


def _is_folder(path: str | Path) -> bool:
    """Whether a folder is there; anything else of that name is refused."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISLNK(mode):
        raise symlink(Path(path), "use")
    if not stat.S_ISDIR(mode):
        raise StoreError(f"cannot make the folder {path}: a file is in the way", path=str(path))
    return True


def _make_one(folder: Path, mode: int, *, durable: bool) -> None:
    try:
        folder.mkdir(mode)
    except FileExistsError:  # another process made it in this instant
        _is_folder(folder)
        return
    if shared := _shared(folder.parent, mode):
        system.set_mode(None, folder, stat.S_IMODE(folder.stat().st_mode) | shared | stat.S_ISGID)
    if durable:
        system.fsync_folder(folder.parent)
