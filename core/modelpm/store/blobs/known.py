"""Files whose bytes are known without reading them, because they were hashed once.

The record beside a blob counts only where only this user, or root, can have written blob and record. What was
found out about any other file (of another user's store, of a store that a group shares, of a view that stands on its
own) is noted in the user's own cache, by digest and path; if that cannot be written, for this run.
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
        record: What its store recorded of it; empty for a file that is in no store.
        own: Whether that store is ours, so that the record is for us to write.
    """

    sha256: str
    path: str
    record: str = ""
    own: bool = False


class Known:
    """Finds and keeps what is known. Thread-safe.

    Attributes:
        folder: Where notes are kept; None keeps them for this run.
        unkept: Whether something could be kept for this run only, so that the next one hashes it again.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.unkept = False
        self._run: dict[str, Record] = {}

    def find(self, place: Place, facts: os.stat_result, *, exact: bool = False) -> Record | None:
        """Return the record by which a file needs no hashing; None if only its bytes can tell.

        Args:
            place: The file.
            facts: What the system says of it.
            exact: Whether its ctime must be the recorded one, too. For a file that others can write it always must.
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
        """Whether a file is there, has the size, and needs no hashing; as :meth:`find`."""
        if facts is None or not stat.S_ISREG(facts.st_mode) or facts.st_size != size:
            return False
        return self.find(place, facts, exact=exact) is not None

    def learn(self, place: Place, facts: os.stat_result, prefixes: Sequence[str] = ()) -> None:
        """Keep that a file was hashed, or written, and is good; one in our store is made read-only again.

        Args:
            place: The file.
            facts: What the system said of it before.
            prefixes: As of :class:`modelpm.store.blobs.records.Record`.
        """
        old = records.read(place.record) if place.own else None
        if place.own and facts.st_mode & records.WRITABLE and _is_ours_to_seal(facts, old):
            facts = _sealed(place.path, facts)
        it = records.record(facts, time.time(), prefixes)
        if old is not None and old.inode == facts.st_ino:  # it was committed when it was
            it = it._replace(boot=old.boot, committed_at=old.committed_at)
        if not (place.own and _recorded(place, it, facts)):
            self._keep(place, it)

    def doubt(self, place: Place) -> None:
        """Forget that a file is good, so that it is hashed before it counts again; what helps to repair it is kept.

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
        """Keep what is known of a file exact while the block gives it a name, or takes one away.

        Either changes the file's ctime; noted at once, it is not a reason to hash.
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

    Older versions linked a user's own file into the store as it was, and recorded no mode: such a file keeps its mode.
    """
    imported = old is not None and not old.mode and old.inode == facts.st_ino and facts.st_nlink > 1
    return system.is_own(facts) and not imported


def _sealed(path: str, facts: os.stat_result) -> os.stat_result:
    """Take away the permission to write; return what the system says then, if it is still the same file."""
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
    """Write the record of a blob; return whether it is believed from now on."""
    path = Path(place.record)
    try:
        disk.make_folder(path.parent, below=path.parents[3])
        records.write(path, it)
        return system.is_trusted(facts) and system.is_trusted(path.stat())
    except (StoreError, OSError):  # a read-only store is checked like any other
        return False
