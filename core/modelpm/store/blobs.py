"""Blobs: immutable files named by the SHA-256 of their bytes; put in whole, checked, taken out."""

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from modelpm import disk
from modelpm.disk import system
from modelpm.errors import IntegrityError, StoreError
from modelpm.store import meta
from modelpm.store.layout import Layout, is_sha256

_READ = 4 << 20


def has(layout: Layout, sha256: str, size: int) -> bool:
    """Whether the blob is there and looks untouched; reads none of its bytes."""
    facts = _look(layout.blob_name(sha256))
    if facts is None or not stat.S_ISREG(facts.st_mode) or facts.st_size != size:
        return False
    known = meta.read(layout.record_name(sha256))
    return known is not None and known.fits(facts)


def check(
    layout: Layout,
    sha256: str,
    size: int,
    *,
    quick: bool = False,
    step: Callable[[int], None] | None = None,
    path: Path | None = None,
) -> str | None:
    """Say what is wrong with a blob.

    A full check that finds the bytes right renews a record that is missing, outdated, as after a restored backup, or
    without the digests that make repair cheap.

    Args:
        layout: The store's.
        sha256: Its name.
        size: Bytes it must have.
        quick: Compare with the record instead of reading the bytes.
        step: Called with the count of bytes after each read; may raise to stop.
        path: Where it is, if it is in another store.

    Returns:
        None where it is good, else the problem in words.
    """
    path = path or layout.blob(sha256)
    facts = _look(path)
    problem = _outside(facts, size)
    if problem is not None or facts is None:
        return problem
    known = meta.read(layout.record(sha256))
    if quick:
        if known is None:
            return "unrecorded: only its bytes can tell whether it is good"
        return None if known.fits(facts) else "replaced: its inode or its time of change is not the recorded one"
    try:
        found = digest(path, step)
    except OSError as error:
        return f"unreadable: {error.strerror or error}"
    if found.sha256 != sha256:
        return f"digest {found.sha256}, expected {sha256}"
    if known is None or not known.fits(found.facts) or (found.prefixes and not known.prefixes):
        _renew(layout.record(sha256), meta.record(found.facts, time.time(), found.prefixes))
    return None


class Hashed(NamedTuple):
    """A file that was hashed.

    Attributes:
        sha256: In hexadecimal.
        prefixes: The same of its first 16 MiB, first 32 MiB and so on.
        facts: Of the file that was read.
    """

    sha256: str
    prefixes: tuple[str, ...]
    facts: os.stat_result


def digest(path: Path, step: Callable[[int], None] | None = None) -> Hashed:
    """Hash a file.

    Args:
        path: The file.
        step: Called with the count of bytes after each read; may raise to stop.

    Raises:
        OSError: It cannot be read.
    """
    import hashlib

    hasher = hashlib.sha256()
    view = memoryview(bytearray(_READ))
    prefixes = []
    fd = system.open_file(path, os.O_RDONLY)
    try:
        offset = 0
        facts = os.fstat(fd)
        while count := system.pread_into(fd, view[: meta.PIECE - offset % meta.PIECE], offset):
            hasher.update(view[:count])
            offset += count
            if offset % meta.PIECE == 0:
                prefixes.append(hasher.copy().hexdigest())
            if step:
                step(count)
        return Hashed(hasher.hexdigest(), tuple(prefixes), facts)
    finally:
        os.close(fd)


