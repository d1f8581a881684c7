"""Change a project: edit its manifest, lock what drifted, fetch what is missing; then commit all of it, or nothing.

Nothing is written before everything is decided and every byte is in the store. Where another process wrote manifest or
lock meanwhile, modelpm plans again from the new state.
"""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

from modelpm.environment.environment import Environment
from modelpm.environment.link_into import say_copied
from modelpm.environment.older import reusable
from modelpm.environment.query import installed_model
from modelpm.environment.recognize import recognize
from modelpm.errors import Code, Denied, Interrupted, ModelpmError, StoreError
from modelpm.events.acts import Outcome, acting
from modelpm.events.call import Call
from modelpm.inspection.policy import both, formats
from modelpm.lockfile.file import Lock
from modelpm.lockfile.model import LockedModel
from modelpm.operations.acquire import Brought, Installer, Task
from modelpm.operations.attest import Signatures
from modelpm.operations.inspect import inspected, recognized
from modelpm.operations.intent import Intent
from modelpm.operations.lock import Locker
from modelpm.operations.lock_changes import lock_changes, unknown_change
from modelpm.project.checks import kept_current
from modelpm.project.drift import pinned, settled
from modelpm.project.files import Site, State, read_state
from modelpm.project.lock_rules import LICENSE, SIGNATURE, SOURCE
from modelpm.project.manifest import Manifest
from modelpm.project.provenance import Judge, foreign_folders, refuse
from modelpm.project.transaction import Commit, commit
from modelpm.resolution.resolve import ResolvedModel
from modelpm.results.report import Change, Result

_TRIES = 100


