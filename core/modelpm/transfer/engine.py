"""Drive a run: begin files, watch connections, sync, sample progress. The calling thread does all of the telling."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from modelpm.api.kinds import Hasher
from modelpm.errors import Interrupted, ModelpmError
from modelpm.network.health import Hosts
from modelpm.store import Store
from modelpm.transfer.bandwidth import Limiter
from modelpm.transfer.download import Job, Shared
from modelpm.transfer.model import Fetch, Fetched, Options, RunProgress
from modelpm.transfer.progress import Meter
from modelpm.transfer.scheduler import Scheduler
from modelpm.transfer.trickle import Trickles

Emit = Callable[[str, Mapping[str, Any]], None]
Tick = Callable[[RunProgress], None]

BUFFER_BYTES = 4 << 20  # of one connection …
ALL_BUFFERS_BYTES = 32 << 20  # … and of all of them
_INTERVAL = 0.1  # seconds between two looks
_OPENING = 10.0  # seconds beyond the limit for the first byte: to connect, and to follow redirects
_GRACE = 0.8  # seconds that a cancelled run waits for its threads


class Engine:
    """Brings files into the store: in parallel, verified, resumable.

    Thread-safe: several runs may be under way at once; they share the limit on bandwidth.
    """

    def __init__(
        self,
        store: Store,
        hasher: Callable[[str, int | None], Hasher],
        options: Options,
        emit: Emit,
        hosts: Hosts | None = None,
    ) -> None:
        """Touch nothing.

        Args:
            store: Where the files go.
            hasher: Begins a digest by the name of its algorithm and the size of the file.
            options: How to behave.
            emit: Takes events, action and fields; called on the thread that called :meth:`run`.
            hosts: How servers fared, where sources share that.
        """
        self._store = store
        self._hasher = hasher
        self._options = options
        self._emit = emit
        self._limiter = Limiter(options.limit)
        self._hosts = hosts or Hosts()

    def run(
        self, fetches: Sequence[Fetch], *, tick: Tick, cancelled: threading.Event
    ) -> tuple[Fetched | ModelpmError, ...]:
        """Bring every file into the store, or say why not.

        Args:
            fetches: What is wanted.
            tick: Takes the progress, at most ten times a second and once at the end; called on the calling thread.
            cancelled: Set it to stop within a second; what was downloaded is kept.

        Returns:
            How each ended, in the order of ``fetches``; those committed are in the store. What was cancelled is an
            ``Interrupted``.
        """
        run = _Run(self, fetches, cancelled)
        try:
            run.drive(tick)
        finally:
            run.stop()
        run.tell()
        tick(run.progress())
        return run.results()


class _Run:
    """One call of :meth:`Engine.run`."""

    def __init__(self, engine: Engine, fetches: Sequence[Fetch], cancelled: threading.Event) -> None:
        options = engine._options  # noqa: SLF001 - the two are one thing
        self._emit = engine._emit  # noqa: SLF001
        self._options = options
        self._cancelled = cancelled
        self._trickles = Trickles(options.idle_timeout, options.min_rate)
        self._scheduler = Scheduler(options.jobs, min(BUFFER_BYTES, max(1 << 16, ALL_BUFFERS_BYTES // options.jobs)))
        self._events: queue.SimpleQueue[tuple[str, Mapping[str, Any]]] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._woken = threading.Event()
        self._handing = threading.Lock()
        shared = Shared(
            engine._store,  # noqa: SLF001
            engine._hasher,  # noqa: SLF001
            options,
            self._scheduler,
            engine._limiter,  # noqa: SLF001
            engine._hosts,  # noqa: SLF001
            self._stopped,
            self._note,
        )
        self._jobs = [Job(fetch, shared) for fetch in fetches]
        self._waiting = list(reversed(self._jobs))
        self._active: dict[Job, threading.Thread] = {}
        self._meters: dict[Job, Meter] = {}  # of the files under way
        self._ended: list[Job] = []  # since progress was last looked at
        self._downloaded = self._received = 0  # of all that ended before
        self._syncer = threading.Thread(target=self._sync, name="modelpm-sync", daemon=True)

    def drive(self, tick: Tick) -> None:
        """Work until every file ended or the caller cancelled."""
        if self._jobs:
            self._syncer.start()
        ticked = float("-inf")
        while not self._cancelled.is_set() and (self._waiting or self._active):
            self._begin()
            self._woken.wait(_INTERVAL)
            self._woken.clear()
            self.tell()
            now = time.monotonic()
            if now - ticked >= _INTERVAL:
                ticked = now
                self._watch(now)
                tick(self.progress())

    def stop(self) -> None:
        """End every thread; those that do not come back are left to themselves, and may write no more."""
        self._stopped.set()
        self._scheduler.stop()
        for _, task in self._scheduler.running():
            task.abort("")
        deadline = time.monotonic() + _GRACE
        for thread in [*self._active.values(), self._syncer]:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))

    def progress(self) -> RunProgress:
        """Return how far the run is; costs what is under way, not what waits or is done."""
        now = time.monotonic()
        with self._handing:
            active, ended, self._ended = list(self._active), self._ended, []
        running = [self._meters.setdefault(job, Meter(job)).read(now) for job in active]
        done = [(self._meters.pop(job, None) or Meter(job)).read(now) for job in ended]
        self._downloaded += sum(file.downloaded for file in done)
        self._received += sum(file.received for file in done)
        return RunProgress(
            self._downloaded + sum(file.downloaded for file in running),
            self._received + sum(file.received for file in running),
            (*running, *done),
        )

    def results(self) -> tuple[Fetched | ModelpmError, ...]:
        """Return how every file ended."""
        for job in self._jobs:
            if job.crash is not None:
                raise job.crash
        return tuple(job.result or Interrupted(f"{job.fetch.path}: interrupted") for job in self._jobs)

    def tell(self) -> None:
        """Hand on the events that came in."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._emit(*self._events.get_nowait())

    def _note(self, action: str, fields: Mapping[str, Any]) -> None:
        self._events.put((action, fields))

    def _begin(self) -> None:
        """Begin as many files as keep the connections busy."""
        while self._waiting and len(self._active) < max(2, self._options.jobs) and self._scheduler.hungry():
            with self._handing:
                if not self._waiting:  # the last one was taken meanwhile
                    return
                job = self._waiting.pop()
                thread = threading.Thread(target=self._work, args=(job,), name="modelpm-file", daemon=True)
                self._active[job] = thread
            thread.start()

    def _work(self, first: Job) -> None:
        """Bring one file after another, as long as there are some to begin: small ones end as soon as they began."""
        job: Job | None = first
        while job is not None:
            job.run()
            job = self._next(job)
        self._woken.set()

    def _next(self, ended: Job) -> Job | None:
        with self._handing:
            more = not self._stopped.is_set() and self._waiting and self._scheduler.hungry()
            job = self._waiting.pop() if more else None
            if job is not None:
                self._active[job] = self._active[ended]
            self._ended.append(ended)
            del self._active[ended]  # last, for when nothing waits and nothing is active the run is over
            return job

    def _watch(self, now: float) -> None:
        received = self._scheduler.observe(now)
        idle, opening = self._options.idle_timeout, self._options.first_byte_timeout + _OPENING
        running = self._scheduler.running()
        for work, task in running:
            if task.aborted is not None:
                if now - task.aborted_at > 2 * _GRACE:  # its source cannot be interrupted
                    self._scheduler.abandon(work, task)
            elif trouble := task.silence(now, idle, opening):
                task.abort(trouble)
        for trickle in self._trickles.look(now, received, [(task, not work.single) for work, task in running]):
            trickle.task.abort(trickle.reason, trickle.code)

    def _sync(self) -> None:
        """Bring to the medium what was written; on a thread of its own, for the disk may take its time."""
        while not self._stopped.wait(_INTERVAL):
            for job in list(self._active):
                job.sync()
