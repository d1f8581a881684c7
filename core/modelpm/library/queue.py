"""The library's queue: jobs that install models, added by one process and run by this one or another."""

from collections.abc import Sequence
from threading import Event
from typing import TYPE_CHECKING

from modelpm.inspection.policy import words
from modelpm.library.services import Services
from modelpm.lockfile.requirement import Requirement
from modelpm.queue.job import Job, Wanted
from modelpm.queue.jobs import Jobs
from modelpm.text.spec import CatalogSpec
from modelpm.text.untrusted import check_model_name

if TYPE_CHECKING:
    from modelpm.events.subscribers import OnProgress
    from modelpm.results.report import Result


class Queue:
    """The queue of installs, which survives the end of the process.

    Args:
        services: The services that it uses.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._jobs = Jobs(services.config.paths.queue)

    def add(
        self,
        spec: str,
        *,
        name: str | None = None,
        priority: int = 0,
        allow_pickle: bool = False,
        allow_code: bool = False,
        user: str | None = None,
    ) -> tuple[Job, bool]:
        """Add a job; ``run`` downloads it.

        Args:
            spec: The full spec of a model.
            name: A name for the model, as ``--as``.
            priority: Jobs with a higher priority run first.
            allow_pickle: As of :meth:`Manager.install`.
            allow_code: As of :meth:`Manager.install`.
            user: The user whom the audit log names.

        Returns:
            The job, and whether it is new: False for a job of the same spec and name that already waits or runs.

        Raises:
            UsageError: The spec or the name is malformed.
            NotFound: No catalog has the model.
        """
        if name is not None:
            check_model_name(name)
        requirement = Requirement(spec)
        if isinstance(requirement.spec, CatalogSpec):
            self._services.catalogs.read(requirement.spec)
        allow = words(pickle=allow_pickle, code=allow_code)
        return self._jobs.add(Wanted(spec, name or "", tuple(allow), user or ""), priority)

    def list(self) -> tuple[Job, ...]:
        """Return every job, by id; jobs that ended are listed for 30 days."""
        return self._jobs.all()

    def get(self, id: int) -> Job:  # noqa: A002 - as the key of its row
        """Return one job.

        Raises:
            NotFound: No job has that id.
        """
        return self._jobs.get(id)

    def pause(self, ids: Sequence[int] = ()) -> tuple[Job, ...]:
        """Pause jobs, all by default; they keep their downloaded bytes.

        Returns:
            The jobs; the process of a running job pauses it within a second.

        Raises:
            NotFound: No job has that id.
        """
        return self._jobs.pause(ids)

    def resume(self, ids: Sequence[int] = ()) -> tuple[Job, ...]:
        """Queue jobs again: by default all paused jobs, or the named jobs, even if they failed or were cancelled.

        Raises:
            NotFound: No job has that id.
        """
        return self._jobs.resume(ids)

    def cancel(self, ids: Sequence[int] = ()) -> tuple[Job, ...]:
        """Cancel jobs, by default all that have not ended.

        Raises:
            NotFound: No job has that id.
        """
        return self._jobs.cancel(ids)

    def run(
        self, *, forever: bool = False, on_progress: "OnProgress | None" = None, cancelled: Event | None = None
    ) -> "Result[Job]":
        """Run jobs until none waits; several processes may run one queue.

        Args:
            forever: Whether to wait for further jobs until ``cancelled`` is set.
            on_progress: As of :meth:`Manager.install`; called from several threads.
            cancelled: Set it from another thread to stop within a second; running jobs are queued again.

        Returns:
            The jobs that this call ran, as they ended, and the errors of those that failed.
        """
        from modelpm.library.running import Running
        from modelpm.results.report import Result

        with self._jobs.runners.registered() as runner:
            running = Running(self._services, self._jobs, runner, on_progress, cancelled or Event())
            running.run(forever=forever)
        return Result(rows=tuple(running.ended), errors=tuple(running.errors), warnings=self._services.warnings.taken())