@dataclass(slots=True)
class Changer:
    """Changes one project.

    Attributes:
        site: The project.
        environment: Its lock, and where its files appear.
        installer: Brings models.
        judge: Holds what is locked against its specs.
        call: The user, the cancellation, and the bus for events.
    """

    site: Site
    environment: Environment
    installer: Installer
    judge: Judge
    call: Call
    locker: Locker = field(init=False)
    _signatures: Signatures = field(init=False)  # as the user's configuration has them
    _brought: dict[LockedModel, int] = field(default_factory=dict)
    _reused: dict[LockedModel, int] = field(default_factory=dict)
    _is_dry: bool = False
    _edited: bool = False  # whether the manifest gets another text

    def __post_init__(self) -> None:
        self.locker, self._signatures = Locker(self.installer, self.call), self.installer.signatures

    def change(self, intent: Intent) -> Result[Any]:
        """Do what is wanted.

        Raises:
            ModelpmError: It cannot begin. Failures of single models are in the report; then nothing is changed.
        """
        for _ in range(_TRIES):
            self.locker.errors.clear()
            report = self._attempt(intent)
            if report is not None:
                return report
        raise StoreError(f"{self.site.root} is changed by another process all the time", code=Code.LOCK_TIMEOUT)

    def _attempt(self, intent: Intent) -> Result[Any] | None:
        self._is_dry = intent.dry_run
        before = read_state(self.site, heal=True)
        text = intent.edit.edit(before) if intent.edit else before.manifest_text
        manifest = before.manifest
        self._edited = text is not None and text != before.manifest_text
        if text is not None and self._edited:
            manifest = self.site.parse(text)
        rule = manifest.rules.signature if manifest else None
        self.installer = replace(self.installer, signatures=self._signatures.of_project(rule, self.site.root))
        self.locker.installer = self.installer
        named = {manifest.dir if manifest else before.lock.dir, before.lock.dir if intent.verb != "lock" else ""}
        refuse(foreign_folders(self.site.root, named, before.lock.models), self.site.lock.name)
        wanted, lock = self._locked(manifest, before, intent)
        if self.locker.errors or lock is None:
            return self._report(intent, before, before.lock, wanted)
        # The folder of the view may have been changed by the edit.
        self.environment = self.site.environment(self.environment.store, lock.dir, self.environment.view.mode)
        self.installer = replace(self.installer, environment=self.environment)
        models = self._worded(self._selected(lock, intent), manifest)
        self._inspect_again(lock, before)
        incomplete = self.environment.incomplete(models)
        self._hold_against_catalogs([m for m in incomplete if m.name not in wanted and not self.environment.has(m)])
        if intent.dry_run:
            missing = recognize(self.environment, self.call, models)
            planned = {t.model.name: t for t in self.installer.plan([ResolvedModel.of_locked(m) for m in missing])}
            for model in missing:
                self._brought[model] = planned[model.name].plan.download
                task = planned[model.name]
                self._reused[model] = reusable(self.environment.view, task.model, task.plan)
            unknown = self.installer.plan([m for m in wanted.values() if not m.is_pinned])
            self._glance([*planned.values(), *unknown])
            return self._report(intent, before, lock, wanted, missing)
        needs = [ResolvedModel.of_locked(m) for m in models]
        with self.installer.counting_on(needs), self._audited(intent, before, lock) as outcome:
            missing, failed = self._bring(models, careful=intent.fresh is not None)
            failed += self._beyond_formats([m for m in models if m not in failed], manifest)
            if intent.given is not None:  # who signed is our own word, not that of the lock that was taken
                held = [self.installer.signatures.held(self.environment, m) for m in models if m not in failed]
                lock = lock.changed(put=held)
            if failed and lock.render() != before.lock_text:
                return self._report(intent, before, before.lock, wanted)
            placed = [m for m in missing if m not in failed]
            gone = [m.name for m in before.lock.models if lock.get(m.name) is None] if intent.verb == "remove" else []
            strays = self.environment.view.strays([m.name for m in lock.models]) if intent.exact else []
            kinds = commit(self.environment, self.site, before, Commit(text, lock, placed, [*gone, *strays]))
            if kinds is None:
                outcome.success = False
                outcome.details["note"] = "changed by another process meanwhile: planned again"
                return None
            self.environment.register()
        self.installer.free_leftovers()
        view = self.environment.view
        say_copied(kinds, view.mode, view.root, self.call.bus)
        return self._report(intent, before, lock, wanted, placed, strays)

    def _locked(
        self, manifest: Manifest | None, before: State, intent: Intent
    ) -> tuple[dict[str, ResolvedModel], Lock | None]:
        """Resolve what drifted; a dry run returns what it could not lock, and a lock without it."""
        if manifest is None:
            lock = before.lock if intent.given is None else intent.given
            refuse(self.judge.violations(lock.models, None), self.site.lock.name)
            return {}, lock
        kept = self._kept(manifest, before, intent)
        if intent.locked:
            return {}, before.lock
        names = sorted({*manifest.models.keys() - kept.keys(), *(intent.fresh or ())})
        fresh = intent.fresh is not None
        there = {m.name: m for m in before.lock.models if fresh or m.requirement != manifest.models.get(m.name)} | kept
        wanted = self.locker.resolve(names, there, manifest, before.merged, fresh=fresh)
        if self.locker.errors:
            return wanted, None
        self.installer.check_lock(before.lock, wanted.values())
        again = intent.also if intent.fresh is not None else ()
        if fresh:
            self.locker.say_untold([m for m in wanted.values() if m.name not in again], there)
        if intent.dry_run:
            known = [m for m in wanted.values() if m.is_pinned]
            return wanted, settled(manifest, before.lock, [m.lock({}) for m in known])
        new = self.locker.pin(wanted.values(), there, again)
        return wanted, None if self.locker.errors else settled(manifest, before.lock, new.values())

    def _kept(self, manifest: Manifest, before: State, intent: Intent) -> dict[str, LockedModel]:
        """Return the models that stay locked, by name; each was checked against its spec and the manifest's rules."""
        kept = {name: m for name, m in pinned(manifest, before.lock).items() if name not in (intent.fresh or ())}
        found = self.judge.violations(kept.values(), manifest)
        if intent.verb == "lock":
            for violation in [o for o in found if o.kind in {SOURCE, LICENSE, SIGNATURE}]:
                self.call.bus.warn(f"{violation}: it is locked again")
                kept.pop(violation.name, None)
        refuse([violation for violation in found if violation.name in kept], self.site.lock.name)
        for model in kept.values():
            manifest.check(model, [f.path for f in model.files])
        if intent.verb == "lock":
            for text in self.judge.drifted(kept.values(), self.site.lock.name):
                self.call.bus.warn(text)
        return kept

    def _hold_against_catalogs(self, models: Sequence[LockedModel]) -> None:
        refused, moved = self.judge.entries(models)
        for text in [*moved, *self.judge.drifted(models, self.site.lock.name)]:
            self.call.bus.warn(text)
        refuse(refused, self.site.lock.name)

    def _worded(self, models: Sequence[LockedModel], manifest: Manifest | None) -> tuple[LockedModel, ...]:
        """Return models with what the manifest lets them hold; without one, the lock's own word counts."""
        if manifest is None:
            return tuple(models)
        return tuple(replace(m, allow=both(manifest.words(m.name), ())) for m in models)

    def _inspect_again(self, lock: Lock, before: State) -> None:
        """Inspect the bytes of models that may hold less than before, where they are here.

        Raises:
            ModelpmError: As :func:`modelpm.operations.inspect.inspected`.
        """
        held = {m.name: m for m in before.lock.models}
        narrowed = [m for m in lock.models if m.name in held and set(held[m.name].allow) - set(m.allow)]
        absent = {m.name for m in self.environment.incomplete(narrowed)}
        for model in narrowed:
            if model.name not in absent:
                inspection, cancelled = self.installer.inspection, self.call.cancelled
                inspected(inspection, self.environment, model, model.allow, cancelled=cancelled)

    def _selected(self, lock: Lock, intent: Intent) -> tuple[LockedModel, ...]:
        if not intent.sync:
            return ()
        kept = () if intent.only else kept_current(lock, self.environment, intent.groups, everything=intent.everything)
        return tuple(m for m in lock.models if m in kept or m.name in intent.also)

    def _bring(self, models: Sequence[LockedModel], *, careful: bool) -> tuple[list[LockedModel], list[LockedModel]]:
        """Fetch what is missing; return the models that were not complete, and those that still are not.

        Args:
            models: Which.
            careful: Whether the first bytes of a file that moves to another release are looked at before it is fetched.
        """
        inspection, signatures = self.installer.inspection, self.installer.signatures
        missing = recognized(inspection, signatures, self.environment, self.call, models)
        failed = list[LockedModel]()
        planned = self.installer.plan([ResolvedModel.of_locked(m) for m in missing])
        self.installer.check_space(planned)
        brought = list[Brought]()
        try:
            for model, task in zip(missing, planned, strict=True):
                try:
                    if careful:
                        self.installer.glance(task)
                    brought.append(self.installer.bring(task, call=self.call))
                    self._brought[model] = self._brought.get(model, 0) + brought[-1].downloaded
                    self._reused[model] = brought[-1].reused
                except Interrupted:
                    raise
                except ModelpmError as error:
                    self.locker.errors.append(error)
                    failed.append(model)
        finally:
            self.installer.show_anew(brought, self.call.bus)
        return missing, failed

    def _glance(self, tasks: Sequence[Task]) -> None:
        """Collect what the first bytes of files at their sources refuse."""
        for task in tasks:
            try:
                self.installer.glance(task)
            except Interrupted:
                raise
            except ModelpmError as error:
                self.locker.errors.append(error)

    def _beyond_formats(self, models: Sequence[LockedModel], manifest: Manifest | None) -> list[LockedModel]:
        """Return the models whose bytes are of a format that the manifest does not allow."""
        failed = list[LockedModel]()
        if manifest is None or not manifest.rules.formats:
            return failed
        for model in models:
            inspection, cancelled = self.installer.inspection, self.call.cancelled
            found = inspected(inspection, self.environment, model, model.allow, cancelled=cancelled)
            try:
                manifest.check_formats(model.name, formats(found))
            except Denied as error:
                self.locker.errors.append(error)
                failed.append(model)
        return failed

    def _audited(self, intent: Intent, before: State, lock: Lock) -> AbstractContextManager[Outcome]:
        details = {
            "lock": [c.action + " " + c.name for c in lock_changes(before.lock, lock)][:100],
            "models": len(lock.models),
        }
        return acting(
            self.call.bus,
            intent.verb,
            resource_type="project",
            resource_id=str(self.site.root),
            user=self.call.user,
            details=details,
        )

    def _report(
        self,
        intent: Intent,
        before: State,
        lock: Lock,
        wanted: dict[str, ResolvedModel],
        placed: Sequence[LockedModel] = (),
        strays: Sequence[str] = (),
    ) -> Result[Any]:
        changes = list(lock_changes(before.lock, lock))
        if intent.dry_run and not self.locker.errors:
            again = intent.also if intent.fresh is not None else ()
            found = (unknown_change(m, before.lock.get(m.name), again=m.name in again) for m in wanted.values())
            changes += [change for change in found if change is not None]
        for model in placed:
            row = installed_model(self.environment, model)
            downloaded = self._brought.get(model, 0) + self.locker.downloaded.get(model.name, 0)
            action, reused = "install" if downloaded else "link", self._reused.get(model, 0)
            changes.append(Change.of(action, row, downloaded=downloaded, reused=reused, path=row.path))
        changes += [Change.of("unlink", name) for name in strays]
        action = (
            "unchanged" if lock.render() == before.lock_text else "created" if before.lock_text is None else "updated"
        )
        healed = _healed(before, wanted, self.locker.torn, self.site.lock.name)
        return Result(
            changes=tuple(changes),
            models=tuple(installed_model(self.environment, m) for m in lock.models),
            errors=tuple(self.locker.errors),
            dry_run=intent.dry_run,
            lock=self.site.lock,
            lock_action="unchanged" if self.locker.errors else action,
            notes=(
                *healed,
                *self.locker.notes,
                *self._files("" if healed else action, changes),
            ),
        )

    def _files(self, action: str, changes: Sequence[Change]) -> tuple[str, ...]:
        """Say which files get another text, where no change of a model says it."""
        names = [self.site.manifest.name] if self._edited and self.site.manifest else []
        names += [self.site.lock.name] if action == "updated" else []
        if not names or self.locker.errors or any(change.action.startswith("lock-") for change in changes):
            return ()
        intent = "Would update" if self._is_dry else "Updated"
        return (f"{intent} {' and '.join(names)}",)


def _healed(before: State, wanted: Collection[str], torn: Collection[str], lock: str) -> tuple[str, ...]:
    """Say what came of a merge."""
    if before.merged is None:
        return ()
    again = [name for name in wanted if name in torn]
    pinned = [name for name in wanted if name in before.merged.doubts and name not in torn]
    kept = len(before.lock.models) + len(pinned)
    return (f"Repaired the merge conflict in {lock}: kept {kept}, locked {len(again)} again",)
