"""Download one file into the store: lock, resume, hash the bytes while they arrive, verify, commit."""

import hashlib
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelpm.api.types import Status
from modelpm.errors import Code, IntegrityError, Interrupted, ModelpmError, StoreError
from modelpm.store import Store
from modelpm.store.layout import is_sha256
from modelpm.store.locks import Held
from modelpm.store.partials.journal import Header
from modelpm.store.partials.partial import Partial, progress
from modelpm.store.partials.ranges import END, Ranges
from modelpm.text.human import binary_size, number_of
from modelpm.transfer.context import RunContext
from modelpm.transfer.file_state import FileState
from modelpm.transfer.hash_follower import HashFollower
from modelpm.transfer.hashing import Digests
from modelpm.transfer.model import Fetch, Fetched
from modelpm.transfer.recovery import Recovery
from modelpm.transfer.validators import Restart
from modelpm.transfer.worker import Worker

if TYPE_CHECKING:  # start-up: few files have an older version
    from modelpm.transfer.comparison import Comparison
    from modelpm.transfer.copier import Copier

_LOOK = 0.5  # seconds between two looks at what another process has downloaded: each reads its whole journal
_RESTART = 1.0  # seconds that connections get to end before the bytes of another version are dropped


@dataclass(slots=True, eq=False)
class Download:
    """One file. :meth:`run` is called on a file thread; the other methods may be called from any thread.

    Attributes:
        fetch: What is wanted.
        context: The state that the run shares.
        result: How it ended, or None.
        crash: What was raised that is a bug, or None.
        status: What is being done.
    """

    fetch: Fetch
    context: RunContext
    result: Fetched | ModelpmError | None = None
    crash: BaseException | None = None
    status: Status = Status.QUEUED
    _size: int | None = None
    _recovery: Recovery | None = None
    _partial: Partial | None = None
    _file: FileState | None = None
    _comparison: "Comparison | None" = None
    _copier: "Copier | None" = None
    _received: int = 0
    _elsewhere: int = 0  # bytes that another process has downloaded
    _waited: bool = False  # for another process, or thread, that downloaded the same file
    _looked_at: float = 0.0

    def run(self) -> None:
        """Download the file into the store; the outcome is ``result``, or ``crash`` where there is a bug."""
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
                reused=fetched.reused,
            )
            self.status, self.result = Status.COMPLETED, fetched
        self._release()

    def _release(self) -> None:
        """Drop what only a download under way needs: a run may have 100,000 files."""
        file, partial = self._file, self._partial
        if partial is not None:
            self._elsewhere = partial.present
        if file is not None:
            received = file.total_received()
            self._file = None
            self._received += received
        self._recovery = self._partial = None

    def present(self) -> int:
        """Return the bytes that are present, or that another process has downloaded."""
        if isinstance(self.result, Fetched):
            return self.result.size
        return self._partial.present if self._partial is not None else self._elsewhere

    def sync(self) -> None:
        """Record what was written, and sync it to the medium, where it is time; an error fails this file."""
        file, recovery = self._file, self._recovery
        if file is None or recovery is None:
            return
        try:
            file.partial.flush()
            if file.partial.sync_is_due():
                file.partial.sync()
        except ModelpmError as error:
            if error.code != Code.CLOSED:
                recovery.fail(file, error)

    def total(self) -> int | None:
        """Return the size of the file, or None while it is unknown."""
        return self.result.size if isinstance(self.result, Fetched) else self._size

    def received(self) -> int:
        """Return the bytes that were received in this run."""
        file = self._file
        compared = self._comparison.received if self._comparison is not None else 0
        return self._received + compared + (file.total_received() if file is not None else 0)

    def _failed(self, error: ModelpmError) -> None:
        details = {name: error.details[name] for name in ("expected", "actual") if name in error.details}
        interrupted = isinstance(error, Interrupted)
        self._emit("file.failed", code=error.code, message=error.message, **details)
        self.status, self.result = Status.CANCELLED if interrupted else Status.FAILED, error

    def _in_store(self) -> Fetched | None:
        digest, size = self.fetch.digest, self.fetch.size
        if digest is None or digest.algorithm != "sha256" or size is None:
            return None
        return Fetched(digest.hex, size, 0, "") if self._store.has(digest.hex, size) else None

    def _locked(self) -> Fetched:
        key = self.fetch.key
        try:
            with self._store.lock(key, waiting=self._waiting) as lock:
                fetched = self._in_store() or self._downloaded_elsewhere(lock)
                if fetched is None:
                    # Where locks do not work, two could write one partial: each gets its own, and cannot resume.
                    alone = key if lock.real else hashlib.sha256(f"{key} {os.urandom(16).hex()}".encode()).hexdigest()
                    fetched = self._download(alone)
                if key != fetched.sha256:  # those that wait could not know the digest
                    lock.word = f"{fetched.sha256} {fetched.size}"
                return fetched
        except StoreError:
            self._check_stopped()
            raise

    def _downloaded_elsewhere(self, lock: Held) -> Fetched | None:
        """Return what another process downloaded, as it wrote into the lock; None if that is not what is wanted."""
        sha256, _, said = lock.found.partition(" ")
        size = number_of(said)
        if not is_sha256(sha256) or size is None or self._size not in {None, size}:
            return None
        there = self._store.has(sha256, size)
        return Fetched(sha256, size, 0, "") if there and self._is_wanted(sha256, size, lock) else None

    def _is_wanted(self, sha256: str, size: int, lock: Held) -> bool:
        """Whether a blob has the promised digest, or, if none is promised, another run downloaded it just now."""
        promised = self.fetch.digest
        if promised is None:
            return self._waited and lock.sure
        digests = Digests(promised, self.context.engine.hasher(promised, size))
        for _ in digests.feed_file(self._store.blob(sha256)):
            self._check_stopped()
        return digests.promised() == promised.hex

    def _waiting(self, holder: str) -> bool:
        self._waited = True
        now = time.monotonic()
        if now - self._looked_at >= _LOOK:
            self._looked_at = now
            self._elsewhere = max(self._elsewhere, progress(self._store.partial(self.fetch.key)))
            self.status = Status.DOWNLOADING
            self._emit("file.wait", holder=holder, done=self._elsewhere, size=self._size)
        return not self.context.stopped.is_set()

    def _download(self, key: str) -> Fetched:
        promised = str(self.fetch.digest) if self.fetch.digest is not None else None
        partial = Partial(self._store.partial(key), Header(self.fetch.key, self.fetch.size, promised))
        recovery = Recovery(self.fetch, self.context, partial)
        worker = Worker(self.fetch, self.context, recovery)
        try:
            partial.open()
            self._partial, self._recovery = partial, recovery
            self._emit("file.start", size=self._size, resumed=partial.resumed)
            self._compare(partial, recovery)
            digests = self._verified(partial, worker)
            size, reused = digests.position, partial.copied
            data = partial.complete(size)
            self._store.commit(data, digests.sha256(), prefixes=digests.prefixes)
            partial.discard()
            return Fetched(digests.sha256(), size, self.received(), recovery.origins.last_sender, reused)
        finally:
            partial.close()
            if self._comparison is not None:
                self._comparison.close()
                self._received, self._comparison = self._received + self._comparison.received, None
            if key != self.fetch.key:
                partial.discard()

    def _compare(self, partial: Partial, recovery: Recovery) -> None:
        """Find out what older files seem to have of this one, where it is worth to ask."""
        fetch, engine = self.fetch, self.context.engine
        promised = fetch.digest is not None and fetch.digest.algorithm == "sha256"
        if not promised or fetch.size is None or fetch.size - partial.present < engine.options.compare_from:
            return
        if engine.inspection is None or not fetch.older:
            return
        try:
            origin = recovery.origins.choose().origin
        except ModelpmError:  # the download says it
            return
        from modelpm.transfer.comparison import Comparison

        self._emit("file.compare")
        comparison = self._comparison = Comparison(origin, fetch.size, self.context, engine.inspection.inspectors)
        comparison.compare(fetch.older, partial)
        if comparison.received:
            recovery.origins.sent(origin)
        self._emit("file.reuse", size=fetch.size, reused=sum(span.length for span in comparison.spans))

    def _verified(self, partial: Partial, worker: Worker) -> Digests:
        """Return the digests of the right bytes; wrong ones are quarantined, and the file is fetched once more.

        Raises:
            IntegrityError: ``digest_mismatch``, the second time.
        """
        for last in (False, True):
            self._size = self.fetch.size  # a size that wrong bytes came with does not count any more
            digests, wanted = self._corrected(self._complete(partial, worker), partial, worker), self.fetch.digest
            self.status = Status.VERIFYING
            self._emit("file.verify", sha256=digests.sha256())
            if wanted is None or digests.promised() == wanted.hex:
                return digests
            error = self._mismatch(digests.promised(), worker)
            self._store.quarantine(partial.complete(digests.position), wanted.hex, digests.promised())
            partial.discard()  # the journal, too: it vouches for the digests of wrong bytes
            if last:
                raise error
            self._emit("file.retry", reason=error.message, code=error.code, attempt=1, retries=1, wait=0.0)
            worker.distrust_senders()
            worker.recovery.request_plainly()
            partial.open()
        raise AssertionError  # the loop ends above

    def _corrected(self, digests: Digests, partial: Partial, worker: Worker) -> Digests:
        """Where copied bytes are not the right ones, fetch the spans that differ as far as is known, and then all."""
        wanted, comparison = self.fetch.digest, self._comparison
        for everything in (False, True):
            if wanted is None or digests.promised() == wanted.hex or not partial.copied:
                break
            spans = comparison.unlike() if comparison is not None and not everything else ()
            ranges = [(0, END)] if everything else [(span.start, span.stop) for span in spans]
            if dropped := sum(partial.drop_copied(*each) for each in ranges):
                reason = f"{binary_size(dropped)} of an older file may not be the same; they are fetched again"
                self._emit("file.retry", reason=reason, code=Code.DIGEST_MISMATCH, attempt=0, retries=0, wait=0.0)
                digests = self._complete(partial, worker)
        return digests

    def _mismatch(self, actual: str, worker: Worker) -> IntegrityError:
        wanted = self.fetch.digest
        assert wanted is not None  # noqa: S101 - else nothing could mismatch
        return IntegrityError(
            f"{self.fetch.path} is not what was promised: expected {wanted}, got {wanted.algorithm}:{actual}"
            f" from {worker.recovery.origins.last_sender or 'an earlier run'}",
            code=Code.DIGEST_MISMATCH,
            hints=["nothing was installed; the bytes are set aside in the store's quarantine for inspection"],
            expected=wanted.hex,
            actual=actual,
            model=self.fetch.model,
            file=self.fetch.path,
        )

    def _complete(self, partial: Partial, worker: Worker) -> Digests:
        """Fetch all that is missing, and hash it while it arrives."""
        missing = Ranges(partial.gaps(0, END if self._size is None else self._size))
        comparison = self._comparison if self._copier is None else None  # what turned out wrong is not copied again
        for span in comparison.spans if comparison is not None else ():
            missing.remove(span.start, span.stop)
        unidentified = self.fetch.digest is None and partial.header.validator is None
        single_stream = worker.recovery.plain or unidentified
        file = FileState(partial, worker, self._size, missing, single_stream=single_stream)
        self._file, self.status = file, Status.DOWNLOADING
        self.context.scheduler.add_file(file)
        if comparison is not None and comparison.spans:
            from modelpm.transfer.copier import Copier

            self._copier = Copier(file, comparison, worker.recovery, self.context)
        try:
            return self._follow(file, worker.recovery)
        finally:
            self._stop_copying()
            self.context.scheduler.remove_file(file)
            self._received, self._file = self._received + file.total_received(), None

    def _follow(self, file: FileState, recovery: Recovery) -> Digests:
        follower = HashFollower(file, self.context, self.fetch.digest)
        while True:
            self._check_stopped()
            if recovery.error is not None:
                raise recovery.error
            if recovery.restart is not None:
                self._start_over(file, recovery, recovery.restart)
                follower = HashFollower(file, self.context, self.fetch.digest)
            self._size = file.size
            if file.size is not None and file.partial.present >= file.size:
                self.status = Status.VERIFYING
            if follower.step():
                return follower.digests

    def _stop_copying(self) -> None:
        if self._copier is not None:
            self._copier.stop()

    def _start_over(self, file: FileState, recovery: Recovery, restart: Restart) -> None:
        """Drop every byte: they are of another version."""
        self._stop_copying()
        self.context.scheduler.abort_file(file, seconds=_RESTART)
        file.partial.restart(restart.label, restart.validator)
        recovery.restarted()
        self._size = self.fetch.size
        self.context.scheduler.reset_file(file, self._size)

    def _check_stopped(self) -> None:
        if self.context.stopped.is_set():
            raise Interrupted(
                f"{self.fetch.path}: interrupted",
                hints=["run the same command again to continue: what was downloaded is kept"],
            )

    @property
    def _store(self) -> Store:
        return self.context.engine.store

    def _emit(self, action: str, **fields: Any) -> None:
        self.context.events.put(self.fetch, action, **fields)
