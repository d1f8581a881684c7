"""Blobs: immutable files named by the SHA-256 of their bytes; store, check and remove them."""

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from modelpm import disk
from modelpm.disk import system
from modelpm.errors import Code, IntegrityError, StoreError
from modelpm.store.blobs import records
from modelpm.store.blobs.known import Known, Place
from modelpm.store.layout import Layout, is_sha256

_READ = 4 << 20


def check(
    known: Known,
    place: Place,
    size: int,
    *,
    quick: bool = False,
    step: Callable[[int], None] | None = None,
) -> str | None:
    """Return the problem of a file that should have a blob's bytes; record what a hash proves.

    Args:
        known: The facts of files that were hashed once.
        place: The file.
        size: Bytes it must have.
        quick: Whether to trust a file that looks as it did at its last hash; any other is hashed.
        step: Called with the count of bytes after each read; may raise to stop.

    Returns:
        None if it is good, else the problem in words.
    """
    facts = look(place.path)
    problem = _outside(facts, size)
    if problem is not None or facts is None:
        return problem
    if quick and known.find(place, facts) is not None:
        return None
    try:
        found = digest(Path(place.path), step)
    except OSError as error:
        return f"unreadable: {error.strerror or error}"
    if found.sha256 != place.sha256:
        return f"digest {found.sha256}, expected {place.sha256}"
    before = known.find(place, found.facts, exact=True)
    if before is None or (found.prefixes and not before.prefixes):
        known.learn(place, found.facts, found.prefixes)
    return None


def prove(known: Known, place: Place, facts: os.stat_result, target: Path) -> None:
    """Hash a blob before it gets a new name, unless nothing happened to it since its last hash.

    Raises:
        IntegrityError: It is damaged.
    """
    if known.find(place, facts, exact=True) is not None:
        return
    if problem := check(known, place, facts.st_size):
        raise IntegrityError(
            f"cannot link {target}: {place.path} is damaged: {problem}",
            code=Code.DAMAGED,
            hints=["modelpm verify --repair"],
            path=place.path,
        )


