"""Records of blobs: what a blob looked like when it was last known to be good, and its digests at every 16 MiB."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from modelpm.disk import system
from modelpm.disk.atomic import write_atomic

PIECE = 16 << 20  # bytes between two prefix digests
WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
_USUAL = 1 << 14  # bytes of a record; that of a blob of 3 GiB fits
_LARGEST = 64 << 20  # bytes of a record; enough for a blob of 15 TiB
_MODE = 0o644  # of a record's file: a record that others can write proves nothing
_HEAD = b'{"ctime_ns": '  # first and of fixed width, so that it can be renewed in place
_WIDTH = 20


class Record(NamedTuple):  # a dataclass takes a millisecond to make, at every start
    """The facts of a blob when its bytes were known to be right.

    Attributes:
        size: Bytes.
        mtime_ns: Time of the last change of its bytes, nanoseconds since 1970.
        inode: Number of the file.
        boot: The boot of the machine in which it was committed; "" if unknown.
        committed_at: Seconds since 1970.
        prefixes: SHA-256 (hexadecimal) of the blob's first 16 MiB, first 32 MiB and so on; may be empty.
        mode: Permissions; 0 in records of older versions.
        ctime_ns: Time of the last change of anything, names included; 0 in records of older versions.
    """

    size: int
    mtime_ns: int
    inode: int
    boot: str
    committed_at: int
    prefixes: tuple[str, ...] = ()
    mode: int = 0
    ctime_ns: int = 0

    def fits(self, facts: os.stat_result) -> bool:
        """Whether a file looks as the blob did, except its ctime, which any new name changes.

        A blob that became writable does not: another program may have written it and reset its time.
        """
        if facts.st_mode & WRITABLE & ~self.mode:
            return False
        return (facts.st_size, facts.st_mtime_ns, facts.st_ino) == (self.size, self.mtime_ns, self.inode)

    def is_exact(self, facts: os.stat_result) -> bool:
        """Whether nothing at all happened to a file: its ctime, which no user can set, is the same."""
        return facts.st_ctime_ns == self.ctime_ns and self.fits(facts)


NEVER = Record(0, 0, 0, "", 0)  # fits no file, so that every file is hashed


def record(facts: os.stat_result, now: float, prefixes: Sequence[str] = ()) -> Record:
    """Describe a blob that is known to be good.

    Args:
        facts: The file status.
        now: Seconds since 1970.
        prefixes: As in :class:`Record`.
    """
    boot, mode = system.boot_id(), stat.S_IMODE(facts.st_mode)
    return Record(
        facts.st_size, facts.st_mtime_ns, facts.st_ino, boot, int(now), tuple(prefixes), mode, facts.st_ctime_ns
    )


def write(path: Path, it: Record, *, durable: bool = True) -> None:
    """Store a record.

    Raises:
        StoreError: The system refuses.
    """
    import json

    rest = it._asdict()
    head = _HEAD + b"%*d, " % (_WIDTH, rest.pop("ctime_ns"))
    write_atomic(path, head + json.dumps(rest).encode()[1:] + b"\n", mode=_MODE, durable=durable)


def renew(path: Path | str, ctime_ns: int) -> bool:
    """Update the ctime in a record, in place: only these digits change, so a power cut costs at most a hash.

    Returns:
        Whether it was possible.
    """
    try:
        fd = system.open_file(path, os.O_RDWR)
    except OSError:
        return False
    try:
        head = bytearray(len(_HEAD))
        if system.pread_into(fd, head, 0) != len(_HEAD) or head != _HEAD:
            return False
        system.pwrite(fd, b"%*d" % (_WIDTH, ctime_ns), len(_HEAD))
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def read(path: Path | str, *, trusted: bool = False) -> Record | None:
    """Load a record; None if it is missing or invalid, which costs one hash of the blob.

    Args:
        path: Its file.
        trusted: Whether to accept it only if only this user, or root, can have written it.
    """
    try:
        fd = system.open_file(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        data = os.read(fd, _USUAL)
        if trusted and not system.is_trusted(os.fstat(fd)):
            return None
        if len(data) == _USUAL:
            size = os.fstat(fd).st_size
            data += os.read(fd, max(0, size - _USUAL)) if size <= _LARGEST else b""
        return parse(data)
    except OSError:
        return None
    finally:
        os.close(fd)


def parse(data: bytes) -> Record | None:
    """Parse the text of a record; None if it is not one."""
    import json

    try:
        found = json.loads(data)
        it = Record(**{**found, "prefixes": tuple(found["prefixes"])})
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    numbers = (it.size, it.mtime_ns, it.inode, it.committed_at, it.mode, it.ctime_ns)
    texts = (it.boot, *it.prefixes)
    sound = all(type(n) is int for n in numbers) and all(type(t) is str for t in texts)
    return it if sound else None
