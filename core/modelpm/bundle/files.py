"""Take model files of this machine into the store: those of models, and nothing else of the user's."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from modelpm.api.events import Bus
from modelpm.api.local_source import stays_in
from modelpm.api.stages import Work
from modelpm.bundle import archive
from modelpm.bundle.bundle import Taken, check_first, incomplete, owners_of
from modelpm.disk import explained
from modelpm.errors import NotFound
from modelpm.inspection.layouts.model_files import model_files
from modelpm.lockfile.file import Lock
from modelpm.store import Store
from modelpm.text.untrusted import few

_FEW = 5  # skipped files that are named
_HIDDEN = "."  # so begin our own drafts, too
_DRAFT = ".partial"


def take_files(store: Store, source: Path, locks: Sequence[Lock], step: Callable[[str], None]) -> list[Taken]:
    """Take a model's file, or every file of a folder, into the store: cloned, linked or copied, never moved or changed.

    Of a folder, files that belong to no model are skipped, with a warning. Names that begin with a dot are left out,
    unfinished files, too, and so is what leads out of the folder. In the
    snapshots of a Hugging Face cache, whose files are links to its blobs, they may lead to those.

    Raises:
        NotFound: There is nothing.
        IntegrityError: A bundle, or a piece of one, is among them.
        StoreError: The system refuses.
    """
    store.open()
    with explained(source, "read"):
        paths = [source] if source.is_file() else _of_models(store.bus, source, _files_below(source))
    if not paths:
        raise NotFound(f"{source} holds no files of a model", hints=["names that begin with a dot are left out"])
    owners = owners_of(m for lock in locks for m in lock.models)
    taken = []
    for path in paths:
        name = path.name if path == source else path.relative_to(source).as_posix()
        step(name)
        with explained(path, "read"):
            real = path.resolve(strict=True)
            size = real.stat().st_size
        with store.bus.during(Work.IMPORTING, name, total=size) as importing:
            sha256 = store.take(real, step=importing.add)
        taken.append(Taken(name, sha256, size, "adopted", owners.get(sha256, ())))
    return taken


def _of_models(bus: Bus, source: Path, paths: Sequence[Path]) -> list[Path]:
    """Return the files of models: weights, and the texts of the folders in which they are."""
    names = {path: path.relative_to(source).as_posix() for path in paths}
    kept, skipped = model_files(names.values())
    if skipped:
        bus.warn(f"skipped what is not a part of a model: {few(skipped, _FEW)}")
    return [path for path in paths if names[path] in kept]


def _files_below(folder: Path) -> list[Path]:
    found = []
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(_HIDDEN))
        for name in sorted(names):
            path = Path(here, name)
            if name.startswith(_HIDDEN) or not path.is_file() or not stays_in(path, folder):
                continue
            if archive.begun(path):
                raise incomplete(folder, f"there is a bundle, or a piece of one, in it: import {path}")
            check_first(folder, path)
            if not name.endswith(_DRAFT):
                found.append(path)
    return found
