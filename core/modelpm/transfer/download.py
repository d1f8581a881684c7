"""One file on its way into the store: lock, resume, follow the bytes with the digest, judge, commit."""

import hashlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from modelpm.api.kinds import Hasher
from modelpm.api.types import Status
from modelpm.errors import Code, IntegrityError, Interrupted, ModelpmError, StoreError
from modelpm.network.health import Hosts
from modelpm.store import Store
from modelpm.store.layout import is_sha256
from modelpm.store.locks import Held
from modelpm.store.partials.journal import Header
from modelpm.store.partials.partial import Partial, progress
from modelpm.store.partials.ranges import END, Ranges
from modelpm.text.human import number_of
from modelpm.transfer.bandwidth import Limiter
from modelpm.transfer.file_state import Work
from modelpm.transfer.hash_follower import Follower
from modelpm.transfer.hashing import Digests
from modelpm.transfer.model import Fetch, Fetched, Options
from modelpm.transfer.scheduler import Scheduler
from modelpm.transfer.worker import Attempts

_LOOK = 0.5  # seconds between two looks at what another process has done


@dataclass(frozen=True, slots=True)
class Shared:
    """What all files of a run share.

    Attributes:
        store: Where the files go.
        hasher: Begins a digest by the name of its algorithm.
        options: The engine's.
        scheduler: The pool of connections.
        limiter: The limit on bandwidth.
        hosts: How servers fared.
        stopped: Set when the run shall end.
        emit: Takes an event: its action and its fields.
    """

    store: Store
    hasher: Callable[[str, int | None], Hasher]
    options: Options
    scheduler: Scheduler
    limiter: Limiter
    hosts: Hosts
    stopped: threading.Event
    emit: Callable[[str, Mapping[str, Any]], None]


