"""The library's projects: ``models.toml`` and ``models.lock`` of a folder, and the same verbs as the user's models."""

import threading
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelpm.environment.environment import Environment
from modelpm.environment.query import installed_model, models_named
from modelpm.errors import Code, ModelpmError, UsageError
from modelpm.library.arguments import as_list
from modelpm.library.reader import Reader
from modelpm.library.run import Run
from modelpm.library.services import Services
from modelpm.project.checks import check_name, drifted, kept_current, no_lock, stray_warning, unsynced
from modelpm.project.discovery import FILE
from modelpm.project.drift import Reason, drift, pinned, settled
from modelpm.project.files import Site, State, read_state
from modelpm.project.lock_rules import Violation
from modelpm.project.provenance import foreign_folders, refuse
from modelpm.results.report import Outdated, Result

if TYPE_CHECKING:  # start-up: what has nothing to do needs neither plugins nor the network
    from modelpm.events.subscribers import OnProgress
    from modelpm.operations.attest import Signatures


class Project(Reader):
    """A folder with a manifest, a lock, or both; see :meth:`modelpm.library.manager.Manager.project`.

    Args:
        site: Where it is.
        services: The services that it uses.

    Attributes:
        site: Where it is.
    """

    def __init__(self, site: Site, services: Services) -> None:
        self.site, self._services = site, services

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.site.root

    @property
    def environment(self) -> Environment:
        """The lock, and the folder in which the files appear."""
        return self._services.environment_of(self.site, self._text_only.read().dir)

    @property
    def signatures(self) -> "Signatures":
        """The judge of signatures, as the manifest or else the user's configuration says."""
        return self._services.signatures_of(self.site, read_state(self.site, heal=False).manifest)

    @property
    def verifies_load(self) -> bool:
        """Whether ``verify`` opens this project's models in real runtimes."""
        manifest = read_state(self.site, heal=False).manifest
        return manifest is not None and manifest.rules.verify_load

    @property
    def _text_only(self) -> Environment:
        """The lock, whatever folder it names."""
        return self._services.environment_of(self.site, "")

    @property
    def as_root(self) -> Environment:
        """The environment as a root that needs blobs, even if its lock is damaged or in conflict."""
        try:
            return self.environment
        except ModelpmError:
            return self._text_only

    # ------------------------------------------------------------------ what there is

    def drift(self) -> tuple[Reason, ...]:
        """Return why :meth:`lock` would change anything; reads the two files and nothing else.

        Raises:
            CheckFailedError: The lock does not exist.
            UsageError: One of the files is damaged, has conflict markers, or is of a newer version.
        """
        return self._reasons(read_state(self.site, heal=False))

    def check_lock(self) -> Result[Any]:
        """Check the lock against the manifest and its rules; offline, and nothing is changed.

        Raises:
            CheckFailedError: :meth:`lock` would change something, or the lock breaks a rule; one line per reason.
            Denied: A rule of the manifest refuses what is locked.
        """
        self._needs_manifest()
        state = read_state(self.site, heal=False)
        self._refuse_drift(state, "lock --check")
        self._check(state)
        return self._unchanged(state)

    def digest(self) -> str:
        """Return a text that changes exactly when the locked bytes change, for the key of a cache.

        Raises:
            CheckFailedError: The lock does not exist.
        """
        import hashlib

        if self.environment.text() is None:
            raise no_lock(self.site)
        lines = (f"{m.digest}  {m.name}\n" for m in self.environment.read().models)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    # ------------------------------------------------------------------ change it

    def add(
        self,
        specs: str | Sequence[str],
        *,
        name: str | None = None,
        group: str | None = None,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        allow_pickle: bool = False,
        allow_code: bool = False,
        no_projector: bool = False,
        dry_run: bool = False,
        on_progress: "OnProgress | None" = None,
        user: str | None = None,
        cancelled: threading.Event | None = None,
    ) -> Result[Any]:
        """Add models to the manifest, lock and sync; if anything fails, manifest and lock do not change.

        Args:
            specs: Specs as on the command line, or one spec.
            name: A name for the one model, as ``--as``.
            group: The group to add them to.
            include: Globs of the files to take.
            exclude: Globs of the files to leave out.
            allow_pickle: Whether they may hold pickles that only rebuild data; manifest and lock record it.
            allow_code: Whether they may hold anything that can run code when loaded; manifest and lock record it.
            no_projector: Whether to leave out the projector of a vision or audio model.
            dry_run: Only report what would be done.
            on_progress: Called with :class:`Progress` values, at most ten a second; may be a coroutine function.
            user: The user whom the audit log names.
            cancelled: Set it from another thread to stop within a second; downloaded bytes are kept.

        Raises:
            UsageError: A name is taken by another spec, or one name is given for several.
        """
        from modelpm.inspection.policy import words
        from modelpm.lockfile.relative import absolute_requirement
        from modelpm.lockfile.requirement import Requirement
        from modelpm.operations.add import Addition

        run = Run(self._services, self.site, self._services.call(on_progress, user, cancelled), dry_run)
        several = as_list(specs)[0]
        check_name(name, several, "add")
        self._needs_manifest()
        options = tuple(include), tuple(exclude), ("projector",) if no_projector else ()
        requirements = tuple(dict.fromkeys(absolute_requirement(Requirement(s, *options), self.root) for s in several))
        allow = words(pickle=allow_pickle, code=allow_code)
        addition = Addition(self.site, run.locker, requirements, name, group, allow)
        state = read_state(self.site, heal=True)
        if not state.healed and addition.edit(state) == state.manifest_text and self._settled(state):
            environment = self._services.environment_of(self.site, state.lock.dir)
            names = {m.name for m in kept_current(state.lock, environment)} | set(addition.names)
            environment.stay_registered()
            if not run.missing(environment, [m for m in state.lock.models if m.name in names], state.manifest):
                self._check(state)
                return self._unchanged(state)
        return run.report("add", edit=addition, also=addition.names)

    def remove(self, names: str | Sequence[str], *, dry_run: bool = False, user: str | None = None) -> Result[Any]:
        """Remove models from the manifest, the lock and the view; their bytes stay until ``prune``.

        Raises:
            NotFound: The manifest has no such model.
        """
        from modelpm.operations.add import Removal

        self._needs_manifest()
        run = Run(self._services, self.site, self._services.call(user=user), dry_run)
        return run.report(
            "remove", edit=Removal(self.site, tuple(as_list(names)[0]), self._services.environment), only=True
        )

    def lock(
        self,
        *,
        dry_run: bool = False,
        on_progress: "OnProgress | None" = None,
        user: str | None = None,
        cancelled: threading.Event | None = None,
    ) -> Result[Any]:
        """Lock the models that drifted; every other block of the lock stays as it is, to the byte."""
        run = Run(self._services, self.site, self._services.call(on_progress, user, cancelled), dry_run)
        self._needs_manifest()
        state = read_state(self.site, heal=True)
        if not state.healed and self._settled(state) and self._is_complete(state):
            self._check(state)
            self._services.environment_of(self.site, state.lock.dir).stay_registered()
            for text in self._services.judge.drifted(state.lock.models, self.site.lock.name):
                self._services.bus.warn(text)
            return self._unchanged(state)
        return run.report("lock", sync=False)

    def sync(
        self,
        *,
        locked: bool = False,
        frozen: bool = False,
        check: bool = False,
        exact: bool = False,
        groups: Collection[str] = (),
        all_groups: bool = False,
        only: Collection[str] = (),
        dry_run: bool = False,
        on_progress: "OnProgress | None" = None,
        user: str | None = None,
        cancelled: threading.Event | None = None,
    ) -> Result[Any]:
        """Lock the models that drifted, then make the view show the lock; never upgrade, never delete bytes.

        Args:
            locked: Fail if any model drifted, before anything is done.
            frozen: Use the lock as it is; the manifest is not opened.
            check: Fail if anything would be done.
            exact: Remove from the view what is not in the lock.
            groups: Groups to select besides the default ones.
            all_groups: Whether to select every group.
            only: Names of the only models to sync; none means all selected models.
            dry_run: Only report what would be done.
            on_progress: As of :meth:`add`.
            user: As of :meth:`add`.
            cancelled: As of :meth:`add`.

        Raises:
            CheckFailedError: A check failed.
        """
        if locked and frozen:
            raise UsageError("`--locked` and `--frozen` exclude each other", hints=["`--frozen` ignores models.toml"])
        site = replace(self.site, manifest=None) if frozen else self.site
        run = Run(self._services, site, self._services.call(on_progress, user, cancelled), dry_run)
        state = read_state(site, heal=not (locked or frozen or check))
        environment = self._services.environment_of(self.site, state.lock.dir)
        what = "sync --check" if check else "sync --locked" if locked else ""
        if what:
            self._refuse_drift(state, what)
        elif site.manifest is None:
            self._reasons(state)  # without a lock, nothing can be done
        self._check_groups(state, groups)
        if not state.healed and (site.manifest is None or self._settled(state)):
            models = kept_current(state.lock, environment, groups, everything=all_groups or bool(only))
            models = tuple(m for m in models if not only or m.name in only)
            strays = environment.view.strays([m.name for m in state.lock.models])
            if not check:
                environment.stay_registered()  # first: a blob that no root needs could be freed meanwhile
            missing = run.missing(environment, models, state.manifest)
            to_fetch = [m for m in missing if not environment.has(m)]
            if what and (refused := self._services.judge.entries(to_fetch)[0]):
                raise drifted(self.site, refused, f"`{what}` changes nothing")
            if check and (missing or (exact and strays)):
                raise unsynced(missing, strays if exact else [])
            if not missing and not (exact and strays):
                self._check(state)
                return self._unchanged(state, strays=strays)
        everything, wanted = all_groups, {"also": only, "only": bool(only)}
        return run.report("sync", groups=groups, everything=everything, locked=locked, exact=exact, **wanted)

    def upgrade(
        self,
        names: str | Sequence[str] = (),
        *,
        latest: bool = False,
        sync: bool = True,
        dry_run: bool = False,
        on_progress: "OnProgress | None" = None,
        user: str | None = None,
        cancelled: threading.Event | None = None,
    ) -> Result[Any]:
        """Upgrade models to the newest version that their specs allow; every other block of the lock stays as it is.

        Args:
            names: Names of models, or one name; none means all.
            latest: Whether to rewrite specs that do not allow the newest release.
            sync: Whether to update the view, too.
            dry_run: Only report what would be done.
            on_progress: As of :meth:`add`.
            user: As of :meth:`add`.
            cancelled: As of :meth:`add`.

        Raises:
            NotFound: The manifest has no such model.
        """
        from modelpm.operations.add import Rewriting, check_names
        from modelpm.operations.upgrade import held_back

        run = Run(self._services, self.site, self._services.call(on_progress, user, cancelled), dry_run)
        self._needs_manifest()
        state = read_state(self.site, heal=True)
        asked = as_list(names)[0]
        fresh = check_names(state, asked) or tuple(state.manifest.models if state.manifest else ())
        edit = Rewriting(self.site, run.locker.installer.resolver, fresh) if latest else None
        report = run.report("upgrade", edit=edit, fresh=fresh, sync=sync, also=tuple(asked), only=bool(asked))
        models = [m for m in self.environment.read().models if m.name in fresh] if not run.dry_run else []
        held = held_back(run.locker.installer.resolver, models)
        return replace(report, warnings=(*report.warnings, *held))

    def outdated(self, names: str | Sequence[str] = ()) -> Result[Outdated]:
        """Return a row for each model with a newer version, and an error for each that could not be checked."""
        from modelpm.operations.upgrade import outdated

        services = self._services
        result = outdated(services.resolver(), models_named(self.environment, as_list(names)[0]), services.bus)
        return result.with_warnings(services.warnings.taken())

    # ------------------------------------------------------------------ the parts

    def _needs_manifest(self) -> None:
        if self.site.manifest is None:
            raise UsageError(
                f"{self.site.root} has a {self.site.lock.name}, but no {FILE}",
                code=Code.NO_MANIFEST,
                hints=["`modelpm sync --frozen` uses the lock as it is; `modelpm init` begins a manifest"],
            )

    def _settled(self, state: State) -> bool:
        return (
            state.manifest is not None
            and state.lock_text is not None
            and not drift(state.manifest, state.lock)
            and not any(set(m.allow) - state.manifest.words(m.name) for m in state.lock.models)
            and state.lock.render() == state.lock_text
        )

    def _reasons(self, state: State) -> tuple[Reason, ...]:
        if state.lock_text is None:
            raise no_lock(self.site)
        reasons = drift(state.manifest, state.lock) if state.manifest else ()
        if state.manifest and not reasons and state.lock.render() != state.lock_text:
            reasons = (Reason("", f"{self.site.lock.name} is not written as modelpm writes it"),)
        return reasons

    def _refuse_drift(self, state: State, what: str) -> None:
        if reasons := (*self._reasons(state), *self._violations(state)):
            raise drifted(self.site, reasons, f"`{what}` changes nothing")

    def _is_complete(self, state: State) -> bool:
        """Whether locking would not change the lock: it says nothing it may not, and has every key of this version."""
        manifest = state.manifest
        return (
            manifest is not None
            and settled(manifest, state.lock).render() == state.lock_text
            and not self._violations(state)
        )

    def _violations(self, state: State) -> list[Violation]:
        """Return what the lock says and may not."""
        manifest, lock = state.manifest, state.lock
        models = tuple(pinned(manifest, lock).values()) if manifest else lock.models
        named = {lock.dir, manifest.dir if manifest else ""}
        return [*self._services.judge.violations(models, manifest), *foreign_folders(self.root, named, models)]

    def _check(self, state: State) -> None:
        """Refuse a lock that says what it may not, or that the manifest's rules refuse."""
        refuse(self._violations(state), self.site.lock.name)
        for model in state.lock.models if state.manifest else ():
            state.manifest.check(model, [f.path for f in model.files])  # type: ignore[union-attr]

    def _check_groups(self, state: State, groups: Collection[str]) -> None:
        known = set(state.manifest.groups) if state.manifest else {g for m in state.lock.models for g in m.groups}
        for group in groups:
            if group not in known:
                there = f"there are: {', '.join(sorted(known))}" if known else "there are none"
                raise UsageError(f"unknown group `{group}`", hints=[there])

    def _unchanged(self, state: State, *, strays: Sequence[str] = ()) -> Result[Any]:
        environment = self._services.environment_of(self.site, state.lock.dir)
        return Result(
            models=tuple(installed_model(environment, m) for m in state.lock.models),
            warnings=(*self._services.warnings.taken(), *stray_warning(environment, strays)),
            lock=self.site.lock,
            lock_action="unchanged",
        )
