"""Every call that not all systems have, each with a fallback: nothing else in the core knows one system from another.

Functions raise plain ``OSError``; ``modelpm.disk`` turns it into words.
"""

import contextlib
import errno
import os
import stat
import sys
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ctypes

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOTTY, errno.EXDEV})
_NO_FOLDER_SYNC = _UNSUPPORTED | {errno.EBADF}
_NO_MODES = _UNSUPPORTED | {errno.EPERM, errno.EACCES, errno.EROFS}
_CONTENTION = frozenset({errno.EWOULDBLOCK, errno.EACCES, errno.EBUSY})
_FICLONE = 0x40049409
_KEEP_SIZE = 1  # FALLOC_FL_KEEP_SIZE
_TMPFS = 0x01021994
_CLONE_NOFOLLOW = 1
_LOCKED_BYTE = 1 << 30  # Windows forbids reading what is locked, and the holder's name is at the beginning
_position = threading.Lock()


class UnfitError(OSError):
    """A file that is not for reading: a pipe, a device or a folder, or too large."""

    strerror: str

    def __init__(self, why: str, path: Path | str) -> None:
        super().__init__(errno.EINVAL, why, str(path))


def open_file(path: Path | str, flags: int, mode: int = 0o666, *, follow: bool = False) -> int:
    """Open a regular file, closed to child processes; never block on a pipe or a device at its path.

    Args:
        path: The file.
        flags: ``os.O_…``.
        mode: Permissions of a new file, before the umask.
        follow: Whether it may be a symlink.

    Returns:
        The file descriptor.

    Raises:
        OSError: ``ELOOP`` where a symlink stands that may not, ``UnfitError`` where no regular file stands.
    """
    nofollow = 0 if follow else getattr(os, "O_NOFOLLOW", 0)
    if not (nofollow or follow) and os.path.islink(path):  # noqa: PTH114 - as text it is opened faster
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    # Without O_NONBLOCK a planted pipe would hold us here for ever; regular files don't know it.
    extra = nofollow | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    fd = os.open(path, flags | extra, mode)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise UnfitError("it is not a regular file", path)
    return fd


def pwrite(fd: int, data: bytes | bytearray | memoryview, offset: int) -> None:
    """Write all of ``data`` at ``offset`` (bytes)."""
    rest = memoryview(data).cast("B")
    while rest:
        written = _pwrite_once(fd, rest, offset)
        if written == 0:
            raise OSError(errno.EIO, "the system wrote nothing")
        rest = rest[written:]
        offset += written


def _pwrite_once(fd: int, data: memoryview, offset: int) -> int:
    if hasattr(os, "pwrite"):
        return os.pwrite(fd, data, offset)
    with _position:
        os.lseek(fd, offset, os.SEEK_SET)
        return os.write(fd, data)


def pread_into(fd: int, buffer: bytearray | memoryview, offset: int) -> int:
    """Fill ``buffer`` from ``offset`` (bytes) with one read; return how much came, 0 at the end of the file."""
    if hasattr(os, "preadv"):
        return os.preadv(fd, [buffer], offset)
    with _position:
        os.lseek(fd, offset, os.SEEK_SET)
        data = os.read(fd, len(buffer))
    buffer[: len(data)] = data
    return len(data)


def fsync(fd: int) -> None:
    """Bring data and metadata to the medium. An error is final: a second call may lie about pages that were dropped."""
    if sys.platform == "darwin":  # there fsync() stops at the disk's own cache
        try:
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
        else:
            return
    os.fsync(fd)


def fdatasync(fd: int) -> None:
    """Bring data, and what is needed to read it back, to the medium."""
    if sys.platform == "linux":
        os.fdatasync(fd)
    else:
        fsync(fd)


def fsync_folder(path: Path) -> None:
    """Make the names in a folder durable, where the system can."""
    if sys.platform == "win32":
        return
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        fsync(fd)
    except OSError as error:  # some network file systems know no fsync of a folder
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(fd)


