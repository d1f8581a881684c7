"""Explain a refused access: the file or folder that is closed, its owner, and the command that opens it."""

import errno
import os
import shlex
import stat
from pathlib import Path
from typing import NamedTuple

from modelpm.disk import system

_ELSEWHERE = "for modelpm's own files, choose a folder that this user can write: export MODELPM_HOME=/path/to/folder"
_READ_ONLY = f"that disk can only be read; {_ELSEWHERE}"
_CLOSED = "Permission denied"


class Closed(NamedTuple):
    """The path that is closed.

    Attributes:
        place: The file or folder.
        why: In words.
        hints: What to do; the first is most likely to help.
    """

    place: Path
    why: str
    hints: tuple[str, ...]


def find(error: OSError, path: Path) -> Closed:
    """Return what refused a call on a path: the path itself, or a folder above it.

    Args:
        error: ``EACCES``, ``EPERM`` or ``EROFS``.
        path: What was worked on; the error may name another file.
    """
    named = error.filename if isinstance(error.filename, str | bytes) else None
    place = path.absolute()
    if named and os.path.isabs(named):  # noqa: PTH117 - text or bytes; a name alone is one in a folder we do not know
        place = Path(os.fsdecode(named))
    reason = error.strerror or str(error)
    if error.errno == errno.EROFS:
        return Closed(place, reason, (_READ_ONLY,))
    closed = _closed(place, os.R_OK | os.W_OK)
    if closed is None:
        return Closed(place, reason, (f"make {place} writable for this user, or {_ELSEWHERE}",))
    return _explained(closed, reason, is_homeless=_missing(path) > 1)


def look(path: Path, *, write: bool = False) -> Closed | None:
    """Return what keeps this user from a file or folder; None if nothing does, or if nothing is there.

    Args:
        path: The file or folder.
        write: Whether it will be written; on a disk that is only read, nothing is.
    """
    if not os.path.lexists(path):
        return None
    write = write and not system.is_read_only(path)
    closed = _closed(path.absolute(), os.R_OK | (os.W_OK if write else 0))
    return None if closed is None else _explained(closed, _CLOSED, is_homeless=False)


def _explained(closed: Path, reason: str, *, is_homeless: bool) -> Closed:
    facts = closed.lstat()
    if system.is_own(facts):
        what = "folder" if stat.S_ISDIR(facts.st_mode) else "file"
        cure = f"chmod -R u+rwX {shlex.quote(str(closed))}"
        return Closed(closed, f"the {what} {closed} is closed ({reason})", (cure, _ELSEWHERE))
    why = f"{closed} belongs to {system.user_name(facts.st_uid)}, and is closed to this user ({reason})"
    if is_homeless or not _is_in_ours(closed):
        return Closed(closed, why, (_ELSEWHERE,))
    whole = closed if stat.S_ISDIR(facts.st_mode) else closed.parent
    cure = f"sudo chown -R {system.user_name(system.user_id())} {shlex.quote(str(whole))}"
    return Closed(closed, why, (cure, _ELSEWHERE))


def _closed(path: Path, wanted: int) -> Path | None:
    """Return the first folder on the way that cannot be entered, else what lacks the wanted access at its end."""
    for folder in reversed(path.parents):
        if not os.path.lexists(folder):
            break
        if not os.access(folder, os.X_OK):
            return folder
    there = os.path.lexists(path)
    if there and not path.is_symlink() and not os.access(path, wanted | (os.X_OK if path.is_dir() else 0)):
        return path
    above = next((folder for folder in path.parents if os.path.lexists(folder)), path)
    # A file that cannot be made, replaced or removed is its folder's matter.
    return above if wanted & os.W_OK and not os.access(above, os.W_OK | os.X_OK) else None


def _is_in_ours(path: Path) -> bool:
    """Whether it is in a folder of this user, who then may ask for it back."""
    return path != path.parent and system.is_own(path.parent.lstat())


def _missing(path: Path) -> int:
    """Return how many parts of a path are not there: of a home that does not exist, there are several."""
    return sum(not os.path.lexists(place) for place in (path, *path.parents))