@dataclass(slots=True, eq=False)
class Job:
    """One file; :meth:`run` is called on a thread of its own, the rest may be read from any.

    Attributes:
        fetch: What is wanted.
        shared: What all files of the run share.
        result: How it ended, or None.
        status: What is being done.
    """

    fetch: Fetch
    shared: Shared
    result: Fetched | ModelpmError | None = None
    crash: BaseException | None = None
    status: Status = Status.QUEUED
    _size: int | None = None
    _attempts: Attempts | None = None
    _partial: Partial | None = None
    _work: Work | None = None
    _received: int = 0
    _elsewhere: int = 0  # bytes another process has brought
    _waited: bool = False  # for another process, or thread, that was at the same file
    _looked: float = 0.0

    def run(self) -> None:
        """Bring the file into the store; the outcome is ``result``, or ``crash`` for what is a bug."""
        try:
            self._size = self.fetch.size
            fetched = self._in_store() or self._locked()
        except ModelpmError as error:
            self._failed(error)
        except BaseException as error:  # noqa: BLE001 - raised again on the calling thread
            self.status, self.crash = Status.FAILED, error
        else:
            self._emit(
                "file.done",
                size=fetched.size,
                sha256=fetched.sha256,
                downloaded=fetched.downloaded,
                source=fetched.source,
            )
            self.status, self.result = Status.COMPLETED, fetched

    def present(self) -> int:
        """Return the bytes that are there, or that another process has brought."""
        if isinstance(self.result, Fetched):
            return self.result.size
        return self._partial.present if self._partial is not None else self._elsewhere

    def sync(self) -> None:
        """Record what was written, and bring it to the medium, where it is time; a failure is the file's."""
        work, attempts = self._work, self._attempts
        if work is None or attempts is None:
            return
        try:
            work.partial.flush()
            if work.partial.sync_is_due():
                work.partial.sync()
        except ModelpmError as error:
            if error.code != Code.CLOSED:
                attempts.fail(work, error)

    def total(self) -> int | None:
        """Return the size of the file, or None while nobody knows."""
        return self.result.size if isinstance(self.result, Fetched) else self._size

    def received(self) -> int:
        """Return the bytes that came in this run."""
        work = self._work
        return self._received + (work.so_far() if work is not None else 0)

    def _failed(self, error: ModelpmError) -> None:
        details = {name: error.details[name] for name in ("expected", "actual") if name in error.details}
        interrupted = isinstance(error, Interrupted)
        self._emit("file.failed", code=error.code, message=error.message, **details)
        self.status, self.result = Status.CANCELLED if interrupted else Status.FAILED, error

    def _in_store(self) -> Fetched | None:
        digest, size = self.fetch.digest, self.fetch.size
        if digest is None or digest.algorithm != "sha256" or size is None:
            return None
        return Fetched(digest.hex, size, 0, "") if self.shared.store.has(digest.hex, size) else None

    def _locked(self) -> Fetched:
        store, key = self.shared.store, self.fetch.key
        try:
            with store.lock(key, waiting=self._waiting) as lock:
                fetched = self._in_store() or self._brought(lock)
                if fetched is None:
                    # Where locks keep nobody out, two could write one partial: each gets its own, and no resume.
                    alone = key if lock.real else hashlib.sha256(f"{key} {os.urandom(16).hex()}".encode()).hexdigest()
                    fetched = self._fetch(alone)
                if self.fetch.key != fetched.sha256:  # who waits could not know in what it would end
                    lock.word = f"{fetched.sha256} {fetched.size}"
                return fetched
        except StoreError:
            self._check_stopped()
            raise

    def _brought(self, lock: Held) -> Fetched | None:
        """Return what another process has fetched, by the word that it left; None where that is not what is wanted."""
        sha256, _, said = lock.found.partition(" ")
        size = number_of(said)
        if not is_sha256(sha256) or size is None or self._size not in {None, size}:
            return None
        there = self.shared.store.has(sha256, size)
        return Fetched(sha256, size, 0, "") if there and self._wanted(sha256, size, lock) else None

    def _wanted(self, sha256: str, size: int, lock: Held) -> bool:
        """Whether a blob keeps the promise; where there is none, whether another run brought it just now."""
        if self.fetch.digest is None:
            return self._waited and lock.sure
        digests = Digests(self.fetch.digest, size, self.shared.hasher)
        digests.feed_file(self.shared.store.blob(sha256), self._check_stopped)
        return digests.promised() == self.fetch.digest.hex

    def _waiting(self, _holder: str) -> bool:
        self._waited = True
        now = time.monotonic()
        if now - self._looked >= _LOOK:
            self._looked = now
            self._elsewhere = max(self._elsewhere, progress(self.shared.store.partial(self.fetch.key)))
            self.status = Status.DOWNLOADING
        return not self.shared.stopped.is_set()

    def _fetch(self, key: str) -> Fetched:
        promised = str(self.fetch.digest) if self.fetch.digest is not None else None
        partial = Partial(self.shared.store.partial(key), Header(self.fetch.key, self.fetch.size, promised))
        shared = self.shared
        attempts = Attempts(
            self.fetch,
            shared.options,
            shared.scheduler,
            shared.limiter,
            shared.hosts,
            shared.stopped.wait,
            shared.emit,
            partial.wake,
        )
        try:
            partial.open()
            self._partial, self._attempts = partial, attempts
            self._emit("file.start", size=self._size, resumed=partial.resumed)
            digests = self._verified(partial, attempts)
            size = digests.position
            data = partial.complete(size)
            self.shared.store.commit(data, digests.sha256(), prefixes=digests.prefixes)
            partial.discard()
            return Fetched(digests.sha256(), size, self._received, attempts.source)
        finally:
            partial.close()
            if key != self.fetch.key:
                partial.discard()

    def _verified(self, partial: Partial, attempts: Attempts) -> Digests:
        """Return the digests of bytes that are right; what is not is set aside and fetched once more.

        Raises:
            IntegrityError: ``digest_mismatch``, the second time.
        """
        for last in (False, True):
            self._size = self.fetch.size  # what a wrong answer said of it counts no more
            digests = self._complete(partial, attempts)
            self.status = Status.VERIFYING
            self._emit("file.verify", sha256=digests.sha256())
            wanted = self.fetch.digest
            if wanted is None or digests.promised() == wanted.hex:
                return digests
            error = self._mismatch(digests.promised(), attempts)
            self.shared.store.quarantine(partial.complete(digests.position), wanted.hex, digests.promised())
            partial.discard()  # the journal, too: it vouches for the digests of what was wrong
            if last:
                raise error
            self._emit("file.retry", reason=error.message, code=error.code, attempt=1, wait=0.0)
            attempts.suspect()
            attempts.plain = True
            partial.open()
        raise AssertionError  # the loop ends above

    def _mismatch(self, actual: str, attempts: Attempts) -> IntegrityError:
        wanted = self.fetch.digest
        assert wanted is not None  # noqa: S101 - else nothing could mismatch
        return IntegrityError(
            f"{self.fetch.path} is not what was promised: expected {wanted}, got {wanted.algorithm}:{actual}"
            f" from {attempts.source or 'an earlier run'}",
            code=Code.DIGEST_MISMATCH,
            hints=["nothing was installed; the bytes are set aside in the store's quarantine for inspection"],
            expected=wanted.hex,
            actual=actual,
            model=self.fetch.model,
            file=self.fetch.path,
        )

    def _complete(self, partial: Partial, attempts: Attempts) -> Digests:
        """Fetch all that is missing, and hash it as it comes."""
        missing = Ranges(partial.gaps(0, END if self._size is None else self._size))
        single = attempts.plain or (self.fetch.digest is None and partial.header.validator is None)
        work = Work(partial, attempts, self._size, missing, single=single)
        self._work, self.status = work, Status.DOWNLOADING
        self.shared.scheduler.offer(work)
        try:
            return self._follow(work, attempts)
        finally:
            self.shared.scheduler.close(work)
            self._received, self._work = self.received(), None

    def _follow(self, work: Work, attempts: Attempts) -> Digests:
        follower = self._follower(work, attempts)
        while True:
            self._check_stopped()
            if attempts.error is not None:
                raise attempts.error
            if attempts.restart is not None:
                self._start_anew(work, attempts)
                follower = self._follower(work, attempts)
            self._size = work.size
            if work.size is not None and work.partial.present >= work.size:
                self.status = Status.VERIFYING
            if follower.step():
                return follower.digests

    def _follower(self, work: Work, attempts: Attempts) -> Follower:
        digests = Digests(self.fetch.digest, self._size, self.shared.hasher)
        return Follower(work, self.shared.scheduler, digests, self.fetch.digest, attempts.suspect)

    def _start_anew(self, work: Work, attempts: Attempts) -> None:
        """Forget every byte: they were of another version."""
        origin, validator = attempts.restart or ("", None)
        self.shared.scheduler.halt(work, seconds=1.0)
        work.partial.restart(origin, validator)
        attempts.restart = None
        self._size = self.fetch.size
        self.shared.scheduler.reset(work, self._size)

    def _check_stopped(self) -> None:
        if self.shared.stopped.is_set():
            raise Interrupted(
                f"{self.fetch.path}: interrupted",
                hints=["run the same command again to go on: what was downloaded is kept"],
            )

    def _emit(self, action: str, **fields: Any) -> None:
        self.shared.emit(action, {"model": self.fetch.model, "path": self.fetch.path, **fields})