def try_lock(fd: int, *, shared: bool = False) -> bool:
    """Lock an open file without waiting; the lock ends with the descriptor, or with the process.

    Returns:
        False while someone else holds it.

    Raises:
        OSError: The file system knows no locks.
    """
    try:
        if sys.platform == "win32":  # knows no shared locks of this kind: exclusive is right, only slower
            with _position:
                os.lseek(fd, _LOCKED_BYTE, os.SEEK_SET)
                msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _CONTENTION:
            return False
        raise
    return True


def unlock(fd: int) -> None:
    """Release at once, also where a forked child still has the descriptor."""
    if sys.platform == "win32":
        with _position:
            os.lseek(fd, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)
    else:
        fcntl.flock(fd, fcntl.LOCK_UN)


def reserve(fd: int, size: int) -> bool:
    """Reserve ``size`` bytes for a file without changing its length.

    ``os.posix_fallocate`` is not a substitute: where the file system cannot reserve, it writes zeros.

    Returns:
        False if the system cannot.

    Raises:
        OSError: ``ENOSPC``, ``EDQUOT``, ``EFBIG``: the file will not fit.
    """
    if sys.platform != "linux" or size <= 0:
        return False
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    call = getattr(libc, "fallocate64", None) or getattr(libc, "fallocate", None)
    if call is None or _in_memory(libc, fd):
        return False
    if call(fd, _KEEP_SIZE, ctypes.c_int64(0), ctypes.c_int64(size)) == 0:
        return True
    number = ctypes.get_errno()
    if number in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        raise OSError(number, os.strerror(number))
    return False


def _in_memory(libc: "ctypes.CDLL", fd: int) -> bool:
    """Whether a file is on a tmpfs: there, to reserve is to clear every page, at once and while others wait."""
    import ctypes

    facts = (ctypes.c_long * 32)()
    return libc.fstatfs(fd, facts) == 0 and facts[0] == _TMPFS


