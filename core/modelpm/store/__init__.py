"""The store: blobs by digest, shared by every environment of the user; the only door to its folder.

A blob is immutable and named by the SHA-256 of its bytes, so everything can be interrupted at any point and two of
anything can run at once: what is in place is right, and what is not in place is not there.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from modelpm import disk, system
from modelpm.atomic import write_atomic
from modelpm.errors import StoreError, UsageError
from modelpm.store import blobs, leases, locks, projects
from modelpm.store.layout import Layout
from modelpm.store.links import Linker

__all__ = ["Store"]

_VERSION = 1


class Store:
    """The folder of blobs, partial downloads and locks. Thread-safe.

    Attributes:
        root: Absolute path of the folder.
        layout: Where things are in it.
        locks_work: Whether locks keep other processes out here; known after :meth:`open`. Where they don't, what is
            stored is right all the same, and only sharing of a download between processes is lost.
    """

    def __init__(self, root: Path) -> None:
        """Name the folder; touches nothing."""
        self.root = root.absolute()
        self.layout = Layout(self.root)
        self.locks_work = True
        self._linker = Linker()
        self._opening = threading.Lock()
        self._opened = False

    def open(self) -> None:
        """Make the folder ready to be changed, once; verbs that only read don't need it.

        Raises:
            UsageError: A newer modelpm made the folder, or VERSION is not a number.
            StoreError: It cannot be written; names path and reason.
        """
        with self._opening:
            if self._opened:
                return
            disk.make_folder(self.root, below=self.root)
            self._check_version()
            for folder in (self.layout.blobs, self.layout.records, self.layout.partials, self.layout.locks):
                disk.make_folder(folder, below=self.root)
            self.locks_work = locks.work(self.layout.lock("self-test"))
            self._opened = True

    def _check_version(self) -> None:
        path = self.layout.version
        with disk.explained(path, "read"):
            text = path.read_text("ascii", "replace").strip()[:20] if path.exists() else ""
        if not text:  # new, or emptied by a crash of the file system: there is only one layout so far
            write_atomic(path, f"{_VERSION}\n".encode())
        elif not text.isdecimal():
            raise UsageError(f"cannot use the store: {path} is not a number: {text!r}", path=str(path))
        elif int(text) > _VERSION:
            raise UsageError(
                f"cannot use the store: {path} says layout {text}, and this modelpm knows {_VERSION}",
                hints=["update modelpm, or choose another store (MODELPM_STORE)"],
                path=str(path),
            )

    def blob(self, sha256: str) -> Path:
        """Return where a blob is or would be.

        Raises:
            IntegrityError: Not 64 lower-case hexadecimal digits.
        """
        return self.layout.blob(sha256)

    def has(self, sha256: str, size: int) -> bool:
        """Whether a blob is there and has the size (bytes), time and inode that were recorded; hashes nothing."""
        return blobs.has(self.layout, sha256, size)

    def check(self, sha256: str, size: int, *, quick: bool = False) -> str | None:
        """Say what is wrong with a blob; None where it is good.

        Args:
            sha256: Its name.
            size: Bytes it must have.
            quick: By the rules of :meth:`has`; else its bytes are hashed.
        """
        return blobs.check(self.layout, sha256, size, quick=quick)

    def commit(self, data: Path, sha256: str, *, prefixes: Sequence[str] = ()) -> Path:
        """Make a file whose bytes were verified a blob: durably, and read-only.

        Args:
            data: The file, inside the store; it is moved.
            sha256: What its bytes were found to be.
            prefixes: SHA-256 (hexadecimal) of its first 16 MiB, first 32 MiB and so on, for cheap repair.

        Returns:
            Where it is now.

        Raises:
            StoreError: The system refuses; nothing wrong is in place.
        """
        self.open()
        return blobs.commit(self.layout, data, sha256, prefixes)

    def remove(self, sha256: str) -> int:
        """Take a blob out; return the bytes this frees on the disk, 0 where a view holds the same file.

        Raises:
            StoreError: The system refuses.
        """
        self.open()
        return blobs.remove(self.layout, sha256)

    def blobs(self) -> Iterator[tuple[str, int]]:
        """Yield name and size (bytes) of every blob, in no order."""
        return blobs.listing(self.layout)

    def quarantine(self, data: Path, wanted: str, got: str) -> Path:
        """Set bytes aside that are not what was promised; returns where they are.

        Args:
            data: The file, inside the store; it is moved.
            wanted: The digest it should have (hexadecimal).
            got: The digest it has.
        """
        self.open()
        target = self.layout.quarantined(wanted, got)
        disk.make_folder(target.parent, below=self.root)
        with disk.explained(data, "set aside"):
            system.replace(data, target)
            system.fsync_folder(target.parent)
        return target

    def partial(self, key: str) -> Path:
        """Return the folder of a partial download, which may not exist yet.

        Raises:
            IntegrityError: The key is not 64 lower-case hexadecimal digits.
            StoreError: A symlink stands there.
        """
        path = self.layout.partial(key)
        if path.is_symlink():
            raise disk.symlink(path, "use")
        return path

    @contextmanager
    def lock(
        self,
        name: str,
        *,
        shared: bool = False,
        timeout: float | None = None,
        waiting: Callable[[str], bool] | None = None,
    ) -> Iterator[bool]:
        """Hold a lock between processes, and threads, while the block runs.

        Args:
            name: ``[a-z0-9][a-z0-9._-]*``; a blob's digest, an environment, …
            shared: Whether others may hold it shared at the same time.
            timeout: Seconds to wait; None waits for ever.
            waiting: Called with the holder about ten times a second while waiting; False gives up.

        Yields:
            Whether the lock is real: see ``locks_work``.

        Raises:
            StoreError: ``lock_timeout``, naming the holder; or the file cannot be made.
        """
        self.open()
        path = self.layout.lock(name)
        if not self.locks_work:
            yield False
            return
        with locks.hold(path, shared=shared, timeout=timeout, waiting=waiting):
            yield True

    @contextmanager
    def lease(self, digests: Iterable[str]) -> Iterator[None]:
        """Keep blobs, there or to come, from being freed while the block runs, also where locks don't work."""
        self.open()
        with leases.hold(self.layout, digests):
            yield

    def remember_project(self, lock: Path) -> None:
        """Take note that an environment's lock, as it stands in its file now, counts on blobs of this store.

        Call it whenever the lock was written or its view was made, while the lock ``store`` is held shared.

        Raises:
            StoreError: The lock cannot be read, or the store cannot be written.
        """
        self.open()
        projects.remember(self.layout, lock, time.time())

    def link(self, sha256: str, target: Path, mode: str = "auto", *, below: Path | None = None) -> str:
        """Make a blob appear under a name, atomically, never through a symlink.

        A file or link that has the name is replaced: whether it may be is for the caller to know.

        Args:
            sha256: A blob that is there.
            target: The name.
            mode: ``auto``, or one of ``reflink``, ``hardlink``, ``symlink``, ``copy``.
            below: Where trust begins: missing folders between it and the target are made, and none may be a symlink.
                Without it the target's own folder is trusted, and made where it is missing.

        Returns:
            The kind of link it became.

        Raises:
            StoreError: The blob is missing, a folder is in the way, or the system refuses.
        """
        blob = self.layout.blob(sha256)
        if blob.is_symlink() or not blob.is_file():
            raise StoreError(f"cannot link {target}: the store has no blob {sha256}", path=str(target))
        disk.make_folder(target.parent, below=below or target.parent)
        return self._linker.link(blob, target, mode)
