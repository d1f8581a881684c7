"""The files of a project: find its folder, and read manifest and lock together."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from modelpm.api.events import Bus
from modelpm.disk import make_folder
from modelpm.disk.atomic import write_atomic
from modelpm.disk.reading import read_text
from modelpm.environment.environment import Environment, lock_text
from modelpm.environment.view import View
from modelpm.errors import Code, ModelpmError, UsageError
from modelpm.lockfile.file import Lock, parse_lock
from modelpm.lockfile.relative import absolute_lock, absolute_requirement
from modelpm.project.discovery import FILE, LOCK, MAX_MANIFEST_BYTES, PYPROJECT, TABLE, has_table
from modelpm.project.manifest import DEFAULT_DIR, STARTER, Manifest, parse_manifest
from modelpm.store import Store

if TYPE_CHECKING:  # start-up: few locks were merged line by line
    from modelpm.lockfile.merge import Merged


@dataclass(frozen=True, slots=True)
class Site:
    """The folder of a project.

    Attributes:
        root: The folder.
        manifest: The file that holds the manifest; None if there is only a lock.
        table: The table in that file that is the manifest; empty for the whole file.
    """

    root: Path
    manifest: Path | None
    table: tuple[str, ...] = ()

    @property
    def lock(self) -> Path:
        """The project's lock."""
        return self.root / LOCK

    def text(self) -> str | None:
        """Return the text of the manifest's file; None if there is none.

        Raises:
            UsageError: It is not a regular file, it is too large, or it is not UTF-8.
            StoreError: The system refuses.
        """
        if self.manifest is None:
            return None
        return read_text(self.manifest, MAX_MANIFEST_BYTES, code=Code.MANIFEST_INVALID)

    def parse(self, text: str) -> Manifest:
        """Return the manifest that a text of its file is, with whole paths.

        Raises:
            UsageError: As :func:`modelpm.project.manifest.parse_manifest`.
            IntegrityError: As that; or code ``hostile_name``, a reference leads out of the project.
        """
        manifest = parse_manifest(text, str(self.manifest), self.table)
        models = {name: absolute_requirement(requirement, self.root) for name, requirement in manifest.models.items()}
        return replace(manifest, models=models)

    def environment(self, store: Store, folder: str, mode: str) -> Environment:
        """Return the project's environment.

        Args:
            store: The store.
            folder: The folder of the view, relative to the project; empty means the default.
            mode: The kind of links.
        """
        view = View(self.root / (folder or DEFAULT_DIR), store, mode, self.root)
        return Environment("project", self.lock, view, store)


@dataclass(frozen=True, slots=True)
class State:
    """Manifest and lock on the disk.

    Attributes:
        manifest_text: The text of the manifest's file; None if there is none.
        manifest: The parsed manifest; None as above.
        lock_text: The text of the lock's file; None if there is none.
        lock: The parsed lock; of a lock with conflict markers, the part that the sides agree on.
        merged: The repair of a lock that git merged line by line; None if there was none.
    """

    manifest_text: str | None
    manifest: Manifest | None
    lock_text: str | None
    lock: Lock
    merged: "Merged | None" = None

    @property
    def healed(self) -> bool:
        """Whether the lock had to be repaired."""
        return self.merged is not None


def site_of(file: Path) -> Site:
    """Return the project of a file that :func:`modelpm.project.discovery.find_governing` found."""
    if file.name == LOCK:
        return Site(file.parent, None)
    return Site(file.parent, file, TABLE if file.name == PYPROJECT else ())


def say_unread(file: Path, bus: Bus) -> None:
    """Warn that one of two manifests in a folder is ignored."""
    if file.name == FILE and has_table(file.with_name(PYPROJECT)):
        bus.warn(f"{file} is the manifest; [{'.'.join(TABLE)}] in the {PYPROJECT} beside it is not read")


def folder_of(site: Site) -> str:
    """Return the folder of the view in a project's manifest, as a lock writes it: empty for the default.

    Raises:
        ModelpmError: The manifest cannot be used.
    """
    text = site.text()
    manifest = None if text is None else site.parse(text)
    return "" if manifest is None or manifest.dir == DEFAULT_DIR else manifest.dir


def begin(folder: Path) -> Site:
    """Write a first manifest, and make the folder if it is missing.

    Raises:
        ModelpmError: Code ``exists``: the folder has a manifest.
        StoreError: The system refuses.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 - as above
    for path in (folder / FILE, folder / PYPROJECT):
        if os.path.lexists(path) and (path.name == FILE or has_table(path)):
            raise ModelpmError(
                f"{path} already exists", code=Code.EXISTS, hints=["`modelpm add SPEC` puts a model into it"]
            )
    make_folder(folder, below=folder)
    write_atomic(folder / FILE, STARTER.encode())
    return Site(folder, folder / FILE)


def read_state(site: Site, *, heal: bool) -> State:
    """Read manifest and lock.

    Args:
        site: The project.
        heal: Whether to repair a lock with conflict markers instead of refusing it.

    Raises:
        UsageError: One of them is damaged or of a newer version.
        IntegrityError: A name in them is hostile, or a digest does not fit.
    """
    text = site.text()
    manifest = None if text is None else site.parse(text)
    locked = lock_text(site.lock)
    if locked is None:
        return State(text, manifest, None, Lock())
    try:
        return State(text, manifest, locked, absolute_lock(parse_lock(locked, str(site.lock)), site.root))
    except UsageError as error:
        from modelpm.lockfile.merge import HEALABLE

        if not heal or error.code not in HEALABLE:
            raise
    from modelpm.lockfile.merge import heal as healed

    merged = healed(locked, str(site.lock))
    return State(text, manifest, locked, absolute_lock(merged.lock, site.root), merged)
