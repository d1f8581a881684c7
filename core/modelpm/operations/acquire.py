"""Install: identify, resolve, plan; then for each model fetch, verify, link, lock."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

from modelpm.api.events import Bus
from modelpm.api.types import Status
from modelpm.environment.environment import Environment
from modelpm.environment.link_into import link_into, say_copied, say_left_out
from modelpm.environment.older import older
from modelpm.environment.query import installed_model
from modelpm.environment.recognize import recognize
from modelpm.environment.roots import Roots
from modelpm.errors import Code, Interrupted, ModelpmError, StoreError, UsageError, gravest
from modelpm.events.acts import Outcome, acting
from modelpm.events.call import Call
from modelpm.events.progress import Tracker
from modelpm.inspection.inspection import Inspection
from modelpm.inspection.policy import both, needed
from modelpm.lockfile.file import Lock, check_size
from modelpm.lockfile.model import LockedFile, LockedModel
from modelpm.lockfile.requirement import Requirement
from modelpm.operations.attest import Signatures
from modelpm.operations.fetched import done, key_of, learned, naming, say_learned, until
from modelpm.operations.inspect import dangers, glance, inspected, usual_command
from modelpm.operations.unpack import free, unpack, unpacked_bytes
from modelpm.plugins.registry import Registry
from modelpm.resolution.candidate import Candidate
from modelpm.resolution.listed import lock_size
from modelpm.resolution.listings import locator
from modelpm.resolution.naming import Names
from modelpm.resolution.plan import Plan, make_plan, needed_archives, plan_learning
from modelpm.resolution.resolve import ResolvedFile, ResolvedModel
from modelpm.resolution.resolver import Resolver
from modelpm.results.installed import InstalledModel
from modelpm.results.report import Change
from modelpm.store.reuse import obtain, offers
from modelpm.transfer import Engine, Fetch, Fetched, check_space


@dataclass(frozen=True, slots=True)
class Request:
    """The request for one model.

    Attributes:
        requirement: The model, and the choice of its files.
        name: The name to install it under, or None for the default.
        allow: The kinds of code that the model may hold: ``pickle``, ``code``.
    """

    requirement: Requirement
    name: str | None = None
    allow: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """One model to install, or to complete if files are missing.

    A dry run reports it, checks compare it with the disk and the lock, and :meth:`Installer.bringing` carries it out.

    Attributes:
        model: The model.
        plan: The files to fetch.
        learns: Whether to fetch only files without a promised digest, to learn the digest.
    """

    model: ResolvedModel
    plan: Plan
    learns: bool = False

    @classmethod
    def learning(cls, model: ResolvedModel, also: Collection[str] = ()) -> "Task":
        """Return the task that fetches only the files without a promised digest, and ``also``, in order to lock."""
        return cls(model, plan_learning(model, also), learns=True)

    def change(self, action: str, before: str = "") -> Change:
        """Return the change that it will make; parts may be unknown before it is done.

        Args:
            action: As of :class:`Change`.
            before: The current version or digest.
        """
        model, plan = self.model, self.plan
        if self.learns:
            size, digest = None if plan.unknown else plan.download, None
        else:
            size, digest = model.size, model.lock({}).digest if model.is_pinned else None
        return Change.of(action, model, digest=digest, bytes=size, downloaded=plan.download, before=before)


@dataclass(frozen=True, slots=True)
class Brought:
    """One model whose bytes are in the store.

    Attributes:
        locked: The model.
        downloaded: Bytes.
        fetched: SHA-256 of the new blobs.
        reused: Bytes that were copied from other versions of its files.
    """

    locked: LockedModel
    downloaded: int
    fetched: frozenset[str]
    reused: int = 0


@dataclass(frozen=True, slots=True)
class Installer:
    """Brings models into an environment.

    Attributes:
        environment: The environment.
        resolver: Turns specs into models.
        engine: Downloads.
        registry: Names the plugins whose code was loaded, for the audit log.
        inspection: Inspects files.
        signatures: Judges signatures.
        leftovers: SHA-256 of archives that were fetched: once their members are locked, nothing needs them.
    """

    environment: Environment
    resolver: Resolver
    engine: Engine
    registry: Registry
    inspection: Inspection
    signatures: Signatures
    leftovers: set[str] = field(default_factory=set)

    def _plugins(self) -> list[str]:
        return [str(entry) for entry in self.registry.loaded()]

    def identify(self, request: Request) -> Candidate:
        """Give a request its name; see :meth:`Resolver.identify`."""
        return self.resolver.identify(request.requirement, name=request.name)

    def names(self) -> Names:
        """Return the names of the environment, for :meth:`Names.settle`."""
        return Names(self.environment.read().models)

    def standing(self, found: Candidate) -> LockedModel | None:
        """Return the locked model of that name, if it fits the request.

        Raises:
            UsageError: Another model has the name.
        """
        locked = self.environment.read().get(found.name)
        if locked is None or found.is_met_by(locked):
            return locked
        raise UsageError(
            f"`{found.name}` is already installed from `{locked.requirement}`, not from `{found.requirement}`",
            code=Code.NAME_TAKEN,
            hints=[
                f"to keep both: modelpm install {found.requirement} --as ANOTHER-NAME",
                f"to move to another release: modelpm upgrade {found.name}",
                f"to replace it: modelpm uninstall {found.name}, then install again",
            ],
            name=found.name,
        )

    def complete(self, found: Candidate, call: Call) -> LockedModel | None:
        """Return the locked model of that name, if it fits the request and every file of it exists."""
        locked = self.standing(found)
        return None if locked is None or recognize(self.environment, call, [locked]) else locked

    def wanted(self, request: Request, found: Candidate) -> ResolvedModel:
        """Return the requested model; ask the source if nothing is locked yet."""
        locked = self.standing(found) or self._other_name(request, found)
        if locked is None:
            return self.resolver.resolve(found, allow=request.allow)
        return ResolvedModel.of_locked(replace(locked, allow=both(locked.allow, request.allow)))

    def _other_name(self, request: Request, found: Candidate) -> LockedModel | None:
        """Return the same model under another name, which gets the chosen name as its second."""
        models = self.environment.read().models if request.name else ()
        there = next((model for model in models if found.is_met_by(model)), None)
        if there is None or set(there.allow) - set(request.allow):
            return None
        return replace(there, name=found.name, requirement=found.requirement)

    def plan(self, models: Sequence[ResolvedModel]) -> tuple[Task, ...]:
        """Decide what to fetch for all models of a call; a blob that several of them need is fetched once."""
        present = {sha256 for model in models for sha256 in self.present(model)}
        plan = make_plan(models, present)
        return tuple(Task(model, plan.of(model.name)) for model in models)

    def check_space(self, tasks: Sequence[Task]) -> None:
        """Check that the disk has space for the whole plan, less the bytes of partial downloads.

        Raises:
            StoreError: Code ``no_space``, with sizes.
        """
        store = self.environment.store
        unpacked = sum(unpacked_bytes(store, task.model, task.plan) for task in tasks)
        check_space(store, [fetch for task in tasks for fetch in self._of(task)], unpacked)

    def check_lock(self, lock: Lock, models: Iterable[ResolvedModel]) -> None:
        """Check that the lock can hold further models.

        Raises:
            UsageError: Code ``lock_full``.
        """
        more = sum(lock_size(model.files) for model in models if lock.get(model.name) is None)
        check_size(lock.render(), str(self.environment.lock_path), more)

    def install(self, task: Task, *, call: Call) -> tuple[InstalledModel, Change]:
        """Fetch the missing files of one model, link it, lock it."""
        with self.counting_on([task.model]), self.bringing(task, call=call) as brought:
            self.put([brought], call.bus)
        self.free_leftovers()
        return self.done(brought)

    def put(self, brought: Sequence[Brought], bus: Bus) -> None:
        """Link and lock fetched models, all or none; the caller holds a lease on their blobs."""
        environment = self.environment
        kinds = environment.put(*(each.locked for each in brought))
        say_copied(kinds, environment.view.mode, environment.view.root, bus)
        self.show_anew(brought, bus)
        environment.register()

    def show_anew(self, brought: Sequence[Brought], bus: Bus) -> None:
        """Link a fetched blob into the views that showed a damaged or missing one."""
        if digests := {sha256 for each in brought for sha256 in each.fetched}:
            Roots(self.environment).show_anew(digests, bus)

    def done(self, brought: Brought) -> tuple[InstalledModel, Change]:
        """Return the row of an installed model, and its change."""
        made = installed_model(self.environment, brought.locked)
        return made, Change.of("install", made, downloaded=brought.downloaded, reused=brought.reused, path=made.path)

    @contextmanager
    def counting_on(self, models: Sequence[ResolvedModel]) -> Iterator[None]:
        """Keep every blob that the models need, now or later, from being freed while the block runs."""
        store = self.environment.store
        with store.lock("store", shared=True), store.lease(f.sha256 for m in models for f in m.files if f.sha256):
            yield

    @contextmanager
    def bringing(self, task: Task, *, call: Call) -> Iterator[Brought]:
        """Fetch the missing files of one model; it counts as done when the block ends. The caller holds the lease.

        Args:
            task: The model.
            call: The user, the cancellation, and the bus for events.
        """
        present = set[str]()
        if not task.learns:
            # Decide again: another process may have fetched files meanwhile.
            present = self._obtained(task.model, call.cancelled)
            task = replace(task, plan=make_plan([task.model], present))
        model, packed = task.model, needed_archives(task.model, present)
        reused = sum(s.file.size or 0 for s in task.plan.steps if not s.fetch)
        tracker = Tracker(model, reused, call.bus, sum(not step.fetch for step in task.plan.steps))
        tracker.queued()
        details = {"spec": model.requirement.text, "name": model.name, "plugins": self._plugins()}
        try:
            with acting(
                call.bus,
                "lock" if task.learns else "install",
                resource_type="model",
                resource_id=model.model,
                user=call.user,
                details=details,
            ) as outcome:
                for archive in packed:  # before a fetch of what no plugin can unpack
                    self.registry.entry("unpacker", archive.unpack)
                fetched = self._fetch(task, tracker, call.cancelled)
                members = self._unpacked(model, packed, fetched, call.cancelled)
                locked, learns = model.lock(learned(fetched), members), task.learns
                here = {*fetched, *(member.path for member in members)}
                locked = self._inspected(locked, call.cancelled, here if learns else None, outcome)
                locked = self.signatures.held(self.environment, locked)
                if locked.signatures:
                    outcome.details.update(signatures=list(locked.signatures))
                if not learns:
                    say_learned(model, locked, call.bus)
                downloaded = sum(f.downloaded for f in fetched.values())
                reused = sum(f.reused for f in fetched.values())
                yield Brought(locked, downloaded, frozenset(f.sha256 for f in fetched.values()), reused)
                outcome.details.update(done(locked, fetched, downloaded), reused=reused, plugins=self._plugins())
        except (Interrupted, KeyboardInterrupt):
            tracker.failed(Status.CANCELLED, "interrupted; what was downloaded is kept")
            raise
        except ModelpmError as error:
            error.details.setdefault("name", model.name)
            tracker.failed(Status.FAILED, str(error))
            raise
        tracker.completed(locked.size)

    def _unpacked(
        self, model: ResolvedModel, archives: Sequence[ResolvedFile], fetched: Mapping[str, Fetched], cancelled: Event
    ) -> tuple[LockedFile, ...]:
        """Unpack fetched archives; return the members that were not known before."""
        if not archives:
            return ()
        digests = [fetched[a.path].sha256 if a.path in fetched else a.sha256 or "" for a in archives]
        self.leftovers.update(digests)
        try:
            return unpack(self.environment, self.registry, model, list(zip(archives, digests, strict=True)), cancelled)
        except StoreError:  # the archives are good: the next run must not fetch them again
            self.leftovers.difference_update(digests)
            raise

    def free_leftovers(self) -> None:
        """Free unpacked archives, whose blobs nothing may need now."""
        free(self.environment, self.leftovers)
        self.leftovers.clear()

    def _inspected(
        self, locked: LockedModel, cancelled: Event, only: Collection[str] | None, outcome: Outcome
    ) -> LockedModel:
        """Inspect the files in the store; return the model with the words of ``allow`` that its bytes need."""
        files = [file for file in locked.files if only is None or file.path in only]
        found = inspected(self.inspection, self.environment, locked, locked.allow, files=files, cancelled=cancelled)
        if told := dangers(found):
            outcome.details.update(dangers=dict(list(told.items())[:100]), allow=list(locked.allow))
        return locked if only is not None else replace(locked, allow=needed(found, locked.allow))

    def glance(self, task: Task) -> None:
        """Refuse a model if the first bytes of its remote files prove danger.

        Raises:
            ModelpmError: As :func:`modelpm.operations.inspect.glance`.
        """
        glance(self.inspection, self._of(task), task.model.allow, usual_command(self.environment, task.model))

    def bring(self, task: Task, *, call: Call) -> Brought:
        """Fetch the missing files of one model; as :meth:`bringing`."""
        with self.bringing(task, call=call) as brought:
            return brought

    def already(self, locked: LockedModel) -> tuple[InstalledModel, Change]:
        """Return an installed model as the outcome of an install with nothing to do."""
        made = installed_model(self.environment, locked)
        return made, Change.of("reuse", made, path=made.path)

    def link(self, made: InstalledModel, folder: Path, bus: Bus) -> Change:
        """Link the model's files into another folder, too; call ``warn`` if they had to be copied."""
        mode = self.environment.view.mode
        say_copied(link_into(self.environment, made, folder), mode, folder, bus)
        say_left_out(made, folder, bus)
        return Change.of("link", made, path=folder)

    def present(self, model: ResolvedModel) -> set[str]:
        """Return the SHA-256 of the model's blobs that need no download."""
        store, shown = self.environment.store, self._shown(model)
        return {
            sha256
            for path, sha256, size in _pinned(model)
            if offers(store, sha256, size, path=path, shown=shown.get(path))
        }

    def _shown(self, model: ResolvedModel) -> dict[str, Path]:
        """Return the paths at which the view may have files of a model, by path in the model."""
        return self.environment.view.offered(model.name, {path: sha256 for path, sha256, _ in _pinned(model)})

    def _obtained(self, model: ResolvedModel, cancelled: Event) -> set[str]:
        """Return the SHA-256 of the files that need no download: in the view, or now in the store."""
        store, view, step = self.environment.store, self.environment.view, until(cancelled)
        shown = self._shown(model)
        return {
            sha256
            for path, sha256, size in _pinned(model)
            if view.stands_alone(model.name, path, sha256, size)
            or obtain(store, sha256, size, path=path, shown=shown.get(path), step=step)
        }

    def fetches(self, model: ResolvedModel, files: Iterable[ResolvedFile] | None = None) -> list[Fetch]:
        """Return the fetches for the engine: some files of a model, or all."""
        listings, view, chosen = self.resolver.listings, self.environment.view, model.files if files is None else files
        return [
            Fetch(model.name, f.path, f.size, f.digest, key_of(f), locator(listings, model, f), older(view, model, f))
            for f in chosen
        ]

    def run(self, fetches: Sequence[Fetch], tracker: Tracker, cancelled: Event) -> Sequence[Fetched | ModelpmError]:
        """Fetch files of one model into the store; return the outcome of each."""
        return self.engine.run(fetches, tick=tracker.tick, cancelled=cancelled) if fetches else ()

    def _fetch(self, task: Task, tracker: Tracker, cancelled: Event) -> dict[str, Fetched]:
        fetches = self._of(task)
        results = self.run(fetches, tracker, cancelled)
        errors = [naming(f, r) for f, r in zip(fetches, results, strict=True) if isinstance(r, ModelpmError)]
        if errors:
            raise gravest(errors)
        return {f.path: r for f, r in zip(fetches, results, strict=True) if isinstance(r, Fetched)}

    def _of(self, task: Task) -> list[Fetch]:
        return self.fetches(task.model, [step.file for step in task.plan.steps if step.fetch])


def _pinned(model: ResolvedModel) -> Iterator[tuple[str, str, int]]:
    """Yield path, sha256 and size of the files whose content is known."""
    for file in model.files:
        if file.sha256 and file.size is not None:
            yield file.path, file.sha256, file.size