def reflink(source: Path, target: Path) -> bool:
    """Make ``target``, which must not exist, a copy of ``source`` that shares its blocks.

    Returns:
        False if the file system, or the pair of them, cannot; nothing is left behind then.
    """
    if sys.platform == "darwin":
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        if libc.clonefile(os.fsencode(source), os.fsencode(target), _CLONE_NOFOLLOW) == 0:
            return True
        return _cannot(ctypes.get_errno(), target)
    if sys.platform != "linux":
        return False
    reading = open_file(source, os.O_RDONLY)
    try:
        writing = open_file(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            fcntl.ioctl(writing, _FICLONE, reading)
        except OSError as error:
            target.unlink()
            return _cannot(error.errno or 0, target)
        finally:
            os.close(writing)
    finally:
        os.close(reading)
    return True


def _cannot(number: int, target: Path) -> bool:
    """Tell "not here" from a real failure."""
    if number in _UNSUPPORTED or number == errno.EPERM:
        return False
    raise OSError(number, os.strerror(number), str(target))


@cache
def boot_id() -> str:
    """Return what changes with every boot, or "" where that is unknown: treat "" as "another boot"."""
    if sys.platform == "darwin":
        import ctypes

        buffer = ctypes.create_string_buffer(64)
        size = ctypes.c_size_t(len(buffer))
        libc = ctypes.CDLL(None)
        failed = libc.sysctlbyname(b"kern.bootsessionuuid", buffer, ctypes.byref(size), None, 0)
        return "" if failed else buffer.value.decode("ascii", "replace")
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def host_name() -> str:
    """Return what this machine calls itself."""
    if hasattr(os, "uname"):
        return os.uname().nodename
    import platform

    return platform.node()


def process_start(pid: int) -> str:
    """Return when a process began, in the system's own words; "" where it says nothing, or there is none."""
    try:
        stat_line = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return ""
    fields = stat_line.rpartition(b")")[2].split()  # the command, in brackets, may have spaces
    return fields[19].decode("ascii", "replace") if len(fields) > 19 else ""  # noqa: PLR2004 - see proc(5)


def is_running(pid: int, start: str) -> bool:
    """Whether a process of this machine still runs; ``start`` tells it from another that got its number later."""
    if sys.platform == "win32":  # os.kill() would end it there
        return True
    try:
        os.kill(pid, 0)
    except PermissionError:
        pass
    except (OSError, OverflowError):
        return False
    return not start or process_start(pid) == start


def free_space(path: Path) -> int:
    """Return the bytes an ordinary user may still write on the file system of ``path``, which must exist."""
    if hasattr(os, "statvfs"):
        facts = os.statvfs(path)
        return facts.f_bavail * facts.f_frsize
    import shutil

    return shutil.disk_usage(path).free


def free_inodes(path: Path) -> int | None:
    """Return how many files an ordinary user may still make on the file system of ``path``; None if none count."""
    if not hasattr(os, "statvfs"):
        return None
    facts = os.statvfs(path)
    return facts.f_favail if facts.f_files else None


def is_read_only(path: Path) -> bool:
    """Whether the file system of ``path``, which must exist, is read-only for every user."""
    return hasattr(os, "statvfs") and bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def physical_size(facts: os.stat_result) -> int:
    """Return the bytes a file takes on the disk."""
    blocks: int | None = getattr(facts, "st_blocks", None)
    return facts.st_size if blocks is None else blocks * 512


def is_own(facts: os.stat_result) -> bool:
    """Whether a file belongs to the user of this process; where systems know no owners, it does."""
    return not hasattr(os, "getuid") or facts.st_uid == os.getuid()


def is_trusted(facts: os.stat_result) -> bool:
    """Whether only the user of this process, or root, can have written a file, and no other user can write it now.

    Ignores access control lists. On systems without owners, every file is trusted.
    """
    if not hasattr(os, "geteuid"):
        return True
    return facts.st_uid in {0, os.geteuid()} and not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def user_name(number: int) -> str:
    """Return the name of a user, or the number where the system knows no name."""
    with contextlib.suppress(ImportError, KeyError, OverflowError):
        import pwd

        return pwd.getpwuid(number).pw_name
    return str(number)


def user_id() -> int:
    """Return the number of the user of this process; 0 for root, and on systems without user numbers."""
    return os.geteuid() if hasattr(os, "geteuid") else 0


def umask() -> int:
    """Return the process's umask, without changing it where the system lets us look."""
    with contextlib.suppress(OSError, ValueError), Path("/proc/self/status").open("rb") as status:
        for line in status:
            if line.startswith(b"Umask:"):
                return int(line.split()[1], 8)
    old = os.umask(0o077)  # for that instant other threads create what is too private, never too open
    os.umask(old)
    return old


def set_mode(fd: int | None, path: Path, mode: int) -> bool:
    """Set the permissions of an open file; without ``fd``, of a folder.

    Returns:
        False if the file system refuses, as many do that are mounted over a network: what was written is right all
        the same.
    """
    try:
        if fd is not None and hasattr(os, "fchmod"):
            os.fchmod(fd, mode)
        else:
            path.chmod(mode)
    except OSError as error:
        if error.errno not in _NO_MODES:
            raise
        return False
    return True


def replace(source: Path, target: Path) -> None:
    """Rename over whatever file has the name; Windows refuses where that one is read-only."""
    if sys.platform == "win32":
        with contextlib.suppress(OSError):
            target.chmod(stat.S_IWRITE)
    os.replace(source, target)  # noqa: PTH105 - Path's own makes another path object, which takes longer than this


def unlink(path: Path) -> None:
    """Remove a name, read-only or not."""
    if sys.platform == "win32":
        with contextlib.suppress(OSError):
            path.chmod(stat.S_IWRITE)
    path.unlink()


def limit_memory(count: int) -> None:
    """Bound the memory of this process, the files it maps aside, where the system can."""
    with contextlib.suppress(ImportError, ValueError):  # ValueError: a lower bound stands already
        from resource import RLIMIT_DATA, getrlimit, setrlimit

        setrlimit(RLIMIT_DATA, (count, getrlimit(RLIMIT_DATA)[1]))
