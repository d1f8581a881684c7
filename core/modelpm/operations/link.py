"""Link installed models into another program's folder, and unlink them; both are audited."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelpm import disk
from modelpm.api.events import Bus
from modelpm.api.exporting import Alias, Entry, Link, Text
from modelpm.api.stages import Work
from modelpm.disk import system
from modelpm.environment.shelf import Placed, Shelf
from modelpm.environment.spots import Spot
from modelpm.errors import Code, ModelpmError, NotFound, StoreError, UsageError
from modelpm.events.acts import acting, tell_failure
from modelpm.lockfile.model import LockedModel
from modelpm.operations.apps import Apps
from modelpm.results.report import Change, Result
from modelpm.store import Store
from modelpm.text.human import binary_size
from modelpm.text.untrusted import few, printable

_MARGIN = 1 << 20


@dataclass(frozen=True, slots=True)
class AppLinker:
    """Links models for programs.

    Attributes:
        apps: The programs.
        bus: Gets the acts and the warnings.
        user: The user whom the audit log names.
    """

    apps: Apps
    bus: Bus
    user: str | None

    def link(
        self, app: str, models: Sequence[LockedModel], given: Path | None, *, every: bool, dry_run: bool
    ) -> Result[Any]:
        """Link models into a program's folder; if one fails, the others are still linked.

        Args:
            app: The program.
            models: The models.
            given: Its folder; None means the folder that modelpm finds.
            every: Whether to skip models that the program cannot use, because the user did not name them.
            dry_run: Whether only to report what would be done.

        Raises:
            UsageError: No plugin knows the program.
            NotFound: Its folder does not exist.
        """
        exporter = self.apps.exporter(app)
        folder = self.apps.folder(app, exporter, given, "link")
        changes, errors, notes = list[Change](), list[ModelpmError](), list[str]()
        do = self._told if dry_run else self._linked
        for model in models:
            try:
                entries = exporter.plan(*self.apps.exported(model), folder)
                changes.append(do(app, model, entries, folder))
            except ModelpmError as error:
                if every and isinstance(error, UsageError):
                    notes.append(f"left out {model.name}: {error.message}")
                else:
                    error.details.setdefault("name", model.name)
                    errors.append(error)
        return Result(tuple(changes), errors=tuple(errors), dry_run=dry_run, notes=tuple(notes))

    def unlink(self, app: str, names: Sequence[str], given: Path | None) -> Result[Any]:
        """Remove models from every known folder of a program; no names mean all.

        Raises:
            UsageError: No plugin knows the program, and no model was linked for it.
        """
        shelves = self.apps.shelves(app, given)
        if not shelves:
            self.apps.exporter(app)  # report a misspelled name first
        changes, errors = list[Change](), list[ModelpmError]()
        wanted = list(dict.fromkeys(names)) or sorted({name for shelf in shelves for name in shelf.names})
        for name in wanted:
            having = [shelf for shelf in shelves if name in shelf.names]
            if not having:
                errors.append(_not_linked(app, name, given))
                tell_failure(self.bus, "unlink", "model", name, errors[-1], user=self.user)
            for shelf in having:
                try:
                    changes.append(self._unlinked(app, name, shelf))
                except ModelpmError as error:
                    error.details.setdefault("name", name)
                    errors.append(error)
        return Result(tuple(changes), errors=tuple(errors))

    def _linked(self, app: str, model: LockedModel, entries: Sequence[Entry], folder: Path) -> Change:
        environment = self.apps.environment
        store, details = environment.store, {"app": app, "folder": str(folder)}
        with acting(
            self.bus, "link", resource_type="model", resource_id=model.model, user=self.user, details=details
        ) as outcome:
            environment.stay_registered()
            shelf = Shelf.at(folder, store, environment.root, app)
            if not shelf.is_kept:
                raise StoreError(
                    f"{store.root} cannot be written, so it cannot remember what {folder} uses",
                    code=Code.NO_PERMISSION,
                    hints=["`modelpm doctor` says why"],
                )
            with store.lock("store", shared=True), self.bus.during(Work.LINKING, model.name):  # nothing is freed
                spots = spots_of(model, entries, lambda text: store.receive([text.encode()]))
                _check_space(store, shelf.folder, spots)
                placed = shelf.place(model.name, spots)
            outcome.details.update(digest=model.digest, files=list(placed.made[:100]))
        self._warn_of(model, placed, folder)
        return Change.of("link" if placed.made else "reuse", model, path=folder)

    def _warn_of(self, model: LockedModel, placed: Placed, folder: Path) -> None:
        if "copy" in placed.kinds and any(file.size > _MARGIN for file in model.files):
            self.bus.warn(f"files of {model.name} were copied to {folder}: it can share none with the store")
        if placed.left:
            self.bus.warn(f"left as they are in {folder}: {few(placed.left)}, which {model.name} does not need")

    def _told(self, app: str, model: LockedModel, entries: Sequence[Entry], folder: Path) -> Change:
        new = [entry.path for entry in entries if not os.path.lexists(folder / entry.path)]
        note = f"would appear for {app}: {few(new)}" if new else ""
        return Change.of("link" if new else "reuse", model, path=folder, note=note)

    def _unlinked(self, app: str, name: str, shelf: Shelf) -> Change:
        details = {"app": app, "folder": str(shelf.folder)}
        with acting(
            self.bus, "unlink", resource_type="model", resource_id=name, user=self.user, details=details
        ) as outcome:
            kept = shelf.drop(name)
            outcome.details.update(kept=list(map(str, kept[:100])))
        note = f"{few([str(path) for path in kept])} stayed: it was changed since modelpm made it" if kept else ""
        return Change.of("unlink", name, path=shelf.folder, note=note)


def spots_of(model: LockedModel, entries: Sequence[Entry], keep: Callable[[str], tuple[str, int]]) -> list[Spot]:
    """Return the entries that a plan makes.

    Args:
        model: The model.
        entries: The plan, checked.
        keep: Stores a text as a blob; returns its SHA-256 and its size.
    """
    files, links = {file.path: file for file in model.files}, {e.path: e for e in entries if isinstance(e, Link)}
    spots = []
    for entry in entries:
        match entry:
            case Link(path, file, is_edited):
                found, mode = files[file], "apart" if is_edited else "file"
                spots.append(Spot(path, found.sha256, found.size, mode, is_writable=is_edited))
            case Text(path, text, yields):
                spots.append(Spot(path, *keep(text), "apart", is_writable=True, yields=yields))
            case Alias(path, target):
                found = files[links[target].file]
                spots.append(Spot(path, found.sha256, found.size, target=target))
    return spots


def _check_space(store: Store, folder: Path, spots: Sequence[Spot]) -> None:
    """Refuse copies that do not fit, before the first.

    Raises:
        StoreError: ``no_space``; or the folder cannot be written.
    """
    from modelpm.store.blobs.probe import link_kind

    new = [spot for spot in spots if not spot.target and not os.path.lexists(folder / spot.path)]
    with disk.explained(folder, "link files into"):
        kinds = {mode: link_kind(store.layout, folder, mode) for mode in {spot.mode for spot in new}}
    needed = sum(spot.size for spot in new if kinds[spot.mode] == "copy")
    free = system.free_space(folder)
    if needed and needed + _MARGIN > free:
        mount = disk.mount_point(folder)
        raise StoreError(
            f"not enough space on {mount} for copies: {binary_size(needed)} needed, {binary_size(free)} free",
            code=Code.NO_SPACE,
            hints=["put the store on that disk, where files are shared: modelpm store move PATH"],
            needed=needed,
            free=free,
            mount=str(mount),
        )


def _not_linked(app: str, name: str, given: Path | None) -> NotFound:
    where = f" in {given}" if given else ""
    return NotFound(
        f"`{printable(name)}` is not linked for {app}{where}",
        code=Code.NOT_LINKED,
        hints=["`modelpm apps` lists the linked models"],
        name=name,
    )