class Hashed(NamedTuple):
    """The result of hashing a file.

    Attributes:
        sha256: In hexadecimal.
        prefixes: The same of its first 16 MiB, first 32 MiB and so on.
        facts: The file status at the read.
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
        while count := system.pread_into(fd, view[: records.PIECE - offset % records.PIECE], offset):
            hasher.update(view[:count])
            offset += count
            if offset % records.PIECE == 0:
                prefixes.append(hasher.copy().hexdigest())
            if step:
                step(count)
        return Hashed(hasher.hexdigest(), tuple(prefixes), facts)
    finally:
        os.close(fd)


def commit(
    known: Known, layout: Layout, data: Path, sha256: str, prefixes: Sequence[str], *, seal: bool = True
) -> Path:
    """Store a verified file as a blob: durable first, then visible.

    Args:
        known: The facts of files that were hashed once.
        layout: The store's.
        data: The file, on the store's own file system; it is moved.
        sha256: Its verified digest.
        prefixes: SHA-256 of its first 16 MiB, first 32 MiB and so on.
        seal: Whether to make it read-only; False if it is already.

    Returns:
        The path of the blob.

    Raises:
        StoreError: The system refuses; ``data`` did not move, or is in place.
        IntegrityError: ``damaged``: a writer without a lock stored other bytes there.
    """
    place = own_place(layout, sha256)
    blob, record = Path(place.path), Path(place.record)
    disk.make_folder(blob.parent, below=layout.root)
    disk.make_folder(record.parent, below=layout.root)
    if (there := look(place.path)) is not None and not stat.S_ISREG(there.st_mode):
        raise StoreError(f"cannot store {blob}: something that is not a file is in the way", path=str(blob))
    with disk.explained(data, "store"):
        size = data.stat().st_size
    if there is not None and check(known, place, size) is None:
        # Views link that inode. Replacing it with equal bytes would store them twice and make the views look damaged.
        with disk.explained(data, "remove"):
            system.unlink(data)
            system.fsync_folder(blob.parent)  # the process that put it there may not have synced the folder yet
        return blob
    with disk.explained(data, "store"):
        facts = _seal(data, disk.creation_mode(blob.parent, 0o444) if seal else None)
    # The record first: a blob in place then always has one, and a record without its blob does no harm.
    records.write(record, records.record(facts, time.time(), prefixes))
    with disk.explained(blob, "store"):
        system.replace(data, blob)
        system.fsync_folder(blob.parent)
    _settle(known, place, facts, prefixes)
    return blob


def _settle(known: Known, place: Place, sealed: os.stat_result, prefixes: Sequence[str]) -> None:
    """Record the new ctime of a blob, if it is the file that was moved there.

    Raises:
        IntegrityError: Another process without a lock stored other bytes here at the same time.
    """
    now = look(place.path)
    if now is not None and records.record(sealed, 0).fits(now):
        if not records.renew(place.record, now.st_ctime_ns) or known.find(place, now, exact=True) is None:
            known.learn(place, now, prefixes)
    elif problem := check(known, place, sealed.st_size, quick=True):
        raise IntegrityError(
            f"{place.path} was changed while it was stored: {problem}", code=Code.DAMAGED, path=place.path
        )


def own_place(layout: Layout, sha256: str) -> Place:
    """Return the place of a blob in this store, existing or future."""
    return Place(sha256, layout.blob_name(sha256), layout.record_name(sha256), own=True)


def _seal(data: Path, mode: int | None) -> os.stat_result:
    """Sync a file and make it read-only."""
    fd = system.open_file(data, os.O_RDWR if mode is not None else os.O_RDONLY)
    try:
        if mode is not None:
            system.set_mode(fd, data, mode)
        system.fsync(fd)
        return os.fstat(fd)
    finally:
        os.close(fd)


def quarantine(layout: Layout, data: Path, wanted: str, got: str) -> Path:
    """Move bytes into quarantine; see :meth:`modelpm.store.Store.quarantine`."""
    target = layout.quarantined(wanted, got)
    disk.make_folder(target.parent, below=layout.root)
    with disk.explained(data, "set aside"):
        system.replace(data, target)
        system.fsync_folder(target.parent)
    return target


def freed(layout: Layout, sha256: str, going: Iterable[os.stat_result] = ()) -> int:
    """Return the bytes that :func:`remove` would free on the disk.

    Args:
        layout: The store's.
        sha256: The blob.
        going: The file status of each name that will be removed before.
    """
    with disk.explained(layout.blob(sha256), "read"):
        facts = look(layout.blob(sha256))
    if facts is None:
        return 0
    names = facts.st_nlink - sum(os.path.samestat(facts, other) for other in going)
    return system.physical_size(facts) if names <= 1 else 0


def remove(layout: Layout, sha256: str) -> int:
    """Remove a blob.

    Returns:
        The bytes that this freed on the disk: 0 if a view still holds the same file.
    """
    path, count = layout.blob(sha256), freed(layout, sha256)
    with disk.explained(path, "remove"):
        if os.path.lexists(path):
            system.unlink(path)
        layout.record(sha256).unlink(missing_ok=True)
    return count


def listing(layout: Layout) -> Iterator[tuple[str, int]]:
    """Yield name and size (bytes) of every blob, in no order; skip other files."""
    with disk.explained(layout.blobs, "read"):
        for folder in _entries(layout.blobs):
            if not folder.is_dir(follow_symlinks=False):
                continue
            for entry in _entries(Path(folder.path)):
                if is_sha256(entry.name) and entry.name[:2] == folder.name and entry.is_file(follow_symlinks=False):
                    with contextlib.suppress(FileNotFoundError):  # another process may remove it in this instant
                        yield entry.name, entry.stat(follow_symlinks=False).st_size


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except FileNotFoundError:
        return []


def look(path: Path | str) -> os.stat_result | None:
    """Return the file status of a name; None if it does not exist."""
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _outside(facts: os.stat_result | None, size: int) -> str | None:
    """Return a problem that shows without opening the file."""
    if facts is None:
        return "missing"
    if not stat.S_ISREG(facts.st_mode):
        return "replaced: it is not a regular file"
    return None if facts.st_size == size else f"size {facts.st_size}, expected {size}"
