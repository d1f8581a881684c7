"""Test whether the folder at the path of a view belongs to another user."""

import os
from collections.abc import Iterable
from pathlib import Path

from modelpm.environment.ledger import NAME
from modelpm.lockfile.model import LockedModel
from modelpm.store.gc.marks import MARK

_EMPTY = {".gitignore", ".gitkeep", ".keep", MARK}  # the file that keeps an empty folder in git, and modelpm's own mark


def is_foreign(root: Path, models: Iterable[LockedModel]) -> bool:
    """Whether a folder exists and is neither empty nor a view.

    A view has a ledger; a view that lost it holds only files of locked models.

    Args:
        root: The folder.
        models: What is locked.
    """
    if not root.is_dir() or root.is_symlink():  # a write refuses what is not a folder
        return False
    entries = set(os.listdir(root))  # noqa: PTH208 - names are all that is asked for
    if NAME in entries or entries <= _EMPTY:
        return False
    known = {f"{model.name}/{file.path}" for model in models for file in model.files} | _EMPTY
    return any(
        Path(here, name).relative_to(root).as_posix() not in known
        for here, folders, names in os.walk(root)
        for name in (*names, *([] if folders or names else ["."]))
    )
