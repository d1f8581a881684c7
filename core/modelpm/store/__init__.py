"""The store: blobs by digest, shared by every environment of the user; the only way to its folder.

A blob is immutable and named by the SHA-256 of its bytes, so every operation can be interrupted at any point and can
run twice at once: a blob is in place and right, or it is not in place.
"""

import contextlib
import os
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from modelpm import disk
from modelpm.api.events import Bus
from modelpm.disk import system
from modelpm.errors import StoreError
from modelpm.store.blobs import blobs
from modelpm.store.blobs.known import Known, Place
from modelpm.store.layout import Layout, is_sha256

if TYPE_CHECKING:  # start-up: who only reads the lock pays for none of it
    from modelpm.store.blobs.linker import Linker
    from modelpm.store.locks import Held

__all__ = ["Store"]

KEEP_UNSEEN = 90 * 86_400.0  # seconds
_MOVES = 16  # moves to follow at once; a longer chain was written to lead modelpm in circles


class Store:
    """The folder of blobs, partial downloads and locks. Thread-safe.

    Attributes:
        root: Absolute path of the folder.
        layout: The paths in it.
        known: The facts of files that were hashed once.
        caches: Hugging Face caches.
        keep_unseen: Seconds to keep the blobs of a root after it was last seen.
        bus: Gets the stages.
        locks_work: Whether locks keep other processes out; known after :meth:`open`. If not, downloads are not shared.
    """

    def __init__(
        self,
        root: Path,
        *,
        tiers: Sequence[Path] = (),
        caches: Sequence[Path] = (),
        notes: Path | None = None,
        keep_unseen: float = KEEP_UNSEEN,
        bus: Bus | None = None,
    ) -> None:
        """Name the folders; read and write nothing.

        Args:
            root: The store's own folder.
            tiers: Read-only stores of other users, whose blobs are used.
            caches: Hugging Face caches, whose files are copied instead of downloaded.
            notes: The user's folder for facts about other users' files; None keeps them for this run.
            keep_unseen: Seconds to keep the blobs of a root after it was last seen.
            bus: Gets the stages.
        """
        self.root = root.absolute()
        self.layout = Layout(self.root)
        self.known = Known(notes)
        self._others = tuple(tiers)
        self.caches = tuple(caches)
        self.keep_unseen = keep_unseen
        self.bus = bus or Bus()
        self.locks_work = True
        self._opening = threading.Lock()
        self._opened = False
        self._seen = False  # whether it existed before

    @cached_property
    def tiers(self) -> tuple[Layout, ...]:
        """Read-only stores of other users, in order of preference."""
        layouts = (Layout(other.absolute()) for other in self._others)
        return tuple(layout for layout in layouts if layout != self.layout)

    @cached_property
    def _linker(self) -> "Linker":
        from modelpm.store.blobs.linker import Linker

        return Linker(self.bus)

    def open(self) -> None:
        """Make the folder ready for changes, once; read-only verbs do not need it.

        Raises:
            UsageError: A newer modelpm made the folder, or VERSION is not a number.
            StoreError: It cannot be written; names path and reason.
        """
        from modelpm.store import locks, version
        from modelpm.store.gc import registry, reserve

        with self._opening:
            if self._opened:
                return
            disk.make_folder(self.root, below=self.root)
            version.check(self.layout)
            for folder in (self.layout.blobs, self.layout.records, self.layout.partials, self.layout.locks):
                disk.make_folder(folder, below=self.root)
            self.locks_work = locks.work(self.layout.lock("self-test"))
            registry.begin(self.layout, time.time())
            reserve.keep(self.layout)
            self._opened = True

    def look(self) -> None:
        """Follow the store if another process moved it after this object first read its marker.

        A store that moved earlier was named by mistake; :meth:`open` raises for it.
        """
        from modelpm.store import version

        with contextlib.suppress(StoreError):  # a later use reports what cannot be read
            for _ in range(_MOVES):
                went = version.destination(self.layout)
                self._seen = self._seen or went is None
                if went is None or not self._seen:
                    return
                self.follow(went)

    def follow(self, root: Path) -> None:
        """Use another folder from now on, for every holder of this object, because the store moved there."""
        with self._opening:
            self.root = root.absolute()
            self.layout = Layout(self.root)
            self.__dict__.pop("tiers", None)  # without this one
            self._opened = False

    def blob(self, sha256: str) -> Path:
        """Return the path of a blob, in this store or in one of its tiers, or the path that it would have.

        Raises:
            IntegrityError: Not 64 lower-case hexadecimal digits.
        """
        return Path(self._place(sha256).path)

    def _place(self, sha256: str) -> Place:
        """Return the place of a blob: in this store, else in the first tier that has it, else its future place."""
        place = blobs.own_place(self.layout, sha256)
        if not self._others or os.path.lexists(place.path):
            return place
        return next((other for other, _ in self._in_tiers(sha256)), place)

    def _in_tiers(self, sha256: str) -> "Iterator[tuple[Place, os.stat_result]]":
        from modelpm.store.tiers import in_tiers

        return in_tiers(self.tiers, sha256)

    def facts(self, sha256: str) -> os.stat_result | None:
        """Return the file status of a blob, in this store or a tier; None if there is none."""
        try:
            return os.stat(self.layout.blob_name(sha256))  # noqa: PTH116 - asked for every file of every sync
        except OSError:
            return next((facts for _, facts in self._in_tiers(sha256)), None) if self._others else None

    def has(self, sha256: str, size: int, *, exact: bool = False) -> bool:
        """Whether a blob exists and looks as it did when it was last known to be good; hash nothing.

        Args:
            sha256: Its name.
            size: Bytes it must have.
            exact: Whether its ctime must also be the recorded one; only then may it get a new link without a hash. Any
                link, rename or edit changes the ctime.
        """
        place = blobs.own_place(self.layout, sha256)
        if self.known.is_good(place, blobs.look(place.path), size, exact=exact):
            return True
        tiers = self._in_tiers(sha256) if self._others else ()
        return any(self.known.is_good(other, facts, size, exact=exact) for other, facts in tiers)

    def check(
        self, sha256: str, size: int, *, quick: bool = False, step: Callable[[int], None] | None = None
    ) -> str | None:
        """Return the problem of a blob; None if it is good.

        Args:
            sha256: Its name.
            size: Bytes it must have.
            quick: Whether to trust a blob that :meth:`has` knows; any other is hashed.
            step: Called with the count of bytes after each read; may raise to stop.
        """
        place = self._place(sha256)
        problem = blobs.check(self.known, place, size, quick=quick, step=step)
        return problem if problem is None or place.own else f"{place.path}: {problem}"

    def renaming(self, sha256: str) -> AbstractContextManager[None]:
        """Keep the record of a blob exact while the block removes one of the names of its file."""
        return self.known.renaming(self._place(sha256))

    def adopt(self, path: Path, sha256: str, *, step: Callable[[int], None] | None = None) -> bool:
        """Store a file from outside as a blob, if it has the wanted bytes: as a clone, a link or a copy.

        Args:
            path: The file; it is not moved or changed.
            sha256: The wanted digest.
            step: Called with the count of bytes after each read; may raise to stop.

        Returns:
            Whether it had the bytes.

        Raises:
            StoreError: The system refuses.
        """
        return self.take(path, only=sha256, step=step) == sha256

    def take(
        self, path: Path, *, only: str = "", share: bool = False, step: Callable[[int], None] | None = None
    ) -> str:
        """Store a file from outside as a blob, with any bytes; as :meth:`adopt`.

        Args:
            path: The file; it is not moved or changed.
            only: The only SHA-256 to accept, if given.
            share: Whether a file of this user may become read-only and be shared with the store.
            step: As in :meth:`adopt`.

        Returns: The sha256 of its bytes.
        """
        from modelpm.store.blobs.take import take

        self.open()
        return take(self.known, self.layout, self._linker, path, only, step, share=share)

    def receive(self, chunks: Iterable[bytes], sha256: str = "") -> tuple[str, int]:
        """Store a stream as a blob; return SHA-256 and size, or raise an IntegrityError if the digest differs."""
        from modelpm.store.blobs.receive import receive

        self.open()
        return receive(self.known, self.layout, chunks, sha256)

    def seed(self, sha256: str, size: int) -> int:
        """Start a partial download with the bytes of a damaged blob, so that it fetches only the damaged parts.

        The caller holds the lock of that name, and the lock is real.

        Args:
            sha256: The blob.
            size: Bytes it should have.

        Returns:
            How many bytes are usable.

        Raises:
            StoreError: The system refuses, or the disk lacks space for both.
        """
        from modelpm.store.partials import seed

        self.open()
        return seed.seed(self.layout, self.partial(sha256), sha256, size)

    def doubt(self, sha256: str) -> None:
        """Mark a blob so that every quick check finds it damaged, until a hash proves it good."""
        self.open()
        self.known.doubt(self._place(sha256))

    def commit(self, data: Path, sha256: str, *, prefixes: Sequence[str] = ()) -> Path:
        """Store a verified file as a blob: durably, and read-only.

        Args:
            data: The file, inside the store; it is moved.
            sha256: Its verified digest.
            prefixes: SHA-256 (hexadecimal) of its first 16 MiB, first 32 MiB and so on, for cheap repair.

        Returns:
            The path of the blob.

        Raises:
            StoreError: The system refuses; no wrong blob is in place.
        """
        self.open()
        return blobs.commit(self.known, self.layout, data, sha256, prefixes)

    def freed(self, sha256: str, going: Iterable[os.stat_result] = ()) -> int:
        """Return the bytes that :meth:`remove` would free on the disk, after some names of files are removed."""
        return blobs.freed(self.layout, sha256, going)

    def remove(self, sha256: str) -> int:
        """Remove a blob; return the bytes that this frees on the disk, 0 if a view holds the same file."""
        self.open()
        return blobs.remove(self.layout, sha256)

    def blobs(self) -> Iterator[tuple[str, int]]:
        """Yield name and size (bytes) of every blob, in no order."""
        return blobs.listing(self.layout)

    def quarantine(self, data: Path, wanted: str, got: str) -> Path:
        """Move bytes with a wrong digest into quarantine; return their path.

        Args:
            data: The file, inside the store; it is moved.
            wanted: The digest it should have (hexadecimal).
            got: The digest it has.
        """
        self.open()
        return blobs.quarantine(self.layout, data, wanted, got)

    def partial(self, key: str) -> Path:
        """Return the folder of a partial download, which may not exist yet.

        If another user of this store began it in a folder that we cannot access, this user gets a separate folder.

        Raises:
            IntegrityError: The key is not 64 lower-case hexadecimal digits.
            StoreError: The path is a symlink.
        """
        path = self.layout.partial(key)
        if path.is_symlink():
            raise disk.symlink(path, "use")
        return path if disk.is_ours(path) else self.layout.partial_of(key, system.user_id())

    @contextmanager
    def lock(
        self,
        name: str,
        *,
        shared: bool = False,
        timeout: float | None = None,
        waiting: Callable[[str], bool] | None = None,
        about: str = "",
        size: int | None = None,
    ) -> Iterator["Held"]:
        """Hold a lock between processes, and threads, while the block runs.

        Args:
            name: ``[a-z0-9][a-z0-9._-]*``; a blob's digest, an environment, …
            shared: Whether others may hold it shared at the same time.
            timeout: Seconds to wait; None waits for ever.
            waiting: Called with the holder ten times a second; False gives up. Without it the bus is told.
            about: What the lock protects, for people.
            size: Bytes of the file that the holder may be downloading.

        Yields:
            The lock; whether it is real says ``locks_work``.

        Raises:
            StoreError: ``lock_timeout``, naming the holder; or the file cannot be made.
        """
        from modelpm.store import locks, version, waits

        self.open()
        path = self.layout.lock(name)
        if not self.locks_work:
            yield locks.Held(real=False)
            return
        told = waits.Waiting(self.bus, name, about, self.partial(name) if is_sha256(name) else None, size)
        with told.told_of(locks.hold(path, shared=shared, timeout=timeout, waiting=waiting or told)) as held:
            if name == "store":  # the store may have moved during the wait
                version.check(self.layout)
            yield held

    @contextmanager
    def lease(self, digests: Iterable[str]) -> Iterator[None]:
        """Keep blobs, now or later, from being freed while the block runs, even if locks do not work."""
        from modelpm.store.gc import leases

        self.open()
        with leases.hold(self.layout, digests):
            yield

    def link(
        self, sha256: str, target: Path, mode: str = "auto", *, below: Path | None = None, durable: bool = True
    ) -> str:
        """Link a blob to a name, atomically, never through a symlink.

        An existing file or link of that name is replaced: the caller decides whether it may be.

        Args:
            sha256: An existing blob. It is hashed unless nothing happened to it since its last hash.
            target: The name.
            mode: ``auto``, or one of ``reflink``, ``hardlink``, ``symlink``, ``copy``.
            below: The trusted folder: missing folders between it and the target are made, and none may be a symlink.
                Without it, the target's own folder is trusted, and made if it is missing.
            durable: Whether to sync the name; a caller that makes many names in a folder syncs the folder once.

        Returns:
            The kind of link it became.

        Raises:
            StoreError: The blob is missing, a folder is in the way, or the system refuses.
            IntegrityError: The blob is damaged.
        """
        place = self._place(sha256)
        facts = blobs.look(place.path)
        if facts is None or not stat.S_ISREG(facts.st_mode):
            raise StoreError(f"cannot link {target}: the store has no blob {sha256}", path=str(target))
        blobs.prove(self.known, place, facts, target)
        disk.make_folder(target.parent, below=below or target.parent)
        # A second name would change another user's file.
        without = () if place.own else ("hardlink",)
        with self.known.renaming(place):
            return self._linker.link(Path(place.path), target, mode, without=without, durable=durable)
