"""Records of blobs: what a blob looked like when it was committed, and its digests on the way to the last byte."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from modelpm.disk import system
from modelpm.disk.atomic import write_atomic

PIECE = 16 << 20  # bytes between two prefix digests
_USUAL = 1 << 14  # bytes of a record; that of a blob of 3 GiB fits
_LARGEST = 64 << 20  # bytes of a record; enough for a blob of 15 TiB


class Record(NamedTuple):  # a dataclass takes a millisecond to make, at every start
    """What was true of a blob at its commit.

    Attributes:
        size: Bytes.
        mtime_ns: Time of the last change of its bytes, nanoseconds since 1970.
        inode: Number of the file.
        boot: Which boot of the machine it was committed in; "" where that is unknown.
        committed_at: Seconds since 1970.
        prefixes: SHA-256 (hexadecimal) of the blob's first 16 MiB, first 32 MiB and so on; may be empty.
    """

    size: int
    mtime_ns: int
    inode: int
    boot: str
    committed_at: int
    prefixes: tuple[str, ...] = ()

    def fits(self, facts: os.stat_result) -> bool:
        """Whether a file looks as the blob did."""
        return (facts.st_size, facts.st_mtime_ns, facts.st_ino) == (self.size, self.mtime_ns, self.inode)


def record(facts: os.stat_result, now: float, prefixes: Sequence[str]) -> Record:
    """Describe a blob that is known to be good.

    Args:
        facts: Of the file.
        now: Seconds since 1970.
        prefixes: As in :class:`Record`.
    """
    return Record(facts.st_size, facts.st_mtime_ns, facts.st_ino, system.boot_id(), int(now), tuple(prefixes))


def write(path: Path, it: Record) -> None:
    """Store a record.

    Raises:
        StoreError: The system refuses.
    """
    import json

    write_atomic(path, json.dumps(it._asdict()).encode() + b"\n")


def read(path: Path | str) -> Record | None:
    """Load a record; None where there is none that makes sense, which costs a look at the bytes and nothing else."""
    try:
        fd = system.open_file(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        data = os.read(fd, _USUAL)
        if len(data) == _USUAL:
            size = os.fstat(fd).st_size
            data += os.read(fd, max(0, size - _USUAL)) if size <= _LARGEST else b""
        return parse(data)
    except OSError:
        return None
    finally:
        os.close(fd)


def parse(data: bytes) -> Record | None:
    """Read what :func:`write` wrote, or whatever stands in its place."""
    import json

    try:
        found = json.loads(data)
        it = Record(**{**found, "prefixes": tuple(found["prefixes"])})
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    numbers = (it.size, it.mtime_ns, it.inode, it.committed_at)
    texts = (it.boot, *it.prefixes)
    sound = all(type(n) is int for n in numbers) and all(type(t) is str for t in texts)
    return it if sound else None
