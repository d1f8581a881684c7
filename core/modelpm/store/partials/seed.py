"""Begin a download with the bytes of a damaged blob, so that only what is wrong with them is fetched again.

The engine hashes a resumed download forward, checks it against the prefix digests that were recorded of the good blob,
and fetches the piece before the first that differs. The damaged blob stays as it is until the whole is verified.
"""

import errno
import os
import stat
from pathlib import Path

from modelpm import disk
from modelpm.disk import system
from modelpm.disk.atomic import temporary
from modelpm.store.blobs import records
from modelpm.store.layout import Layout
from modelpm.store.partials.journal import Contents, Header, Journal, decode, read
from modelpm.store.partials.ranges import Ranges

_CHUNK = 1 << 20


def seed(layout: Layout, folder: Path, sha256: str, size: int) -> int:
    """Make a partial of a blob; the caller holds the lock of that name.

    A partial that already exists, of a repair or a download that was interrupted, knows more, and stays.

    Args:
        layout: The store's.
        folder: Of the partial.
        sha256: The blob.
        size: Bytes it should have.

    Returns:
        How many bytes can be built upon; 0 without a blob or without digests that tell its good pieces from others.

    Raises:
        StoreError: The system refuses, or the disk lacks space for both.
    """
    blob, boot = layout.blob(sha256), system.boot_id()
    there = decode(read(folder / "journal"), boot)
    if there is not None and there.extents:
        return there.extents.total
    known = records.read(layout.record(sha256))
    if not blob.is_file() or blob.is_symlink() or known is None or not known.prefixes:
        return 0
    with disk.explained(folder, "make the folder"):
        folder.mkdir(mode=0o700, exist_ok=True)
    with disk.explained(folder / "data", "write", needed=size):
        extents = _clone(blob, folder / "data", size)
    prefixes = {(i + 1) * records.PIECE: digest for i, digest in enumerate(known.prefixes)}
    journal = Journal(folder / "journal")
    with disk.explained(journal.path, "write"):
        journal.start(Contents(Header(sha256, size, f"sha256:{sha256}", boot=boot), extents, prefixes), synced=True)
        journal.close()
    return extents.total


def _clone(blob: Path, target: Path, size: int) -> Ranges:
    """Copy what can be read of a blob, up to ``size`` bytes; return what that is."""
    draft = temporary(target.parent)
    try:
        if system.reflink(blob, draft):
            extents = Ranges([(0, min(size, draft.stat().st_size))])
        else:
            extents = _copy(blob, draft, size)
        fd = system.open_file(draft, os.O_RDWR)
        try:
            system.set_mode(fd, draft, stat.S_IRUSR | stat.S_IWUSR)
            system.fsync(fd)
        finally:
            os.close(fd)
        system.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)
    return extents


def _copy(blob: Path, draft: Path, size: int) -> Ranges:
    extents, buffer = Ranges(), memoryview(bytearray(_CHUNK))
    reading = system.open_file(blob, os.O_RDONLY)
    try:
        writing = system.open_file(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            system.reserve(writing, size)
            offset = 0
            while offset < size:
                try:
                    count = system.pread_into(reading, buffer[: size - offset], offset)
                except OSError as error:
                    if error.errno != errno.EIO:
                        raise
                    offset += _CHUNK  # what the disk lost is fetched
                    continue
                if not count:
                    break
                system.pwrite(writing, buffer[:count], offset)
                extents.add(offset, offset + count)
                offset += count
        finally:
            os.close(writing)
    finally:
        os.close(reading)
    return extents
