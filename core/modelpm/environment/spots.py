"""Spots: one file that must appear in a folder of the user's or of another program, and how it is made."""

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
    """One file that must appear in a folder.

    Attributes:
        path: Relative POSIX path below the folder, checked.
        sha256: The blob that it shows.
        size: Bytes.
        mode: How to link; see :meth:`modelpm.store.Store.link`.
        target: Of a relative symlink: the path of the file that it leads to; else empty.
        is_writable: Whether the program may write to it.
        yields: Whether something else in its place stays there, and the rest is made all the same.
    """

    path: str
    sha256: str
    size: int
    mode: str = "auto"
    target: str = ""
    is_writable: bool = False
    yields: bool = False


def make(store: Store, folder: Path, spot: Spot) -> Entry:
    """Make a file appear, in place of what is there.

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
    """Make a relative symlink; return whether there can be one."""
    draft = temporary(place.parent)
    try:
        draft.symlink_to(os.path.relpath(target, place.parent))
        system.replace(draft, place)
    except (OSError, NotImplementedError):  # a file system without symlinks, a user who may make none
        with contextlib.suppress(OSError):
            draft.unlink()
        return False
    return True


def in_the_way(place: Path, whose: str, hint: str) -> StoreError:
    """Return the error for a name that something else has.

    Args:
        place: The name.
        whose: The model whose file it is; empty if modelpm did not put it there.
        hint: What to do.
    """
    what = f"it is a file of `{whose}`" if whose else "it is not the file of that name of the model"
    return StoreError(f"{place} is in the way: {what}", code=Code.IN_THE_WAY, hints=[hint], path=str(place))
