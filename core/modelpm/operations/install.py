"""Several installs in one call: plan all first, then install one by one; a failure stops no other install.

Locking costs more with each model in the lock. So models that arrive faster than locking takes are locked together.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from modelpm.api.types import Progress, Reference, Status
from modelpm.environment.older import reusable
from modelpm.errors import Interrupted, ModelpmError, StoreError
from modelpm.events.acts import tell_failure
from modelpm.events.call import Call
from modelpm.operations.acquire import Brought, Installer, Request, Task
from modelpm.operations.singleflight import Flights
from modelpm.resolution.candidate import Candidate, FromCatalog
from modelpm.resolution.naming import Names
from modelpm.resolution.resolve import ResolvedModel
from modelpm.results.installed import InstalledModel
from modelpm.results.report import Change, Result

_SHARE = 9  # fetch models for this many times the duration of the last locking, then lock them together


@dataclass(frozen=True, slots=True)
class Begun:
    """One model whose bytes are in the store.

    Attributes:
        request: The request.
        row: The row of a model that was already installed.
        brought: The outcome of the fetch, if there was one.
        operation: Ends when the model is locked.
    """

    request: Request
    row: tuple[InstalledModel, Change] | None = None
    brought: Brought | None = None
    operation: AbstractContextManager[Brought] | None = None


@dataclass(slots=True)
class Batch:
    """One call of :meth:`modelpm.library.manager.Manager.install`.

    Attributes:
        installer: Installs one model.
        call: The user, the cancellation, and the bus for events.
        flights: The installs of other threads of this process.
    """

    installer: Installer
    call: Call
    flights: Flights
    _tasks: list[tuple[Request, Candidate, Task]] = field(default_factory=list)
    _models: list[InstalledModel] = field(default_factory=list)
    _changes: list[Change] = field(default_factory=list)
    _errors: list[ModelpmError] = field(default_factory=list)
    _notes: list[str] = field(default_factory=list)
    _begun: dict[str, Begun] = field(default_factory=dict)  # by the model's name
    _counts: bool = False  # whether the store has a lease for what is needed
    _due: float = 0.0  # when to lock the begun models

    def is_there(self, requests: Sequence[Request]) -> bool:
        """Whether every model is installed; False if that is unknown."""
        names = self.installer.names()
        try:
            found = [names.settle(self.installer.identify(request)) for request in requests]
            return all(self.installer.complete(candidate, self.call) for candidate in found)
        except ModelpmError:
            return False

    def prepare(self, requests: Sequence[Request], *, dry_run: bool = False) -> None:
        """Plan every model before anything is done; one that cannot be planned is a failure, also in the audit log."""
        wanted = list[tuple[Request, Candidate, ResolvedModel]]()
        known, names = defaultdict[str, list[FromCatalog | Reference]](list), self.installer.names()
        for request in requests:
            with self._collecting(request.requirement.text):
                try:
                    found = self._settled(names, self.installer.identify(request))
                    if found.target in known[found.name]:
                        continue  # `tiny` and `tiny:f16` are one
                    wanted.append((request, found, self.installer.wanted(request, found)))
                    known[found.name].append(found.target)
                except ModelpmError as error:
                    if not dry_run:
                        tell_failure(
                            self.call.bus, "install", "model", str(request.requirement.text), error, user=self.call.user
                        )
                    raise
        planned = self.installer.plan([model for _, _, model in wanted])
        self._tasks = [(request, found, task) for (request, found, _), task in zip(wanted, planned, strict=True)]

    def _settled(self, names: Names, asked: Candidate) -> Candidate:
        """Return a model under its name; report it if another model has its default name."""
        found, here = names.settle(asked), self.installer.environment.read()
        if found.name != asked.name and here.get(found.name) is None:
            self.call.bus.warn(f"`{asked.name}` is another model; {found.requirement.text} is named `{found.name}`")
        names.take(found)
        return found

    def install(self, folder: Path | None) -> None:
        """Fetch model by model; at every end, also after a failure, lock the fetched models.

        Raises:
            StoreError: The disk lacks space for all models; nothing was begun.
            UsageError: The lock cannot hold all models; as above.
            Interrupted: Cancelled; downloaded bytes are kept.
        """
        tasks = [task for _, _, task in self._tasks]
        self.installer.check_lock(self.installer.environment.read(), [task.model for task in tasks])
        self.installer.check_space(tasks)
        self.installer.environment.stay_registered()  # first: a blob that no root needs could be freed meanwhile
        with ExitStack() as counting:
            try:
                for request, found, task in self._tasks:
                    with self._collecting(request.requirement.text):
                        if found.name in self._begun:
                            self._lock(folder)
                        self._begin(request, found, task, counting, folder)
            finally:
                self._lock(folder)
        self.installer.free_leftovers()

    def tell(self) -> None:
        """Note the changes that :meth:`install` makes."""
        for _, found, task in self._tasks:
            self._warn_of(task)
            with self._collecting(found.requirement.text):
                locked = self.installer.complete(found, self.call)
                if locked is None:
                    self.installer.glance(task)
                change = self._planned(task) if locked is None else self.installer.already(locked)[1]
                self._changes.append(change)
        try:
            self.installer.check_space([task for _, _, task in self._tasks])
        except StoreError as error:
            self.call.bus.warn(error.message)

    def _planned(self, task: Task) -> Change:
        return replace(task.change("install"), reused=reusable(self.installer.environment.view, task.model, task.plan))

    def run(self, requests: Sequence[Request], folder: Path | None, *, dry_run: bool = False) -> Result[Any]:
        """Plan, then install or, with ``dry_run``, report; return the result."""
        self.prepare(requests, dry_run=dry_run)
        if dry_run:
            self.tell()
        else:
            self.install(folder)
        return Result(
            tuple(self._changes),
            tuple(self._models),
            errors=tuple(self._errors),
            dry_run=dry_run,
            notes=tuple(self._notes),
        )

    def _begin(self, request: Request, found: Candidate, task: Task, counting: ExitStack, folder: Path | None) -> None:
        """Fetch one model, if it is missing, and lock the fetched models if that is due."""
        name, installer, call = task.model.name, self.installer, self.call
        with self.flights.alone(name, call.cancelled, call.bus):
            # Checked again: another thread or process may have installed it while this one waited.
            locked = installer.complete(found, call)
            if locked is not None:
                made, change = installer.already(locked)
                call.bus.progress([Progress(name, made.bytes, made.bytes, 100.0, 0.0, Status.COMPLETED)])
                self._begun[name] = Begun(request, row=(made, change))
            else:
                self._warn_of(task)
                self._fetch(request, task, counting)
            if time.monotonic() >= self._due:
                self._lock(folder)

    def _fetch(self, request: Request, task: Task, counting: ExitStack) -> None:
        installer = self.installer
        if not self._counts:  # once: each entry takes a file
            counting.enter_context(installer.counting_on([task.model for _, _, task in self._tasks]))
            self._counts = True
        operation = installer.bringing(task, call=self.call)
        self._begun[task.model.name] = Begun(request, None, operation.__enter__(), operation)

    def _lock(self, folder: Path | None) -> None:
        """Lock the fetched models together; if that fails, each separately."""
        begun, self._begun, before = list(self._begun.values()), {}, time.monotonic()
        fetched, together = [each.brought for each in begun if each.brought], False
        if len(fetched) > 1:
            with ExitStack() as interrupted:
                for each in begun:
                    if each.operation:
                        interrupted.push(each.operation)
                try:
                    self.installer.put(fetched, self.call.bus)
                    together = True
                except ModelpmError:  # reported for the model that failed
                    pass
                interrupted.pop_all()
        for each in begun:
            with self._collecting(each.request.requirement.text):
                self._end(each, folder, locked=together)
        now = time.monotonic()
        self._due = now + _SHARE * (now - before)

    def _end(self, begun: Begun, folder: Path | None, *, locked: bool) -> None:
        row = begun.row
        if begun.brought and begun.operation:
            with ExitStack() as operation:
                operation.push(begun.operation)
                if not locked:
                    self.installer.put([begun.brought], self.call.bus)
            row = self.installer.done(begun.brought)
        if row is None:
            return
        self._models.append(row[0])
        self._changes.append(row[1])
        if folder is not None:
            self._changes.append(self.installer.link(row[0], folder, self.call.bus))

    def _warn_of(self, task: Task) -> None:
        for warning in task.model.warnings:
            self.call.bus.warn(warning)
        self._notes += task.model.notes

    @contextmanager
    def _collecting(self, spec: str) -> Iterator[None]:
        try:
            yield
        except Interrupted:
            raise
        except ModelpmError as error:
            error.details.setdefault("name", spec)
            self._errors.append(error)
