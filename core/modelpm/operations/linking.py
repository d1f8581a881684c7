"""Make a model's files appear in a folder of the user's own, without ever replacing what is there."""

from collections.abc import Callable, Collection
from pathlib import Path

from modelpm.environment import Environment
from modelpm.installed import InstalledModel
from modelpm.view.shelf import Shelf


def link_into(environment: Environment, made: InstalledModel, folder: Path) -> set[str]:
    """Link every file of an installed model under its own path below ``folder``, which counts on them from now on.

    Returns:
        The kinds of links that were made; files that already are the store's are left as they are.

    Raises:
        StoreError: Something else stands in the way; nothing was linked then.
    """
    store = environment.store
    shelf = Shelf.at(folder, store, environment.root)
    if not shelf.is_kept:
        return shelf.place(made.name, made.files, environment.view.mode)
    with store.lock("store", shared=True):  # nothing is freed meanwhile
        return shelf.place(made.name, made.files, environment.view.mode)


def say_copied(kinds: Collection[str], mode: str, folder: Path, warn: Callable[[str], None]) -> None:
    """Say that files take their space twice, where nobody asked for that."""
    if "copy" in kinds and mode == "auto":
        warn(f"files had to be copied to {folder}: it can share none with the store")
