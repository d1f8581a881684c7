"""One unfinished download: its bytes, each at its own offset, and the journal that vouches for them."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from modelpm import disk
from modelpm.disk import system
from modelpm.errors import Code, StoreError
from modelpm.store.partials.journal import Contents, Header, Journal, Kind, decode, read
from modelpm.store.partials.ranges import END, Ranges

RECORD_BYTES = 1 << 20
_MOST_BYTES = 8 << 20  # between two records, however large the file is: a kill costs at most this much
RECORD_SECONDS = 0.5
SYNC_BYTES = 64 << 20
SYNC_SECONDS = 2.0
_RECORDS_BITS = 16  # log2 of how many records a whole file may take
_LONG = 4 << 20  # bytes of a journal that is written again: it has been told the same many times
_SMALL = 8 << 20  # bytes of a file for which no space is reserved: it is written before that would have helped


class Partial:
    """The bytes of an unfinished file. Thread-safe; one process at a time, for which the caller holds a lock.

    Bytes count as present when they were written, survive the process when they were recorded, which happens every MiB
    and in :meth:`flush`, and survive a power cut when :meth:`sync` came after that.

    Attributes:
        folder: Where data and journal are.
        data: The file with the bytes.
        resumed: How many bytes an earlier run left.
    """

    def __init__(self, folder: Path, header: Header) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.resumed = 0
        self._wanted = replace(header, boot=system.boot_id())
        self._contents = Contents(self._wanted)
        self._journal = Journal(folder / "journal")
        self._fd = -1
        self._changed = threading.Condition()
        self._present = Ranges()
        self._fresh = Ranges()  # present, and not recorded
        self._recorded_at = time.monotonic()
        self._users = 0  # calls that use a descriptor right now, outside of the lock
        self._unsynced = 0
        self._synced_at = time.monotonic()
        self._covered = 0  # the journal's length at its last mark
        self._anchored = False
        self._lossy = False  # the medium refused to take something: nothing more is vouched for
        self._journals = 0  # how many were begun
        # So that a huge file's journal does not take long to read; many connections' is written again, now and then.
        self._record_bytes = min(_MOST_BYTES, max(RECORD_BYTES, (header.size or 0) >> _RECORDS_BITS))

    @property
    def header(self) -> Header:
        """The file that the bytes belong to."""
        return self._contents.header

    def open(self) -> None:
        """Open or make the files; what an earlier run left counts where it belongs to the same file.

        Raises:
            StoreError: The system refuses, or a symlink is in the way.
        """
        self._contents, self._present, self._fresh, self.resumed = Contents(self._wanted), Ranges(), Ranges(), 0
        self._unsynced, self._synced_at, self._covered, self._anchored = 0, time.monotonic(), 0, False
        with disk.explained(self.folder, "make the folder"):
            self.folder.mkdir(mode=0o700, exist_ok=True)
            if self.folder.is_symlink():
                raise disk.symlink(self.folder, "use")
        with disk.explained(self.data, "open", needed=self.header.size):
            self._fd = _open_data(self.data)
            journal = read(self._journal.path)
            earlier = decode(journal, self.header.boot)
            if earlier is not None and _resumable(earlier.header, self.header):
                self._adopt(earlier)
            else:
                os.ftruncate(self._fd, 0)
            # A new journal begins with its first record: a file of half a second needs no journal.
            if journal or os.path.lexists(self._journal.path):
                self._start_journal()
            self._reserve()

    def _adopt(self, earlier: Contents) -> None:
        """Continue with the bytes that count; sync them first, so that the new journal may vouch for all of them."""
        end = os.fstat(self._fd).st_size
        earlier.extents.remove(end, END)
        if self.header.size is not None:
            earlier.extents.remove(self.header.size, END)
        system.fdatasync(self._fd)
        self._contents = replace(earlier, header=replace(earlier.header, boot=self.header.boot))
        self._present = earlier.extents.copy()
        self.resumed = self._present.total

    def _start_journal(self, *, synced: bool = True) -> None:
        self._journal.start(self._contents, synced=synced)
        self._covered = self._journal.length if synced or not self._contents.extents else 0
        self._journals += 1

    def _reserve(self) -> None:
        """Reserve the space, so that a disk that is too full fails at once."""
        if (self.header.size or 0) >= _SMALL:
            system.reserve(self._fd, self.header.size or 0)

    def close(self) -> None:
        """Close the files as soon as no call uses them; a later write fails."""
        with contextlib.suppress(StoreError):  # what is not recorded is fetched again
            self._record()
        with self._changed:
            fd, self._fd = self._fd, -1
            self._changed.wait_for(lambda: self._users == 0)
            self._journal.close()
        if fd >= 0:
            os.close(fd)

    @contextmanager
    def _use(self) -> Iterator[int]:
        with self._changed:
            if self._fd < 0:
                raise StoreError(f"{self.data} was closed meanwhile", code=Code.CLOSED)
            self._users += 1
            fd = self._fd
        try:
            yield fd
        finally:
            with self._changed:
                self._users -= 1
                if self._fd < 0:
                    self._changed.notify_all()

    def write(self, offset: int, data: memoryview, *, copied: bool = False) -> None:
        """Write bytes at their offset.

        Args:
            offset: Where.
            data: The bytes.
            copied: Whether they are those of another file, which only seems to have them.

        Raises:
            StoreError: ``no_space`` and other refusals of the system.
        """
        if copied:
            with self._changed:
                self._contents.copied.add(offset, offset + len(data))
                self._append(Kind.COPY, offset, len(data))
        with self._use() as fd, disk.explained(self.data, "write", needed=self.header.size):
            system.pwrite(fd, data, offset)
        with self._changed:
            if not copied:
                self._contents.copied.remove(offset, offset + len(data))
            self._present.add(offset, offset + len(data))
            self._fresh.add(offset, offset + len(data))
            self._unsynced += len(data)
            self._changed.notify_all()
            if self._fresh.total >= self._record_bytes:
                self._record()

    @contextmanager
    def reading(self) -> Iterator[Callable[[int, memoryview], int]]:
        """Yield what fills a buffer from an offset and returns how many bytes came; without a lock for each read."""
        with self._use() as fd, disk.explained(self.data, "read"):
            yield lambda offset, buffer: system.pread_into(fd, buffer, offset)

    def flush(self) -> None:
        """Vouch for what was written, if that was not done for half a second."""
        if self._fresh and time.monotonic() - self._recorded_at >= RECORD_SECONDS:
            self._record()

    def _record(self) -> None:
        with self._changed:
            if self._fd < 0 or self._lossy:
                return
            for start, stop in self._fresh:
                self._append(Kind.EXTENT, start, stop - start)
                self._contents.extents.add(start, stop)
            self._fresh = Ranges()
            self._recorded_at = time.monotonic()

    def record_prefix(self, offset: int, sha256: str) -> None:
        """Remember the digest of everything before an offset, unless bytes of another file are among it."""
        with self._changed:
            lowest = self._contents.copied.first(1)
            if lowest is not None and lowest[0] < offset:
                return
            self._contents.prefixes[offset] = sha256
            self._append(Kind.PREFIX, offset, 0, bytes.fromhex(sha256))

    def prefix(self, offset: int) -> str | None:
        """Return the digest of everything before an offset as an earlier run, or this one, saw it."""
        return self._contents.prefixes.get(offset)

    def forget_prefixes(self) -> None:
        """Believe no remembered digest any more: the bytes are right against them."""
        with self._changed:
            self._contents.prefixes.clear()

    def drop(self, start: int, stop: int) -> None:
        """Take back that bytes are there."""
        with self._changed:
            self._present.remove(start, stop)
            self._fresh.remove(start, stop)
            self._contents.extents.remove(start, stop)
            self._contents.copied.remove(start, stop)
            self._append(Kind.DROP, start, stop - start)

    @property
    def copied(self) -> int:
        """How many of the bytes that are there are those of another file."""
        with self._changed:
            spans = list(self._contents.copied)
            return sum(b - a - sum(y - x for x, y in self._present.gaps(a, b)) for a, b in spans)

    def drop_copied(self, begin: int, end: int) -> int:
        """Take back that bytes of another file are there, between two offsets; return how many those are.

        Raises:
            StoreError: The journal cannot be written.
        """
        with self._changed:
            before = self._present.total
            for start, stop in self._contents.copied:
                if start < end and begin < stop:
                    self.drop(max(start, begin), min(stop, end))
            return before - self._present.total

    def restart(self, origin: str = "", validator: str | None = None) -> None:
        """Forget every byte, as when the object changed; no other thread may be writing."""
        with self._changed, disk.explained(self.data, "truncate"):
            self._present, self._fresh = Ranges(), Ranges()
            header = replace(self.header, origin=origin, validator=validator)
            self._contents = Contents(header)
            os.ftruncate(self._fd, 0)
            self._start_journal()
            self._reserve()

    def identify(self, origin: str, validator: str | None) -> None:
        """Remember which version of the object the bytes are of."""
        with self._changed, disk.explained(self._journal.path, "write"):
            self._contents = replace(self._contents, header=replace(self.header, origin=origin, validator=validator))
            self._start_journal(synced=False)

    def gaps(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Return what is not there between two offsets, lowest first."""
        with self._changed:
            return list(self._present.gaps(start, stop))

    @property
    def present(self) -> int:
        """How many bytes are there."""
        return self._present.total

    def reach(self, offset: int) -> int:
        """Return up to where every byte from ``offset`` on is there."""
        with self._changed:
            return self._present.end(offset)

    def await_bytes(self, offset: int, seconds: float) -> int:
        """Wait until the byte at ``offset`` is there, or :meth:`wake` is called; return as :meth:`reach`."""
        with self._changed:
            if self._present.end(offset) == offset:
                self._changed.wait(seconds)
            return self._present.end(offset)

    def wake(self) -> None:
        """End every :meth:`await_bytes`."""
        with self._changed:
            self._changed.notify_all()

    def sync_is_due(self) -> bool:
        """Whether enough was written, or enough time has passed, that it should be brought to the medium."""
        return self._unsynced >= SYNC_BYTES or (
            self._unsynced > 0 and time.monotonic() - self._synced_at >= SYNC_SECONDS
        )

    def sync(self) -> None:
        """Bring all that is recorded to the medium, then mark it so in the journal.

        Raises:
            StoreError: It failed, and what was recorded since the last mark counts no more: the pages may be gone.
        """
        self._record()
        with self._changed:
            covered, self._unsynced, self._synced_at = self._journal.length, 0, time.monotonic()
            journal, durable = self._journals, self._contents.extents.copy()
        try:
            with self._use() as fd, disk.explained(self.data, "write"):
                system.fdatasync(fd)
                with self._changed:
                    if journal != self._journals:  # begun again meanwhile: the mark would vouch for other bytes
                        return
                    self._mark(covered, durable)
                if not self._anchored:
                    system.fsync_folder(self.folder)
                    system.fsync_folder(self.folder.parent)
                    self._anchored = True
        except StoreError:
            self._lossy = True
            with self._changed, contextlib.suppress(OSError):
                self._journal.cut(self._covered)
            raise

    def _mark(self, covered: int, durable: Ranges) -> None:
        """Say that what the journal's first ``covered`` bytes speak of, which is ``durable``, is on the medium."""
        if self._journal.length < _LONG:
            self._append(Kind.SYNC, 0, covered)
            self._journal.sync()
            self._covered = covered
            return
        now = self._contents.extents
        for start, stop in now.gaps(0, END):
            durable.remove(start, stop)
        self._contents = replace(self._contents, extents=durable)
        self._start_journal()
        for start, stop in [gap for extent in now for gap in durable.gaps(*extent)]:
            self._append(Kind.EXTENT, start, stop - start)
            self._contents.extents.add(start, stop)

    def complete(self, size: int) -> Path:
        """Close the files and return the one with the bytes, cut at ``size``."""
        with self._use() as fd, disk.explained(self.data, "truncate"):
            if os.fstat(fd).st_size != size:
                os.ftruncate(fd, size)
        with self._changed:
            if not self._journal.started:  # nothing will ask which bytes of a whole file are present
                self._fresh = Ranges()
        self.close()
        return self.data

    def discard(self) -> None:
        """Remove the folder and what is left in it."""
        self.close()
        for path in (self._journal.path, self.data):
            with contextlib.suppress(OSError):
                system.unlink(path)
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def _append(self, kind: Kind, offset: int, length: int, digest: bytes = b"") -> None:
        if self._fd < 0:
            raise StoreError(f"{self._journal.path} was closed meanwhile", code=Code.CLOSED)
        with disk.explained(self._journal.path, "write"):
            if not self._journal.started:
                self._start_journal(synced=False)
            self._journal.append(kind, offset, length, digest)


def _open_data(path: Path) -> int:
    """Open the file with the bytes; one that was made read-only to become a blob, and never did, is ours again."""
    try:
        return system.open_file(path, os.O_RDWR | os.O_CREAT, 0o600)
    except PermissionError:
        fd = system.open_file(path, os.O_RDONLY)
    try:
        system.set_mode(fd, path, 0o600)
    finally:
        os.close(fd)
    return system.open_file(path, os.O_RDWR)


def _resumable(earlier: Header, wanted: Header) -> bool:
    """Whether bytes of an earlier run can be resumed: the same promise, or a strong validator to ask with."""
    if (earlier.key, earlier.digest) != (wanted.key, wanted.digest):
        return False
    sizes_agree = earlier.size == wanted.size
    return sizes_agree and (wanted.digest is not None or earlier.validator is not None)


def reserved(folder: Path) -> int:
    """Return how many bytes of the disk a partial takes already, or has reserved."""
    try:
        return system.physical_size((folder / "data").stat(follow_symlinks=False))
    except OSError:
        return 0


def progress(folder: Path) -> int:
    """Return how many bytes of a file someone else is downloading are there."""
    contents = decode(read(folder / "journal"), system.boot_id())
    return contents.extents.total if contents is not None else 0
