"""Drive a run: start downloads, watch connections, sync, and report. Only the calling thread reports."""

import threading
import time
from collections.abc import Callable, Sequence

from modelpm.api.events import Bus
from modelpm.api.types import Status
from modelpm.errors import Interrupted, ModelpmError
from modelpm.inspection.inspection import Inspection
from modelpm.network.health import Hosts
from modelpm.store import Store
from modelpm.transfer.bandwidth import Limiter
from modelpm.transfer.context import EngineContext, Hashers, RunContext
from modelpm.transfer.download import Download
from modelpm.transfer.model import Fetch, Fetched, Options, RunProgress
from modelpm.transfer.progress import ProgressMeter
from modelpm.transfer.scheduler import Scheduler
from modelpm.transfer.trickle import TrickleDetector

Tick = Callable[[RunProgress], None]

BUFFER_BYTES = 4 << 20  # of one connection: a twentieth of a second's worth at 80 MiB a second, see ``Pace``
ALL_BUFFERS_BYTES = 32 << 20  # of all connections: memory must not grow with their number
_ENDS = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})
_SMALLEST_BUFFER = 1 << 16  # bytes of one connection, however many there are
_INTERVAL = 0.1  # seconds between two looks: progress looks smooth, and a run of many files costs little
_OPENING = 10.0  # seconds beyond the limit for the first byte: to connect, and to follow redirects
_GRACE = 0.8  # seconds that a cancelled run waits for its threads: it must stop within a second
_FEWEST_FILES = 2  # that are active at once, with any number of connections: one may be verified meanwhile


class Engine:
    """Downloads files into the store: in parallel, verified, resumable.

    Thread-safe: several runs may be under way at once; they share the limit on bandwidth.
    """

    def __init__(
        self,
        store: Store,
        hashers: Hashers,
        options: Options,
        bus: Bus,
        hosts: Hosts | None = None,
        inspection: Inspection | None = None,
    ) -> None:
        """Touch nothing.

        Args:
            store: Where the files go.
            hashers: Starts digests.
            options: How it behaves.
            bus: Is told events on the thread that called :meth:`run`.
            hosts: How servers fared, where sources share that.
            inspection: Reads headers, to compare files with older ones.
        """
        limiter, known = Limiter(options.limit), hosts or Hosts()
        self._context = EngineContext(store, hashers, options, limiter, known, bus, inspection)

    def run(
        self, fetches: Sequence[Fetch], *, tick: Tick, cancelled: threading.Event
    ) -> tuple[Fetched | ModelpmError, ...]:
        """Download every file into the store, or say why not.

        Args:
            fetches: What is wanted.
            tick: Takes the progress, at most ten times a second and once at the end; called on the calling thread.
            cancelled: Set it to stop within a second; what was downloaded is kept.

        Returns:
            How each ended, in the order of ``fetches``. What was cancelled is an ``Interrupted``.
        """
        run = _Run(self._context, fetches, cancelled)
        try:
            run.drive(tick)
        finally:
            run.stop()
        run.report()
        tick(run.progress())
        return run.results()


