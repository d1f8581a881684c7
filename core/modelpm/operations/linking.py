"""Make a model's files appear in a folder of the user's own, without ever replacing what is there."""

import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from modelpm.disk import explained
from modelpm.errors import StoreError
from modelpm.lock.model import LockedFile
from modelpm.store import Store, shown


def link_into(store: Store, files: Sequence[LockedFile], folder: Path, mode: str) -> set[str]:
    """Link every file under its own path below ``folder``.

    Returns:
        The kinds of links that were made; files that already are the store's are left as they are.

    Raises:
        StoreError: Something else stands in the way; nothing was linked then.
    """
    missing = []
    for file in files:
        target = folder / file.path
        if any(above.is_symlink() for above in target.parents if folder in above.parents):
            raise StoreError(f"a folder above {target} is a symlink; modelpm writes through none", code="symlink")
        if not os.path.lexists(target):
            missing.append((file, target))
        elif not shown.shown_by(store, target, file.sha256, file.size):
            raise StoreError(
                f"{target} is in the way: it is not the file of that name of the model",
                code="in_the_way",
                hints=["move it away, or choose another folder with --dir PATH"],
            )
    kinds = set[str]()
    for file, target in missing:
        with explained(target.parent, "make the folder"):
            target.parent.mkdir(parents=True, exist_ok=True)
        kinds.add(store.link(file.sha256, target, mode))
    return kinds


def say_copied(kinds: Collection[str], mode: str, folder: Path, warn: Callable[[str], None]) -> None:
    """Say that files take their space twice, where nobody asked for that."""
    if "copy" in kinds and mode == "auto":
        warn(f"files had to be copied to {folder}: it can share none with the store")
