"""Run the jobs of the queue, each on its own thread."""

from dataclasses import dataclass, field, replace
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING

from modelpm.api.events import Progressed
from modelpm.errors import Interrupted, ModelpmError, PluginError
from modelpm.library.services import Services
from modelpm.lockfile.requirement import Requirement
from modelpm.plugins.blame import presentable
from modelpm.queue.job import Job, JobStatus
from modelpm.queue.jobs import Jobs

if TYPE_CHECKING:
    from modelpm.api.events import Happening
    from modelpm.api.types import Progress
    from modelpm.events.subscribers import OnProgress
    from modelpm.results.installed import InstalledModel

_LOOK = 0.2  # seconds between two reads of what users ask for
_NOTE = 0.5  # seconds between two writes of the jobs' progress
_STOPPING = 10.0  # seconds that a job has to save its partial
_WISHED = {"pause": JobStatus.PAUSED, "cancel": JobStatus.CANCELLED}


@dataclass
class _Work:
    """One job that runs here.

    Attributes:
        job: The job.
        cancelled: Stops it.
        wish: Why it was stopped.
        progress: How far it is.
        model: What it installed.
        error: Why it did not.
        thread: Runs it.
    """

    job: Job
    cancelled: Event = field(default_factory=Event)
    wish: str = ""
    progress: "Progress | None" = None
    model: "InstalledModel | None" = None
    error: ModelpmError | None = None
    thread: Thread = field(default_factory=Thread)

    def take(self, happening: "Happening") -> None:
        """Keep the model's progress, as a subscriber."""
        if isinstance(happening, Progressed):
            self.progress = happening.values[0]

    @property
    def counters(self) -> tuple[str, int, int | None]:
        """The model's name, its bytes so far, its bytes in total."""
        if self.model is not None:
            return self.model.name, self.model.bytes, self.model.bytes
        if self.progress is None:
            return self.job.name, self.job.downloaded_bytes, self.job.total_bytes
        return self.progress.model_id, self.progress.downloaded_bytes, self.progress.total_bytes

    @property
    def status(self) -> JobStatus:
        """How it ended."""
        if self.model is not None:
            return JobStatus.COMPLETED
        if isinstance(self.error, Interrupted) and self.cancelled.is_set():
            return _WISHED.get(self.wish, JobStatus.QUEUED)
        return JobStatus.FAILED


class Running:
    """The jobs that one call of ``queue run`` runs.

    Args:
        services: The services that it uses.
        jobs: The queue.
        runner: The name under which jobs are claimed.
        on_progress: The caller's function, or None.
        cancelled: Stops it.

    Attributes:
        ended: The jobs that ended, in that order.
        errors: Why some failed.
    """

    def __init__(
        self, services: Services, jobs: Jobs, runner: str, on_progress: "OnProgress | None", cancelled: Event
    ) -> None:
        self.ended: list[Job] = []
        self.errors: list[ModelpmError] = []
        self._services, self._jobs, self._runner = services, jobs, runner
        self._on_progress, self._cancelled = on_progress, cancelled
        self._changed = Event()
        self._works: list[_Work] = []
        self._noted = 0.0

    def run(self, *, forever: bool) -> None:
        """Run jobs until none waits, or until it is stopped."""
        self._services.open_store()
        try:
            while not self._cancelled.is_set() and (self._fill() or forever):
                self._changed.wait(_LOOK)
                self._look()
        finally:
            self._stop()

    def _fill(self) -> bool:
        """Claim as many jobs as may run; return whether a job runs here or waits."""
        at_once = self._services.config["queue.parallel"]
        while len(self._works) < at_once and (job := self._jobs.claim(self._runner, at_once)) is not None:
            work = _Work(job)
            self._works.append(work)
            work.thread = Thread(target=self._install, args=(work,), name=f"modelpm-job-{job.id}", daemon=True)
            work.thread.start()
        return bool(self._works) or self._jobs.is_waiting()

    def _install(self, work: _Work) -> None:
        from modelpm.library.installing import install_models
        from modelpm.operations.acquire import Request

        wanted = work.job.wanted
        try:
            request = Request(Requirement(wanted.spec), wanted.name or None, wanted.allow)
            call = self._services.call(self._on_progress, wanted.user or None, work.cancelled)
            call = replace(call, bus=call.bus.joined(work))
            work.model = install_models(self._services, [request], call).raised().models[0]
        except ModelpmError as error:
            work.error = error
        except Exception as error:  # noqa: BLE001 - of a callback or a plugin: it costs this job, not the queue
            work.error = PluginError(f"job {work.job.id} ({wanted.spec}) failed: {presentable(error)!r}")
        finally:
            self._changed.set()

    def _look(self) -> None:
        """Collect jobs that ended, pause or cancel jobs as users asked, and write the progress of the others."""
        self._changed.clear()
        wishes = self._jobs.wishes(self._runner) if self._works else {}
        for work in list(self._works):
            if not work.thread.is_alive():
                self._end(work)
            elif wish := wishes.get(work.job.id, ""):
                work.wish = wish
                work.cancelled.set()
        if self._works and monotonic() - self._noted >= _NOTE:
            self._jobs.note(self._runner, {work.job.id: work.counters for work in self._works})
            self._noted = monotonic()

    def _end(self, work: _Work) -> None:
        self._works.remove(work)
        self._jobs.note(self._runner, {work.job.id: work.counters})
        error = work.error if work.status is JobStatus.FAILED else None
        self.ended.append(self._jobs.end(self._runner, work.job.id, work.status, error.message if error else None))
        if error is not None:
            self.errors.append(error)

    def _stop(self) -> None:
        """Stop what still runs; it is queued again."""
        for work in self._works:
            work.cancelled.set()
        for work in list(self._works):
            work.thread.join(_STOPPING)
            if not work.thread.is_alive():  # else it is queued again once this process has ended
                self._end(work)
