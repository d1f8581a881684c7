"""Doctor: one row a check, each ``ok``, ``warn`` or ``fail`` with what to do; ``fix`` does the safe repairs."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from modelpm import disk
from modelpm.api.stages import Work
from modelpm.config import Config
from modelpm.disk import closed, system
from modelpm.disk.atomic import write_atomic
from modelpm.environment.environment import Environment, lock_text
from modelpm.environment.roots import Roots
from modelpm.errors import ModelpmError
from modelpm.lockfile.file import parse_lock
from modelpm.operations.checks import Check, access, ages, audit, catalogs, credentials, drifted, endpoints, plugins
from modelpm.project.provenance import Judge, Known
from modelpm.store.gc import leases, leftovers
from modelpm.text.human import binary_size
from modelpm.text.untrusted import few

_LITTLE = 5 << 30  # bytes of free space below which doctor warns
_FEW = 1000  # free inodes, as above
_OLD = 14 * 86_400
_DRAFT = 3600


@dataclass(frozen=True, slots=True)
class Doctor:
    """Runs every check.

    Attributes:
        config: The settings.
        environment: The user's.
        known: Plugins and catalogs.
    """

    config: "Config"
    environment: Environment
    known: Known

    def examine(self, *, fix: bool = False) -> tuple[Check, ...]:
        """Return what every check found; with ``fix``, after the safe repairs.

        A check that raises an unexpected error is a row, too.
        """
        place = self.environment.store.root
        found: list[Check] = []
        with self.environment.store.bus.during(Work.CHECKING, "this installation") as checking:
            for name, look in self._looks().items():
                checking.at(name)
                found += _guarded(name, look, place)
        if not fix:
            return tuple(found)
        return tuple(check if check.fix is None else _fixed(check) for check in found)

    def _looks(self) -> dict[str, Callable[[], Iterator[Check]]]:
        return {
            "access": lambda: access(self.config.paths),
            "store": self._store,
            "links": self._links,
            "space": self._space,
            "store.path": self._tiers,
            "lock": self._lock,
            "models": self._models,
            "projects": self._roots,
            "apps": self._apps,
            "leftovers": self._leftovers,
            "leases": self._leases,
            "catalogs": lambda: catalogs(self.known.catalogs),
            "ages": lambda: ages(self.known.catalogs, time.time()),
            "drift": lambda: drifted(Judge(self.known), self.environment.read().models),
            "plugins": lambda: plugins(self.known.registry, self.config),
            "audit": lambda: audit(self.known.registry, self.config),
            "tokens": lambda: credentials(self.config),
            "network": lambda: endpoints(self.config),
        }

    def _store(self) -> Iterator[Check]:
        from modelpm.store.blobs.probe import keeps_modes

        store = self.environment.store
        try:
            store.open()
        except ModelpmError as error:
            yield _failed("store", error)
            return
        yield Check("store", "ok", f"{store.root} can be written")
        if store.locks_work:
            yield Check("locks", "ok", "locks keep other processes out")
        else:
            yield Check(
                "locks",
                "warn",
                "process locks have no effect on this file system: processes do not share downloads",
                "put the store on a local disk: modelpm store move PATH",
            )
        if not keeps_modes(store.layout):
            yield Check(
                "modes",
                "warn",
                f"{store.root} keeps no permissions: blobs cannot be made read-only there",
                "put the store on a local disk: modelpm store move PATH",
            )
        if store.layout.moving.exists():
            yield Check("move", "warn", "a move of the store was not finished", f"modelpm store move {store.root}")

    def _links(self) -> Iterator[Check]:
        from modelpm.store.blobs.probe import link_kind

        view = self.environment.view
        if not self.environment.store.layout.partials.is_dir():  # the check of the store says why
            return
        with disk.explained(view.root, "link files into"):
            kind = link_kind(self.environment.store.layout, disk.standing(view.root), view.mode)
        if kind == "copy":
            cure = "put store and models on one file system: modelpm store move PATH"
            yield Check("links", "warn", f"files appear in {view.root} as copies: they take the space twice", cure)
        else:
            yield Check("links", "ok", f"files appear in {view.root} as {kind}s")

    def _space(self) -> Iterator[Check]:
        mount = disk.mount_point(self.environment.store.root)
        free = system.free_space(mount)
        text, inodes = f"{binary_size(free)} free on {mount}", system.free_inodes(mount)
        if inodes is not None and inodes < _FEW:
            text += f", and inodes for only {inodes:,} more files"
            yield Check("space", "warn", text, "`modelpm prune` frees unneeded blobs")
        elif free < _LITTLE:
            yield Check("space", "warn", text, "`modelpm prune` frees unneeded blobs")
        else:
            yield Check("space", "ok", text)

    def _tiers(self) -> Iterator[Check]:
        for layout in self.environment.store.tiers:
            found = closed.look(layout.root) or closed.look(layout.version)
            if found is not None:
                cure = f"its owner opens it with: chmod -R go+rX {layout.root}; or take it out of store.path"
                yield Check("store.path", "warn", f"{layout.root} is not used: {found.why}", cure)
            elif layout.version.is_file():
                yield Check("store.path", "ok", f"{layout.root} is searched before downloading")
            else:
                text = f"{layout.root} is not a store"
                yield Check("store.path", "warn", text, "mount it, or take it out of store.path")

    def _lock(self) -> Iterator[Check]:
        path = self.environment.lock_path
        previous = path.with_name(path.name + "~")
        try:
            count = len(self.environment.read().models)
        except ModelpmError as error:
            yield self._restorable(path, previous, str(error))
            return
        if not path.exists() and previous.exists():
            yield self._restorable(path, previous, f"{path} is gone")
        else:
            yield Check("lock", "ok", f"{count} installed in {path}")

    def _restorable(self, path: Path, previous: Path, text: str) -> Check:
        try:
            raw = lock_text(previous) or ""
            parse_lock(raw, str(previous))
        except ModelpmError:
            return Check("lock", "fail", text, f"remove {path}, and install again: the store keeps the bytes")
        cure = f"modelpm doctor --fix restores the previous one, {previous}"
        return Check("lock", "fail", text, cure, lambda: write_atomic(path, raw.encode()))

    def _models(self) -> Iterator[Check]:
        models = self.environment.read().models
        view = self.environment.view
        damaged = {m.name: m for m in models if not self.environment.has(m)}
        lacking = view.lacking(m for m in models if m.name not in damaged)
        hidden = [m for m in models if m.name in lacking]
        if damaged:
            text = f"missing, or changed since they were checked: {', '.join(damaged)}"
            yield Check("models", "fail", text, "modelpm verify --repair")
        if hidden:
            text = f"do not appear as they should in {view.root}: {', '.join(lacking)}"
            yield Check("view", "warn", text, "modelpm verify --repair", lambda: self.environment.put(*hidden))
        if not damaged and not hidden:
            yield Check("models", "ok", f"all of {len(models)} are in place, by size and time")

    def _roots(self) -> Iterator[Check]:
        survey = Roots(self.environment).survey()
        keep, now = self.environment.store.keep_unseen, time.time()
        away = [root for root in survey.of_state("unseen") if not root.is_elsewhere]
        for root in away:
            yield Check("project", "warn", root.kept(keep, now))
        if not away:
            there = len(survey.of_state("there"))
            yield Check("projects", "ok", f"{there} projects and folders count on the store")

    def _apps(self) -> Iterator[Check]:
        shelves, ok = Roots(self.environment).shelves(), True
        for shelf in shelves:
            for name in shelf.names:
                if strays := shelf.strays_of(name):
                    text = f"{name}: gone, replaced or leading nowhere: {few([str(path) for path in strays])}"
                    ok = False
                    link = f"link {shelf.app} {name} --app-dir {shelf.folder}"
                    cure = f"modelpm {link if shelf.app else f'install {name} --dir {shelf.folder}'}"
                    yield Check("apps", "warn", text, cure)
        if ok:
            shown = "1 folder of a program shows" if len(shelves) == 1 else f"{len(shelves)} folders of programs show"
            yield Check("apps", "ok", f"{shown} models as they should")

    def _leftovers(self) -> Iterator[Check]:
        now = time.time()
        others = list(leftovers.others(self.environment.store.layout))
        kinds = {
            "partial": ("unfinished download", "unfinished downloads"),
            "quarantine": ("file set aside", "files set aside"),
        }
        for kind, words in kinds.items():
            items = [o for o in others if o.kind == kind]
            old = [o for o in items if o.age(now) >= _OLD]
            size = binary_size(sum(o.bytes for o in items))
            text = f"{len(items)} {words[len(items) != 1]}, {size}" + (
                f"; {len(old)} older than two weeks" if old else ""
            )
            yield Check(kind, "warn" if old else "ok", text, "`modelpm prune` frees them" if old else "")
        drafts = [o for o in others if o.kind == "draft" and o.age(now) >= _DRAFT]
        if drafts:
            text = f"{len(drafts)} drafts of processes that were stopped"
            yield Check("drafts", "warn", text, "modelpm doctor --fix", lambda: leftovers.remove_all(drafts))

    def _leases(self) -> Iterator[Check]:
        layout = self.environment.store.layout
        found = list(leases.listing(layout))
        dead = [lease for lease in found if not lease.alive]
        if dead:
            text = f"{len(dead)} of installs that were stopped"
            yield Check("leases", "warn", text, "modelpm doctor --fix", lambda: leases.sweep(layout))
        else:
            yield Check("leases", "ok", f"{len(found)} installs are running" if found else "no install is running")


def _guarded(name: str, look: Callable[[], Iterator[Check]], place: Path) -> list[Check]:
    try:
        return list(look())
    except ModelpmError as error:
        return [_failed(name, error)]
    except UnicodeEncodeError as error:
        return [_failed(name, disk.unnameable(error))]
    except OSError as error:
        where = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else place
        return [_failed(name, disk.failure(error, where, "look at"))]
    except Exception as error:  # noqa: BLE001 - what a check trips over is what the doctor is there to find
        return [Check(name, "fail", f"{type(error).__name__}: {error}", "please report it")]


def _failed(name: str, error: ModelpmError) -> Check:
    return Check(name, "fail", error.message, error.hints[0] if error.hints else "")


def _fixed(check: Check) -> Check:
    try:
        check.fix() if check.fix else None
    except (ModelpmError, OSError) as error:
        return replace(check, state="fail", text=f"{check.text}; that could not be repaired: {error}", fix=None)
    return replace(check, state="ok", text=f"repaired: {check.text}", cure="", fix=None)
