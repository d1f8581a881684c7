"""Find the project of a folder with cheap file checks: nearly every start does so, and most find none."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelpm.disk.reading import read_bytes
from modelpm.text.toml import TomlError, loads

FILE, PYPROJECT, LOCK = "models.toml", "pyproject.toml", "models.lock"
MAX_MANIFEST_BYTES = 8 << 20
TABLE = ("tool", "modelpm")  # of pyproject.toml


def find_governing(directory: str | Path, *, user_lock: Path, lock_only: bool = False) -> Path | None:
    """Return the file by which a project governs a folder, found by walking up: its manifest, or else its lock.

    Args:
        directory: The folder to begin at; a deleted folder has no project.
        user_lock: The lock of the user's environment, which is not a project.
        lock_only: Whether to ignore manifests.
    """
    join = os.path.join  # not pathlib: it takes several times as long
    try:
        folder = os.path.abspath(directory)  # noqa: PTH100 - as the user sees it, symlinks and all
    except FileNotFoundError:
        return None
    while True:
        if not lock_only:
            if _stands(join(folder, FILE)):
                return Path(folder, FILE)
            if has_table(join(folder, PYPROJECT)):
                return Path(folder, PYPROJECT)
        lock = join(folder, LOCK)
        if lock != str(user_lock) and _stands(lock):
            return Path(lock)
        above = os.path.dirname(folder)  # noqa: PTH120 - as above
        if above == folder:
            return None
        folder = above


def _stands(path: str) -> bool:
    """Whether a file exists; a pipe or a device counts, so that the reader of the file reports it."""
    try:
        return not stat.S_ISDIR(os.stat(path).st_mode)  # noqa: PTH116 - as above
    except OSError:
        return False


def has_table(path: str | Path) -> bool:
    """Whether a ``pyproject.toml`` exists and holds a manifest."""
    try:
        return governs(read_bytes(path, MAX_MANIFEST_BYTES, follow=True).decode(errors="replace"), TABLE)
    except OSError:
        return False


def governs(text: str, table: tuple[str, ...]) -> bool:
    """Whether a file that may hold a manifest does; a damaged one that mentions it counts, so that it is reported."""
    if "modelpm" not in text:
        return False
    try:
        return inner_table(loads(text, limit=MAX_MANIFEST_BYTES), table) is not None
    except TomlError:
        return f"[{'.'.join(table)}" in text


def inner_table(values: Mapping[str, Any], path: tuple[str, ...]) -> Mapping[str, Any] | None:
    """Return the table below others; None if there is none."""
    for key in path:
        inner = values.get(key)
        if not isinstance(inner, Mapping):
            return None
        values = inner
    return values
