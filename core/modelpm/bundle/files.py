"""Find model files of this machine and take them into the store: those of models, and nothing else of the user's."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from modelpm.api.events import Bus
from modelpm.api.local_source import stays_in
from modelpm.api.stages import Work
from modelpm.api.types import RemoteFile
from modelpm.bundle import archive
from modelpm.bundle.bundle import Taken, check_first, incomplete
from modelpm.disk import explained
from modelpm.errors import NotFound
from modelpm.inspection.layouts import components
from modelpm.inspection.layouts.model_files import model_files
from modelpm.store import Store
from modelpm.store.blobs import blobs
from modelpm.text.untrusted import few

_FEW = 5  # skipped files that are named
_HIDDEN = "."  # so begin our own drafts, too
_DRAFT = ".partial"
_OF_A_CACHE = frozenset({"blobs", "refs", "trees"})
ENDINGS = "files of models end in .gguf, .safetensors, .onnx and the like"
"""What to say if nothing is a model's."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Files of models in a folder.

    Attributes:
        folder: The folder.
        sizes: Bytes of each file, by its path in the folder.
        places: Where files are that do not lie in the folder under their paths.
    """

    folder: Path
    sizes: Mapping[str, int]
    places: Mapping[str, Path] = field(default_factory=dict)

    def place(self, path: str) -> Path:
        """Return where a file is."""
        return self.places.get(path) or self.folder / path


def bundle_in(folder: Path) -> Path | None:
    """Return the one bundle that lies in a folder, its first part where it has several; None if there is none.

    Raises:
        IntegrityError: There are several, or it is a piece of one.
    """
    found = [path for path in _files_below(folder) if archive.begun(path)]
    if not found:
        return None
    if len(found) > 1 or found[0].name.endswith(_DRAFT):
        raise incomplete(folder, f"there is a bundle, or a piece of one, in it: import {found[0]}")
    return found[0]


def find_files(bus: Bus, source: Path) -> ModelFiles:
    """Return a model's file with the rest of its set, or every file of a model in a folder.

    Of a folder, files that belong to no model are skipped, with a warning. Names that begin with a dot are left out,
    unfinished files, too, and so is what leads out of the folder. In the
    snapshots of a Hugging Face cache, whose files are links to its blobs, they may lead to those.

    Raises:
        NotFound: There is nothing.
        IntegrityError: A piece of a bundle is among them.
        StoreError: The system refuses.
    """
    with explained(source, "read"):
        if source.is_file():
            return ModelFiles(source.parent, _set_of(source))
        paths = []
        for path in _files_below(source):
            check_first(source, path)
            if not path.name.endswith(_DRAFT):
                paths.append(path)
        sizes = {path.relative_to(source).as_posix(): path.stat().st_size for path in paths}
    kept, skipped = model_files(sizes)
    if not kept:
        hints = [ENDINGS, "names that begin with a dot are left out"]
        raise NotFound(f"{source} holds no files of a model", hints=hints)
    if theirs := [name for name in skipped if not _is_of_a_cache(name)]:
        bus.warn(f"skipped files that belong to no model: {few(theirs, _FEW)}")
    return ModelFiles(source, {name: size for name, size in sizes.items() if name in kept})


def take_files(
    store: Store, files: ModelFiles, step: Callable[[int], None], *, share: bool = False, dry_run: bool = False
) -> list[Taken]:
    """Take files into the store: cloned, linked or copied, never moved or changed.

    Args:
        store: Where they go.
        files: Which.
        step: Called with the count of bytes after each read; may raise to stop.
        share: Whether this user's own files may become read-only, so that they need not be copied.
        dry_run: Whether they are only hashed.

    Raises:
        StoreError: The system refuses.
    """
    there = {sha256 for sha256, _ in store.blobs()}
    taken = []
    for name, size in files.sizes.items():
        path = files.place(name)
        with store.bus.during(Work.HASHING if dry_run else Work.IMPORTING, name, total=size) as stage:

            def both(count: int, add: Callable[[int], None] = stage.add) -> None:
                add(count)
                step(count)

            with explained(path, "read"):
                real = path.resolve(strict=True)
                sha256 = blobs.digest(real, both).sha256 if dry_run else store.take(real, share=share, step=both)
        state = "present" if sha256 in there else "adopted"
        there.add(sha256)
        taken.append(Taken(name, sha256, size, state))
    return taken


def _set_of(source: Path) -> dict[str, int]:
    """Return the files that only work together with one: the other shards, an ``.onnx``'s data."""
    here = [p for p in source.parent.iterdir() if not p.name.startswith(_HIDDEN) and p.is_file()]
    listing = [RemoteFile(path.name, path.stat().st_size, None, ()) for path in sorted({*here, source})]
    own = next(c for c in components(listing) if any(f.path == source.name for f in c.files))
    return {file.path: file.size or 0 for file in own.files}


def _is_of_a_cache(name: str) -> bool:
    """Whether a file is how a Hugging Face cache keeps its snapshots: the bytes behind their links, branches, lists."""
    parts = name.split("/")
    return parts[-1] == "CACHEDIR.TAG" or any(
        "--" in above and below in _OF_A_CACHE for above, below in pairwise(parts)
    )


def _files_below(folder: Path) -> Iterator[Path]:
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(_HIDDEN))
        for name in sorted(names):
            path = Path(here, name)
            if not name.startswith(_HIDDEN) and path.is_file() and stays_in(path, folder):
                yield path