def commit(layout: Layout, data: Path, sha256: str, prefixes: Sequence[str], *, ours: bool = True) -> Path:
    """Make a verified file a blob: durable first, then visible.

    Args:
        layout: The store's.
        data: The file, on the store's own file system; it is moved.
        sha256: What its bytes were found to be.
        prefixes: SHA-256 of its first 16 MiB, first 32 MiB and so on.
        ours: Whether the file is nobody else's, and may be made read-only.

    Returns:
        Where it is.

    Raises:
        StoreError: The system refuses; ``data`` is then where it was, or in place.
        IntegrityError: ``damaged``: a writer that no lock kept out put other bytes there.
    """
    blob, record = layout.blob(sha256), layout.record(sha256)
    disk.make_folder(blob.parent, below=layout.root)
    disk.make_folder(record.parent, below=layout.root)
    if (there := _look(blob)) is not None and not stat.S_ISREG(there.st_mode):
        raise StoreError(f"cannot store {blob}: something that is not a file is in the way", path=str(blob))
    with disk.explained(data, "store"):
        size = data.stat().st_size
    if there is not None and has(layout, sha256, size) and check(layout, sha256, size) is None:
        # Views show that inode. Replacing it with equal bytes would store them twice and make the views look damaged.
        with disk.explained(data, "remove"):
            system.unlink(data)
            system.fsync_folder(blob.parent)  # whoever put it there may not have come so far
        return blob
    with disk.explained(data, "store"):
        facts = _seal(data, disk.creation_mode(blob.parent, 0o444) if ours else None)
    # The record first: a blob in place then always has one, and a record without its blob hurts nobody.
    meta.write(record, meta.record(facts, time.time(), prefixes))
    with disk.explained(blob, "store"):
        system.replace(data, blob)
        system.fsync_folder(blob.parent)
    if not has(layout, sha256, facts.st_size) and (problem := check(layout, sha256, facts.st_size)):
        # Somebody whom no lock kept out was here at the same time, and not with the same bytes.
        raise IntegrityError(f"{blob} was changed while it was stored: {problem}", code="damaged", path=str(blob))
    return blob


def doubt(layout: Layout, sha256: str) -> None:
    """Let a blob be found damaged by every quick check, until its bytes are found good."""
    known = meta.read(layout.record(sha256))
    never = meta.Record(0, 0, 0, "", 0, known.prefixes if known else ())
    disk.make_folder(layout.record(sha256).parent, below=layout.root)
    meta.write(layout.record(sha256), never)


def _seal(data: Path, mode: int | None) -> os.stat_result:
    """Bring a file to the medium and make it read-only."""
    fd = system.open_file(data, os.O_RDWR if mode is not None else os.O_RDONLY)
    try:
        if mode is not None:
            system.set_mode(fd, data, mode)
        system.fsync(fd)
        return os.fstat(fd)
    finally:
        os.close(fd)


def freed(layout: Layout, sha256: str, going: Iterable[os.stat_result] = ()) -> int:
    """Return the bytes that :func:`remove` would free on the disk.

    Args:
        layout: The store's.
        sha256: The blob.
        going: What the system says of names, one each, that will be gone by then.
    """
    with disk.explained(layout.blob(sha256), "read"):
        facts = _look(layout.blob(sha256))
    if facts is None:
        return 0
    names = facts.st_nlink - sum(os.path.samestat(facts, other) for other in going)
    return system.physical_size(facts) if names <= 1 else 0


def remove(layout: Layout, sha256: str) -> int:
    """Take a blob out.

    Returns:
        Bytes that this freed on the disk: 0 where a view still holds the same file.
    """
    path, count = layout.blob(sha256), freed(layout, sha256)
    with disk.explained(path, "remove"):
        if os.path.lexists(path):
            system.unlink(path)
        layout.record(sha256).unlink(missing_ok=True)
    return count


def listing(layout: Layout) -> Iterator[tuple[str, int]]:
    """Yield name and size (bytes) of every blob, in no order; anything else there is passed over."""
    with disk.explained(layout.blobs, "read"):
        for folder in _entries(layout.blobs):
            if not folder.is_dir(follow_symlinks=False):
                continue
            for entry in _entries(Path(folder.path)):
                if is_sha256(entry.name) and entry.name[:2] == folder.name and entry.is_file(follow_symlinks=False):
                    with contextlib.suppress(FileNotFoundError):  # somebody may remove it in this instant
                        yield entry.name, entry.stat(follow_symlinks=False).st_size


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except FileNotFoundError:
        return []


def _look(path: Path | str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _outside(facts: os.stat_result | None, size: int) -> str | None:
    """Say what can be seen to be wrong without opening the file."""
    if facts is None:
        return "missing"
    if not stat.S_ISREG(facts.st_mode):
        return "replaced: it is not a regular file"
    return None if facts.st_size == size else f"size {facts.st_size}, expected {size}"


def _renew(path: Path, known: meta.Record) -> None:
    try:
        disk.make_folder(path.parent, below=path.parents[3])
        meta.write(path, known)
    except StoreError:  # a read-only store is checked like any other
        return
