"""The file of the queue: an SQLite database that survives a kill at any moment.

Each change is one short transaction that is on the medium before it returns.
"""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelpm import disk
from modelpm.errors import Code, StoreError, too_new

VERSION = 1
_BUSY = 30.0  # seconds to wait for another process's transaction, which takes milliseconds
_TABLE = """
CREATE TABLE IF NOT EXISTS job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    spec TEXT NOT NULL,
    named TEXT NOT NULL, -- the name that was asked for, if any
    name TEXT NOT NULL,
    allow TEXT NOT NULL,
    user TEXT NOT NULL,
    priority INTEGER NOT NULL,
    status TEXT NOT NULL DEFAULT 'queued',
    wish TEXT NOT NULL DEFAULT '',
    runner TEXT NOT NULL DEFAULT '',
    downloaded INTEGER NOT NULL DEFAULT 0,
    total INTEGER,
    error TEXT,
    added TEXT NOT NULL,
    changed TEXT NOT NULL
)
"""
_PRIMARY = 0xFF  # the part of an error's code that says what the system refused
_REFUSED = {sqlite3.SQLITE_READONLY: errno.EACCES, sqlite3.SQLITE_FULL: errno.ENOSPC}
_INDEX = "CREATE INDEX IF NOT EXISTS next ON job (status, priority DESC, id)"


class Database:
    """Opens a connection for each thread and transaction that needs one.

    Attributes:
        path: The file; it is made with the first change.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """Run the block in one transaction that no other process runs beside it.

        Raises:
            StoreError: The file cannot be read or written.
            UsageError: A newer modelpm wrote it.
        """
        disk.make_folder(self.path.parent, below=self.path.parent, mode=0o700)
        with self._explained(), self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                _prepare(connection, self.path)
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """Run the block with a connection that only reads; with None if no job was ever added."""
        if not self.path.exists():
            yield None
            return
        with self._explained(), self._open() as connection:
            _check(connection, self.path)
            yield connection if _has_jobs(connection) else None

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path, timeout=_BUSY, isolation_level=None)
        try:
            connection.row_factory = sqlite3.Row
            # Where shared memory does not work, as on many network file systems, the answer is the journal that stays.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            yield connection
        finally:
            connection.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            if refused := _REFUSED.get(getattr(error, "sqlite_errorcode", 0) & _PRIMARY):
                raise disk.failure(OSError(refused, os.strerror(refused)), self.path, "write") from error
            raise StoreError(
                f"the queue {self.path} cannot be used: {error}",
                code=Code.QUEUE_UNREADABLE,
                hints=["if it is damaged, move the file away: installed models do not depend on it"],
                path=str(self.path),
            ) from error


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    if _check(connection, path) == 0:
        connection.execute(_TABLE)
        connection.execute(_INDEX)
        connection.execute(f"PRAGMA user_version = {VERSION}")


def _check(connection: sqlite3.Connection, path: Path) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise too_new(path, "version", version, VERSION, Code.QUEUE_TOO_NEW)
    return version


def _has_jobs(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'job'").fetchone()[0])
