"""Several installs in one call: all are decided first, then done one by one; one that fails stops no other."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelpm.api.types import Progress, Status
from modelpm.errors import Interrupted, ModelpmError
from modelpm.events.call import Call
from modelpm.operations.acquire import Installer, Request, Task
from modelpm.operations.singleflight import Flights
from modelpm.resolution.resolver import Identified
from modelpm.results.installed import InstalledModel
from modelpm.results.report import Change, Result


@dataclass(slots=True)
class Batch:
    """One call of :meth:`modelpm.library.manager.Manager.install`.

    Attributes:
        installer: Does one model.
        call: Who acts, what stops it, and who is told.
        flights: What other threads of this process are at.
    """

    installer: Installer
    call: Call
    flights: Flights
    _tasks: list[tuple[Request, Identified, Task]] = field(default_factory=list)
    _models: list[InstalledModel] = field(default_factory=list)
    _changes: list[Change] = field(default_factory=list)
    _errors: list[ModelpmError] = field(default_factory=list)

    def is_there(self, requests: Sequence[Request]) -> bool:
        """Whether nothing has to be done for any of them; what cannot be told is not there."""
        try:
            return all(self.installer.complete(self.installer.identify(request), self.call) for request in requests)
        except ModelpmError:
            return False

    def prepare(self, requests: Sequence[Request], *, dry_run: bool = False) -> None:
        """Decide everything before anything is done; what cannot be decided is a failure for the audit log, too."""
        auditor, user = self.installer.auditor, self.call.user
        for request in requests:
            with self._collecting(request.spec):
                try:
                    found = self.installer.identify(request)
                    if any(found.name == other.name and found.target == other.target for _, other, _ in self._tasks):
                        continue  # `tiny` and `tiny:f16` are one
                    self._tasks.append((request, found, self.installer.prepare(request, found)))
                except ModelpmError as error:
                    if not dry_run:
                        auditor.failure("install", "model", str(request.spec), error, user=user)
                    raise

    def install(self, folder: Path | None) -> None:
        """Install model by model, so that what is finished stays finished whatever comes.

        Raises:
            StoreError: There is no space for the whole of it; nothing was begun.
            Interrupted: Cancelled; what was downloaded is kept.
        """
        self.installer.check_space([task for _, _, task in self._tasks])
        for request, found, task in self._tasks:
            with self._collecting(request.spec):
                self._install(found, task, folder)

    def would(self) -> None:
        """Note what :meth:`install` would do."""
        for _, found, task in self._tasks:
            self._warn_of(task)
            locked = self.installer.complete(found, self.call)
            self._changes.append(self.installer.would(task) if locked is None else self.installer.already(locked)[1])

    def run(self, requests: Sequence[Request], folder: Path | None, *, dry_run: bool = False) -> Result[Any]:
        """Decide, then do it, or with ``dry_run`` say what would be done; return what it came to."""
        self.prepare(requests, dry_run=dry_run)
        if dry_run:
            self.would()
        else:
            self.install(folder)
        return Result(tuple(self._changes), tuple(self._models), errors=tuple(self._errors), dry_run=dry_run)

    def _install(self, found: Identified, task: Task, folder: Path | None) -> None:
        name = task.model.name
        call = self.call
        with self.flights.alone(name, call.cancelled, call.bus):
            # Asked again: another thread or process may have brought it while this one waited.
            self.installer.environment.seen()  # first: what is not counted on could be freed
            locked = self.installer.complete(found, self.call)
            if locked is not None:
                made, change = self.installer.already(locked)
                call.bus.progress([Progress(name, made.bytes, made.bytes, 100.0, 0.0, Status.COMPLETED)])
            else:
                self._warn_of(task)
                made, change = self.installer.install(task, call=call)
        self._models.append(made)
        self._changes.append(change)
        if folder is not None:
            self._changes.append(self.installer.link(made, folder, self.call.bus))

    def _warn_of(self, task: Task) -> None:
        for warning in task.model.warnings:
            self.call.bus.warn(warning)

    @contextmanager
    def _collecting(self, spec: str) -> Iterator[None]:
        try:
            yield
        except Interrupted:
            raise
        except ModelpmError as error:
            error.details.setdefault("name", spec)
            self._errors.append(error)
