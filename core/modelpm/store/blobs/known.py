"""Files whose bytes are known without reading them, because they were hashed once.

The record beside a blob counts only if only this user, or root, can have written blob and record. The facts of any
other file (in another user's store, in a store that a group shares, in a view with its own copies) are kept in the
user's own cache, by digest and path; if that cannot be written, for this run.
"""

import contextlib
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from modelpm import disk
from modelpm.disk import system
from modelpm.errors import StoreError
from modelpm.store.blobs import records
from modelpm.store.blobs.records import Record


class Place(NamedTuple):
    """A file that should hold a blob's bytes.

    Attributes:
        sha256: The blob.
        path: The file.
        record: The path of its record; empty for a file outside a store.
        own: Whether it is in this user's store, so that modelpm may write the record.
    """

    sha256: str
    path: str
    record: str = ""
    own: bool = False


class Known:
    """Finds and keeps the facts of hashed files. Thread-safe.

    Attributes:
        folder: The folder of the notes; None keeps them for this run.
        unkept: Whether a fact could be kept for this run only, so that the next run hashes the file again.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.unkept = False
        self._run: dict[str, Record] = {}

    def find(self, place: Place, facts: os.stat_result, *, exact: bool = False) -> Record | None:
        """Return the record by which a file needs no hashing; None if only its bytes can tell.

        Args:
            place: The file.
            facts: The file status.
            exact: Whether its ctime must also be the recorded one, as always for a file that others can write.
        """
        trusted = system.is_trusted(facts)
        exact = exact or not trusted
        if place.own:
            found = _fitting(records.read(place.record, trusted=True) if trusted else None, facts, exact=exact)
            return found or _fitting(self._note(place), facts, exact=exact)
        known = self._note(place)
        if known is None and trusted and place.record:
            known = records.read(place.record, trusted=True)
        return _fitting(known, facts, exact=exact)

    def is_good(self, place: Place, facts: os.stat_result | None, size: int, *, exact: bool = False) -> bool:
        """Whether a file exists, has the size, and needs no hashing; as :meth:`find`."""
        if facts is None or not stat.S_ISREG(facts.st_mode) or facts.st_size != size:
            return False
        return self.find(place, facts, exact=exact) is not None

    def learn(self, place: Place, facts: os.stat_result, prefixes: Sequence[str] = ()) -> None:
        """Record that a file was hashed or written, and is good; make it read-only again if it is in this store.

        Args:
            place: The file.
            facts: The file status before.
            prefixes: As of :class:`modelpm.store.blobs.records.Record`.
        """
        old = records.read(place.record) if place.own else None
        if place.own and facts.st_mode & records.WRITABLE and _is_ours_to_seal(facts, old):
            facts = _sealed(place.path, facts)
        it = records.record(facts, time.time(), prefixes)
        if old is not None and old.inode == facts.st_ino:  # keep the time of the first commit
            it = it._replace(boot=old.boot, committed_at=old.committed_at)
        if not (place.own and _recorded(place, it, facts)):
            self._keep(place, it)

    def doubt(self, place: Place) -> None:
        """Forget that a file is good, so that it is hashed before it counts again; keep what helps to repair it.

        Raises:
            StoreError: The record cannot be written.
        """
        if not place.own or self._note(place) is not None:
            self._keep(place, records.NEVER)
        if place.own:
            known = records.read(place.record)
            path = Path(place.record)
            disk.make_folder(path.parent, below=path.parents[3])
            records.write(path, records.NEVER._replace(prefixes=known.prefixes if known else ()))

    @contextmanager
    def renaming(self, place: Place) -> Iterator[None]:
        """Keep the record of a file exact while the block adds or removes one of its names.

        Either changes the file's ctime; recorded at once, it is not a reason to hash.
        """
        before = _look(place.path)
        it = None if before is None else self.find(place, before, exact=True)
        yield
        after = _look(place.path)
        if it is None or after is None or it.is_exact(after) or not it.fits(after):
            return
        renewed = place.own and records.renew(place.record, after.st_ctime_ns)
        if not renewed or not system.is_trusted(after):
            self._keep(place, it._replace(ctime_ns=after.st_ctime_ns))

    def _keep(self, place: Place, it: Record) -> None:
        key = _key(place)
        if self.folder is not None:
            path = self.folder / key[:2] / f"{key}.json"
            with contextlib.suppress(StoreError):
                disk.make_folder(path.parent, below=self.folder)
                records.write(path, it, durable=False)
                self._run.pop(key, None)
                return
        self._run[key] = it
        self.unkept = True

    def _note(self, place: Place) -> Record | None:
        key = _key(place)
        if (it := self._run.get(key)) is not None or self.folder is None:
            return it
        return records.read(os.path.join(self.folder, key[:2], f"{key}.json"), trusted=True)  # noqa: PTH118 - many of them


def _key(place: Place) -> str:
    import hashlib

    return hashlib.sha256(place.sha256.encode() + b" " + os.fsencode(os.path.abspath(place.path))).hexdigest()  # noqa: PTH100 - links in a view must stay what they are


def _fitting(it: Record | None, facts: os.stat_result, *, exact: bool) -> Record | None:
    if it is None:
        return None
    return it if (it.is_exact(facts) if exact else it.fits(facts)) else None


def _look(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _is_ours_to_seal(facts: os.stat_result, old: Record | None) -> bool:
    """Whether a writable file of the store may be made read-only.

    Older versions linked a user's own file into the store unchanged, and recorded no mode: such a file keeps its mode.
    """
    imported = old is not None and not old.mode and old.inode == facts.st_ino and facts.st_nlink > 1
    return system.is_own(facts) and not imported


def _sealed(path: str, facts: os.stat_result) -> os.stat_result:
    """Remove the permission to write; return the new file status, if it is still the same file."""
    try:
        fd = system.open_file(path, os.O_RDONLY)
    except OSError:
        return facts
    try:
        now = os.fstat(fd)
        if (now.st_ino, now.st_mtime_ns, now.st_ctime_ns) == (facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns):
            system.set_mode(fd, Path(path), stat.S_IMODE(now.st_mode) & ~records.WRITABLE)
        return os.fstat(fd)
    finally:
        os.close(fd)


def _recorded(place: Place, it: Record, facts: os.stat_result) -> bool:
    """Write the record of a blob; return whether it counts from now on."""
    path = Path(place.record)
    try:
        disk.make_folder(path.parent, below=path.parents[3])
        records.write(path, it)
        return system.is_trusted(facts) and system.is_trusted(path.stat())
    except (StoreError, OSError):  # a read-only store is checked like any other
        return False