class _Run:
    """One call of :meth:`Engine.run`."""

    def __init__(self, engine: EngineContext, fetches: Sequence[Fetch], cancelled: threading.Event) -> None:
        options = engine.options
        buffer_bytes = min(BUFFER_BYTES, max(_SMALLEST_BUFFER, ALL_BUFFERS_BYTES // options.jobs))
        self._options = options
        self._cancelled = cancelled
        self._trickles = TrickleDetector(options.idle_timeout, options.min_rate)
        self._scheduler = Scheduler(options.jobs, buffer_bytes)
        self._context = RunContext(engine, self._scheduler)
        self._woken = threading.Event()
        # Guards _waiting, _active and _ended: file threads take the next file themselves.
        self._handing = threading.Lock()
        self._downloads = [Download(fetch, self._context) for fetch in fetches]
        self._waiting = list(reversed(self._downloads))
        self._active: dict[Download, threading.Thread] = {}
        self._meters: dict[Download, ProgressMeter] = {}  # of the active files
        self._ended: list[Download] = []  # since the last progress
        self._downloaded = self._received = 0  # of all that ended before
        self._syncer = threading.Thread(target=self._sync, name="modelpm-sync", daemon=True)

    def drive(self, tick: Tick) -> None:
        """Work until every file ended or the caller cancelled."""
        if self._downloads:
            self._syncer.start()
        ticked = float("-inf")
        while not self._cancelled.is_set() and (self._waiting or self._active):
            self._start_files()
            self._woken.wait(_INTERVAL)
            self._woken.clear()
            self.report()
            now = time.monotonic()
            if now - ticked >= _INTERVAL:
                ticked = now
                self._watch(now)
                tick(self.progress())

    def stop(self) -> None:
        """End every thread; those that do not return in time are left alone, and may not write any more."""
        self._context.stopped.set()
        self._scheduler.stop()
        for _, segment in self._scheduler.running():
            segment.abort("")
        deadline = time.monotonic() + _GRACE
        for thread in [*self._active.values(), self._syncer]:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))

    def progress(self) -> RunProgress:
        """Return how far the run is; the cost depends on the active files only."""
        now = time.monotonic()
        with self._handing:
            active, ended, self._ended = list(self._active), self._ended, []
        running = [self._meters.setdefault(download, ProgressMeter(download)).read(now) for download in active]
        done = [(self._meters.pop(download, None) or ProgressMeter(download)).read(now) for download in ended]
        self._downloaded += sum(file.downloaded for file in done)
        self._received += sum(file.received for file in done)
        return RunProgress(
            self._downloaded + sum(file.downloaded for file in running),
            self._received + sum(file.received for file in running),
            (*(file for file in running if file.status not in _ENDS), *done),  # the others are told when handed over
        )

    def results(self) -> tuple[Fetched | ModelpmError, ...]:
        """Return how every file ended."""
        for download in self._downloads:
            if download.crash is not None:
                raise download.crash
        return tuple(it.result or Interrupted(f"{it.fetch.path}: interrupted") for it in self._downloads)

    def report(self) -> None:
        """Emit the events that are waiting."""
        for action, fields in self._context.events.drain():
            self._context.engine.bus.event(self._context.engine.name, action, fields)

    def _start_files(self) -> None:
        """Start as many files as keep the connections busy."""
        most = max(_FEWEST_FILES, self._options.jobs)
        while self._waiting and len(self._active) < most and self._scheduler.wants_file():
            with self._handing:
                if not self._waiting:  # a file thread took the last one meanwhile
                    return
                download = self._waiting.pop()
                thread = threading.Thread(target=self._run_files, args=(download,), name="modelpm-file", daemon=True)
                self._active[download] = thread
            thread.start()

    def _run_files(self, first: Download) -> None:
        """Download one file after another while some wait: a thread for each small file would cost more than it."""
        download: Download | None = first
        while download is not None:
            download.run()
            download = self._next(download)
        self._woken.set()

    def _next(self, ended: Download) -> Download | None:
        with self._handing:
            more = not self._context.stopped.is_set() and self._waiting and self._scheduler.wants_file()
            download = self._waiting.pop() if more else None
            if download is not None:
                self._active[download] = self._active[ended]
            self._ended.append(ended)
            del self._active[ended]  # last: the run is over as soon as nothing waits and nothing is active
            return download

    def _watch(self, now: float) -> None:
        received = self._scheduler.measure(now)
        idle, opening = self._options.idle_timeout, self._options.first_byte_timeout + _OPENING
        running = self._scheduler.running()
        for file, segment in running:
            if segment.aborted is not None:
                if now - segment.aborted_at > 2 * _GRACE:  # its source cannot be interrupted
                    self._scheduler.abandon(file, segment)
            elif problem := segment.silence(now, idle, opening):
                segment.abort(problem)
        connections = [(segment, not file.single_stream) for file, segment in running]
        for slow in self._trickles.find(now, received, connections):
            slow.segment.abort(slow.reason, slow.code)

    def _sync(self) -> None:
        """Sync what was written to the medium."""
        while not self._context.stopped.wait(_INTERVAL):
            for download in list(self._active):
                download.sync()
