"""The mark in a view: a file with the random id of its root, and the place and content of its last record.

With one read, every start knows whether a record is fresh, even if the folder was moved or copied.
"""

import contextlib
import os
from pathlib import Path

from modelpm import disk
from modelpm.disk import system
from modelpm.disk.atomic import write_atomic
from modelpm.errors import StoreError

MARK = ".modelpm.id"
FRESH = 3600  # seconds before a use of an unchanged root is worth a write
_LARGEST = 8192  # bytes
_LENGTH = 32  # hexadecimal digits of an id


def read_id(view: Path) -> str:
    """Return the id in a view; empty if there is none."""
    return _read(view)[0]


def make_id(view: Path) -> str:
    """Return the id in a view, and make one if there is none; empty if it cannot be written."""
    known = read_id(view)
    if known or view.is_symlink() or not view.is_dir():
        return known
    text = os.urandom(_LENGTH // 2).hex().encode() + b"\n"
    with contextlib.suppress(OSError, StoreError):
        if (view / MARK).exists():  # cut short by a crash
            write_atomic(view / MARK, text)
            return read_id(view)
        with contextlib.suppress(FileExistsError):  # another process was first: its id counts
            fd = disk.create(view / MARK, 0o666, os.O_WRONLY | os.O_EXCL)
            try:
                system.pwrite(fd, text, 0)
                system.fsync(fd)
            finally:
                os.close(fd)
    return read_id(view)


def touch(view: Path, lock: Path, record: Path, now: float) -> None:
    """Mark the record of a root as fresh, if the mark can be written."""
    with contextlib.suppress(OSError, StoreError):
        known, noted, _ = _read(view)
        if known and noted != _note(lock, record):
            write_atomic(view / MARK, known.encode() + b"\n" + _note(lock, record))
        os.utime(view / MARK, (now, now))


def was_recorded_lately(view: Path, lock: Path, records: Path, now: float) -> bool:
    """Whether the record of a root is fresh: existing, recent, and of a root at this place.

    Args:
        view: The view.
        lock: The lock of the root.
        records: The folder of the records.
        now: Seconds since 1970.
    """
    try:
        known, noted, recorded = _read(view)
        record = records / os.fsdecode(noted.partition(b" ")[0])
        return bool(known) and 0 <= now - recorded < FRESH and noted == _note(lock, record) and record.is_file()
    except (OSError, ValueError):
        return False


def _read(view: Path) -> tuple[str, bytes, float]:
    """Return the id, the note and the time of a mark; empty texts if there is none."""
    try:
        fd = system.open_file(os.path.join(view, MARK), os.O_RDONLY)  # noqa: PTH118 - at every start
    except OSError:
        return "", b"", 0.0
    try:
        known, _, noted = os.read(fd, _LARGEST).partition(b"\n")
        recorded = os.fstat(fd).st_mtime
    finally:
        os.close(fd)
    is_id = len(known) == _LENGTH and not known.strip(b"0123456789abcdef")
    return (known.decode(), noted, recorded) if is_id else ("", b"", 0.0)


def _note(lock: Path, record: Path) -> bytes:
    folder = os.path.realpath(lock.parent)
    facts = os.stat(folder)  # noqa: PTH116 - at every start
    return os.fsencode(f"{record.name} {facts.st_dev} {facts.st_ino} {system.host_name()} {folder}")
