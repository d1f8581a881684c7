"""Spots: one file to make in the user's or another program's folder."""

import contextlib
import os
from pathlib import Path
from typing import NamedTuple

from modelpm.disk import creation_mode, explained, make_folder, system
from modelpm.disk.atomic import temporary
from modelpm.environment.ledger import Entry
from modelpm.errors import Code, StoreError
from modelpm.store import Store

_WRITABLE = 0o644


class Spot(NamedTuple):
    """One file to make in a folder.

    Attributes:
        path: Relative POSIX path below the folder, checked.
        sha256: The blob that it shows.
        size: Bytes.
        mode: How to link; see :meth:`modelpm.store.Store.link`.
        target: Of a relative symlink: the path of the file that it leads to; else empty.
        is_writable: Whether the program may write to it.
        yields: Whether another file at its path stays, and the rest is made anyway.
    """

    path: str
    sha256: str
    size: int
    mode: str = "auto"
    target: str = ""
    is_writable: bool = False
    yields: bool = False


def make(store: Store, folder: Path, spot: Spot) -> Entry:
    """Make a file, and replace what has its path.

    Raises:
        StoreError: The system refuses.
    """
    place = folder / spot.path
    make_folder(place.parent, below=folder)
    kind = "alias" if spot.target and _alias(place, folder / spot.target) else ""
    kind = kind or store.link(spot.sha256, place, "file" if spot.target else spot.mode)
    with explained(place, "link"):
        if spot.is_writable:  # never of a hardlink: its mode does not allow one
            place.chmod(creation_mode(place.parent, _WRITABLE))
        made = place.lstat() if kind == "alias" else place.stat()
    return Entry(spot.sha256, kind, made.st_mtime_ns, made.st_ino)


def _alias(place: Path, target: Path) -> bool:
    """Make a relative symlink; return whether the system can."""
    draft = temporary(place.parent)
    try:
        draft.symlink_to(os.path.relpath(target, place.parent))
        system.replace(draft, place)
    except (OSError, NotImplementedError):  # no symlinks on this file system, or for this user
        with contextlib.suppress(OSError):
            draft.unlink()
        return False
    return True


def in_the_way(place: Path, whose: str, hint: str) -> StoreError:
    """Return the error for a path that another file has.

    Args:
        place: The name.
        whose: The model of that file; empty if modelpm did not make it.
        hint: The next step.
    """
    what = f"it is a file of `{whose}`" if whose else "it is not the file of that name of the model"
    return StoreError(f"{place} is in the way: {what}", code=Code.IN_THE_WAY, hints=[hint], path=str(place))
