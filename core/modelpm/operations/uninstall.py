"""Uninstall: remove from lock and view; then free what nothing else needs, and say what stays and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from modelpm.api.events import Bus
from modelpm.environment.environment import Environment
from modelpm.environment.query import find_installed
from modelpm.environment.roots import Roots
from modelpm.errors import Code, ModelpmError, NotFound, StoreError
from modelpm.events.acts import acting, tell_failure
from modelpm.lockfile.model import LockedModel
from modelpm.results.report import Change, Result
from modelpm.store.gc import reserve
from modelpm.text.untrusted import few


@dataclass(frozen=True, slots=True)
class Freeing:
    """The plan for the blobs of removed models, in a dry run and in the act.

    Attributes:
        blobs: SHA-256 of the blobs that nothing else needs.
        note: Why the others stay.
    """

    blobs: tuple[str, ...]
    note: str


@dataclass(frozen=True, slots=True)
class Uninstaller:
    """Uninstalls models of an environment.

    Attributes:
        environment: The environment.
        bus: Gets the acts.
        project: The project around the current folder, which counts even if the store does not know it.
        with_dir: Whether to remove also the files that ``install --dir`` put into other folders.
    """

    environment: Environment
    bus: Bus
    project: Environment | None = None
    with_dir: bool = False

    def each(self, names: Sequence[str], *, dry_run: bool, user: str | None) -> Result[Any]:
        """Uninstall several models, or report it in a dry run; if one fails, the others are still removed."""
        changes: list[Change] = []
        errors: list[ModelpmError] = []
        if not dry_run:
            reserve.spend(self.environment.store)
        leaving = list(dict.fromkeys(names))
        for name in tuple(leaving):
            leaving.remove(name)
            try:
                if dry_run:
                    gone = [change.name for change in changes]
                    changes.append(self._told(find_installed(self.environment, name), gone, leaving))
                else:
                    changes.append(self._one(name, leaving, user=user))
            except ModelpmError as error:
                found = self._of_the_project(name) if error.code == Code.NOT_INSTALLED else None
                errors.append(found or error)
                errors[-1].details.setdefault("name", name)
        return Result(changes=tuple(changes), errors=tuple(errors), dry_run=dry_run)

    def _of_the_project(self, name: str) -> ModelpmError | None:
        """Return the error for a model that is the project's; None if it is not."""
        if self.project is None or self.project.read().get(name) is None:
            return None
        return NotFound(
            f"`{name}` is a model of this project, and not one of your own",
            code=Code.NOT_INSTALLED,
            hints=[f"to remove it from the project: modelpm remove {name}"],
        )

    def _one(self, name: str, leaving: Sequence[str], *, user: str | None) -> Change:
        try:
            model = find_installed(self.environment, name)
        except ModelpmError as error:
            shown = (
                self._uninstall_shown(name, user=user) if error.code == Code.NOT_INSTALLED and self.with_dir else None
            )
            if shown is None:
                tell_failure(self.bus, "uninstall", "model", name, error, user=user)
                raise
            return shown
        return self._uninstall(model, leaving, user=user)

    def _uninstall(self, model: LockedModel, leaving: Sequence[str], *, user: str | None) -> Change:
        """Uninstall one model and free its blobs; the note does not name models of ``leaving``, which are next."""
        with acting(
            self.bus,
            "uninstall",
            resource_type="model",
            resource_id=model.model,
            user=user,
            details={"name": model.name},
        ) as outcome:
            self.environment.stay_registered()  # the registry notes what the lock holds before the lock changes
            changed = self.environment.drop(model.name)
            shown, kept = self._shown(model.name, remove=self.with_dir)
            freed, note = self._free([f.sha256 for f in model.files], model.name, leaving)
            outcome.details.update(digest=model.digest, freed=freed)
        return Change.of("uninstall", model, freed=freed, note=_joined(note, _left([*changed, *kept]), shown))

    def _uninstall_shown(self, name: str, *, user: str | None) -> Change | None:
        """Remove the files of an uninstalled model from other folders; None if there are none."""
        shelves = self._roots.shelves_of(name)
        if not shelves:
            return None
        rows = (row for shelf in shelves for row in shelf.record.entries.items())
        digests = {entry[0] for key, entry in rows if key.startswith(f"{name}/") and entry[0]}
        with acting(
            self.bus, "uninstall", resource_type="model", resource_id=name, user=user, details={"name": name}
        ) as outcome:
            shown, kept = self._shown(name, remove=True)
            freed, note = self._free(sorted(digests), name)
            outcome.details.update(freed=freed)
        return Change.of("uninstall", name, model=name, freed=freed, note=_joined(note, _left(kept), shown))

    def _told(self, model: LockedModel, before: Sequence[str], leaving: Sequence[str]) -> Change:
        """Return the change that :meth:`_uninstall` makes after the models ``before`` are removed."""
        gone = [*before, model.name]
        try:
            freeing = self._freeing([f.sha256 for f in model.files], gone, gone if self.with_dir else ())
            going = self.environment.view.going(*gone)
            freed = sum(self.environment.store.freed(blob, going) for blob in freeing.blobs)
            note = self._staying([f.sha256 for f in model.files], freeing, [*gone, *leaving])
        except StoreError as error:
            freed, note = 0, _stays(error)
        return Change.of("uninstall", model, freed=freed, note=_joined(note, self._shown(model.name, remove=False)[0]))

    def _freeing(self, digests: Sequence[str], gone: Sequence[str], dirs_of: Sequence[str] = ()) -> Freeing:
        """Plan which of some blobs to free.

        Args:
            digests: Their SHA-256.
            gone: Models that are removed, or will be.
            dirs_of: Those of them whose files in other folders will be removed, too; not those already removed, because
                a file that stayed there still needs its blob.

        Raises:
            StoreError: It is unknown what a root needs.
        """
        needed = self._roots.others(gone, without_dirs_of=dirs_of)
        return Freeing(tuple(d for d in dict.fromkeys(digests) if d not in needed), _kept(digests, needed))

    def _staying(self, digests: Sequence[str], freeing: Freeing, gone: Sequence[str]) -> str:
        """Say why blobs stay once all models of the run are out, not after the first of them."""
        return self._freeing(digests, gone, gone if self.with_dir else ()).note if freeing.note else ""

    @property
    def _roots(self) -> Roots:
        return Roots(self.environment, () if self.project is None else (self.project,))

    def _shown(self, name: str, *, remove: bool) -> tuple[str, list[str]]:
        """Report the files of a model in other folders; return those that stay although they should be removed."""
        parts, kept, apps = [], list[str](), list[str]()
        for shelf in self._roots.shelves_of(name):
            files = shelf.files_of(name)
            count = f"{len(files)} files" if len(files) > 1 else "1 file"
            if remove:
                kept += map(str, shelf.drop(name))
                parts.append(f"{count} removed from {shelf.folder}")
            elif self.with_dir:
                parts.append(f"{count} would be removed from {shelf.folder}")
            elif shelf.app:
                apps.append(shelf.app)
            else:
                verb = "stay" if len(files) > 1 else "stays"
                parts.append(f"{count} {verb} in {shelf.folder}: `modelpm uninstall {name} --with-dir` removes them")
        if apps:
            where = ", ".join(sorted(set(apps)))
            parts.append(f"it stays linked for {where}: `modelpm uninstall {name} --with-dir` removes it there")
        return "; ".join(parts), kept

    def _free(self, digests: Sequence[str], name: str, leaving: Sequence[str] = ()) -> tuple[int, str]:
        store = self.environment.store
        try:
            with store.lock("store", timeout=0.0):
                if self.environment.lock_path.exists():
                    self.environment.register()
                freeing = self._freeing(digests, [name])
                note = self._staying(digests, freeing, [name, *leaving])
                return sum(map(store.remove, freeing.blobs)), note
        except StoreError as error:
            return 0, _stays(error)


def _joined(*notes: str) -> str:
    return "; ".join(filter(None, notes))


def _left(keys: list[str]) -> str:
    return f"{few(keys)} stayed where it was: it was changed since modelpm made it" if keys else ""


def _stays(error: StoreError) -> str:
    """Return why nothing was freed; the model is removed anyway.

    Raises:
        StoreError: The failure has another cause.
    """
    if error.code == Code.LOCK_TIMEOUT:
        return "its bytes stay for now: another modelpm is at work; `modelpm prune` frees them later"
    if error.code == Code.ROOT_UNREADABLE:
        return f"its bytes stay for now: {error}; `modelpm prune` frees them later"
    raise error


def _kept(digests: Sequence[str], needed: dict[str, str]) -> str:
    kept = [sha256 for sha256 in digests if sha256 in needed]
    if not kept:
        return ""
    who = sorted({needed[sha256] for sha256 in kept})
    count = f"{len(kept)} files stay" if len(kept) > 1 else "1 file stays"
    return f"{count} in the store: needed by {', '.join(who)}"
