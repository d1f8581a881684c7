"""The log on the disk: one write a record, under a lock of all processes, durable before the operation continues.

The order is: record, ``fdatasync``, head. So a crash leaves at most one record more than the head knows, or an
unfinished line, and ``verify`` can tell both from tampering. A log that was changed is never repaired: writing
continues behind what the head holds, and ``verify`` names the damaged place from then on.

A file that has grown large is renamed before the next record: it becomes an archive, and the chain continues in a new
file. A crash between the two leaves no current file, which is the state of a log whose next record is still to come.
"""

import errno
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from modelpm.api import Code, Event, IntegrityError, StoreError
from modelpm.api.toolkit import explained, fdatasync, make_folder, open_file, try_lock, write_atomic
from modelpm_jsonl import chain
from modelpm_jsonl.chain import GENESIS, HEAD_LOST, MAX_LINE, RECOVERED, START, Head
from modelpm_jsonl.files import CURRENT, LogFiles, archives, next_archive

_MAX_HEAD = 4096
_END = 100  # records whose chain a check of the end follows
_FULL = 64 << 20  # bytes after which a file becomes an archive: some 100,000 records, checked in 4 seconds
_PATIENCE = 30.0  # seconds; a holder needs milliseconds
_NO_LOCKS = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOLCK})


@dataclass(frozen=True, slots=True)
class Standing:
    """The place of the next record.

    Attributes:
        head: What it follows.
        keep: Bytes of the log that stay; less than there are where a crash left an unfinished line.
        seal: Whether an unfinished line, which no crash explains, must be ended first.
        note: Details of the ``recovered`` record to write first, if any.
    """

    head: Head
    keep: int
    seal: bool = False
    note: Mapping[str, Any] | None = None


class JsonLinesLog:
    """A hash-chained log in one folder. Any number of objects, threads and processes may write to it.

    Args:
        folder: Holds ``audit.jsonl``, its archives, ``head`` and ``lock``; made with the first record.
        full: Bytes after which ``audit.jsonl`` becomes an archive.
    """

    def __init__(self, folder: Path, full: int = _FULL) -> None:
        self._folder = folder
        self._full = full
        self._log = folder / CURRENT
        self._head = folder / "head"
        self._lock = folder / "lock"

    def write(self, event: Event) -> None:
        """Append one record, durably.

        Raises:
            StoreError: It could not be recorded; the log is as it was.
        """
        with explained(self._log, "record in"):
            make_folder(self._folder, below=self._folder, mode=0o700)
            with self._locked(os.O_RDWR | os.O_CREAT):
                self._rotate()
                fd = open_file(self._log, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
                try:
                    self._record(fd, event)
                finally:
                    os.close(fd)

    def close(self) -> None:
        """Do nothing: between two records no file is open."""

    def records(self) -> Iterator[Mapping[str, Any]]:
        """Yield the records, oldest first; lines that are none are left to :meth:`verify`."""
        with self._reading() as (files, _):
            yield from files.records()

    def tail(self, limit: int) -> list[Mapping[str, Any]]:
        """Return the last records, oldest first, in time that does not grow with the log."""
        with self._reading() as (files, _):
            return files.tail(limit)

    def verify(self) -> int:
        """Check the chain and the head, in memory that does not grow with the log.

        Raises:
            IntegrityError: Code ``audit_broken``; names the first bad line, and why it is bad.
            StoreError: The log cannot be read.
        """
        with self._reading() as (files, head):
            try:
                return chain.verify(files.lines(), head, self._occurs)
            except IntegrityError as error:
                raise chain.located(error, files.place(error.details["line"])) from None

    def check_end(self) -> None:
        """Check the last records and the head, in time that does not grow with the log.

        Raises:
            IntegrityError: Code ``audit_broken``; they do not fit.
            StoreError: The log cannot be read.
        """
        with self._reading() as (files, head):
            chain.verify_end(files.end(_END), head)

    def _occurs(self, digest: str) -> bool:
        return any(record["hash"] == digest for record in self.records())

    @contextmanager
    def _reading(self) -> Iterator[tuple[LogFiles, Head | None]]:
        """Open the log as it stands now; what others append meanwhile is not seen."""
        with explained(self._log, "read"), ExitStack() as stack:
            if self._folder.is_symlink():
                self._folder.stat()  # raises where it leads nowhere: the log is on a disk that is not mounted
            with suppress(FileNotFoundError):  # as on a copy of the log; then no process writes it
                stack.enter_context(self._locked(os.O_RDONLY))
            head = self._read_head()
            files = LogFiles(self._folder)
        with files:
            yield files, head

    def _rotate(self) -> None:
        """Make a large file an archive; the next record begins a new one. The lock is held."""
        with suppress(FileNotFoundError):
            if self._log.lstat().st_size >= self._full:
                self._log.rename(next_archive(self._folder))

    @contextmanager
    def _locked(self, flags: int) -> Iterator[None]:
        """Hold the lock file, which is never removed; continue without it where the file system has no locks."""
        fd = open_file(self._lock, flags, 0o600)
        try:
            deadline = time.monotonic() + _PATIENCE
            while not _try(fd, shared=flags == os.O_RDONLY):
                if time.monotonic() > deadline:
                    raise StoreError(
                        f"another process has held {self._lock} for {_PATIENCE:.0f} seconds",
                        code=Code.LOCK_TIMEOUT,
                        hints=["find the process that hangs (`lsof`, `fuser`) and end it"],
                    )
                time.sleep(0.002)
            yield
        finally:
            os.close(fd)

    def _read_head(self) -> Head | None:
        """Return the head; None if there is none, or none that can be read."""
        try:
            fd = open_file(self._head, os.O_RDONLY)
        except FileNotFoundError:
            return None
        with os.fdopen(fd, "rb") as file:
            try:
                return Head.decode(file.read(_MAX_HEAD))
            except ValueError:
                return None

    def _record(self, fd: int, event: Event) -> None:
        standing = self._standing(fd)
        head = standing.head
        if standing.keep < os.fstat(fd).st_size:
            os.ftruncate(fd, standing.keep)
        if standing.seal:
            os.write(fd, b"\n")
        if standing.note:
            for draft in self._folder.glob(".modelpm-*.tmp"):  # heads that a crash left unfinished
                draft.unlink(missing_ok=True)
            write_atomic(self._head, head.encode(), mode=0o600)
            fields = {**event.fields, "resource_type": "audit", "resource_id": self._log.name}
            fields |= {"success": standing.note["reason"] != HEAD_LOST, "details": standing.note}
            head = self._append(fd, replace(event, action=RECOVERED, fields=fields), head)
        self._append(fd, event, head)

    def _append(self, fd: int, event: Event, head: Head) -> Head:
        line, digest = chain.line_of(event, head.hash)
        following = Head(head.count + 1, digest)
        end = os.fstat(fd).st_size
        try:
            _write_whole(fd, line)
            fdatasync(fd)
            write_atomic(self._head, following.encode(), mode=0o600)
        except BaseException:
            with suppress(OSError):
                if self._read_head() != following:  # once the head has moved, the record stands
                    os.ftruncate(fd, end)
            raise
        return following

    def _standing(self, fd: int) -> Standing:
        head = self._read_head()
        size = os.fstat(fd).st_size
        last, torn = _tail(fd, size)
        whole = size - len(torn)
        first = whole == len(last)  # of this file
        if not last:
            last = self._last_archived()
        record = chain.read(last)
        if head is None and last and not (first and whole and not archives(self._folder)):
            lost = Head(self._count_lines(), record["hash"] if record else GENESIS)
            return Standing(lost, size, seal=bool(torn), note={"reason": HEAD_LOST, "records": lost.count})
        head = head or START
        if last and record and record["hash"] != head.hash and record["prev"] == head.hash and not torn:
            return Standing(Head(head.count + 1, record["hash"]), size, note={"reason": "head_behind"})
        stands = record["hash"] == head.hash if record else not last and head == START
        if torn and stands:
            text = torn[:200].decode("utf-8", "replace")
            note = {"reason": "torn", "bytes": len(torn), "sha256": sha256(torn).hexdigest(), "text": text}
            return Standing(head, whole, note=note)
        return Standing(head, size, seal=bool(torn))

    def _last_archived(self) -> bytes:
        """Return the last line of the newest archive, or nothing without an archive."""
        known = archives(self._folder)
        if not known:
            return b""
        fd = open_file(known[-1], os.O_RDONLY)
        try:
            return _tail(fd, os.fstat(fd).st_size)[0]
        finally:
            os.close(fd)

    def _count_lines(self) -> int:
        with LogFiles(self._folder) as files:
            return sum(line.endswith(b"\n") for line in files.lines())


def _write_whole(fd: int, line: bytes) -> None:
    """Write in one call: a second one could be parted from the first by a crash."""
    if os.write(fd, line) != len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _try(fd: int, *, shared: bool) -> bool:
    try:
        return try_lock(fd, shared=shared)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return True
        raise


def _tail(fd: int, size: int) -> tuple[bytes, bytes]:
    """Return the last line with its line feed, or nothing, and the unfinished line behind it."""
    begin = max(0, size - 2 * MAX_LINE)
    os.lseek(fd, begin, os.SEEK_SET)
    data = b""
    while piece := os.read(fd, size - begin - len(data)):
        data += piece
    whole, feed, torn = data.rpartition(b"\n")
    return whole.rpartition(b"\n")[2] + feed, torn
