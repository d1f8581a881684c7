"""The files at a bundle's target path: modelpm resumes or removes its own, and leaves the user's files alone."""

import contextlib
import os
import re
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from modelpm import disk
from modelpm.bundle import archive
from modelpm.bundle.volumes import in_the_way, is_alone
from modelpm.disk import atomic, system
from modelpm.errors import Code, StoreError
from modelpm.store import locks

_NOT_OURS = "modelpm did not write it as part of a bundle"


@contextmanager
def held(target: Path) -> Iterator[None]:
    """Keep other processes from writing the same bundle while the block runs, where the file system supports locks.

    Args:
        target: The bundle's file or folder.

    Raises:
        StoreError: ``in_use``, naming who writes it.
    """
    inside = target.is_dir()
    path = (target if inside else target.parent) / f"{atomic.TEMPORARY}{'bundle' if inside else target.name}.lock"
    if os.path.lexists(path) and not is_alone(path):  # the holder's name is written into it
        raise in_the_way(path, "it is not a lock file of modelpm")
    with contextlib.ExitStack() as stack:
        try:
            if locks.work(path):
                stack.enter_context(locks.hold(path, timeout=0))
        except StoreError as error:
            if error.code != Code.LOCK_TIMEOUT:
                raise
            holder = error.details.get("holder", "another process")
            hint = "wait for that process to end, or choose another name"
            raise StoreError(
                f"{target} is being written by {holder}",
                code=Code.IN_USE,
                hints=[hint],
                path=str(target),
                holder=holder,
            ) from None
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # while it is held: who waits for it finds that the name is gone
                path.unlink(missing_ok=True)


def claim(target: Path, *, split: bool) -> list[Path]:
    """Make sure that writing a bundle, or its parts, overwrites nothing but an older bundle that modelpm made.

    A file that is empty, or no regular one, has nothing to lose.

    Args:
        target: The file; where it is split, its name without the part's number.
        split: Whether parts will be written.

    Returns:
        Files of the older bundle, whole or in parts, and drafts of it.

    Raises:
        StoreError: ``in_the_way``; nothing was written.
    """
    with disk.explained(target, "write"):
        ours, others = _numbered(target)
        if split and others:
            raise in_the_way(others[0], _NOT_OURS)
        draft = target.with_name(target.name + ".partial")
        if os.path.lexists(draft):
            if _is_begun(draft, draft=True):
                ours.append(draft)
            elif not split:
                raise in_the_way(draft, _NOT_OURS)
        if archive.begun(target):
            ours += [target] if split else []
        elif not split and target.is_file() and target.stat().st_size > 0:
            raise in_the_way(target, _NOT_OURS)
    return ours


def release(older: Collection[Path], made: Collection[Path]) -> None:
    """Remove what is left of an older bundle, lest it is taken for the new one.

    Raises:
        StoreError: The system refuses.
    """
    for path in older:
        if path not in made:
            with disk.explained(path, "remove"), contextlib.suppress(FileNotFoundError):
                system.unlink(path)


def _numbered(target: Path) -> tuple[list[Path], list[Path]]:
    """Return the parts, and drafts of parts, of our older bundle, and what else is numbered like them.

    Only the first part shows that modelpm wrote it. The parts that follow without a gap count as the same bundle, as
    for the reader. None of them can be a file of the user: modelpm refuses to begin where one exists.
    """
    pattern = re.compile(re.escape(target.name) + r"\.(\d{3,})(\.partial)?")
    found = []
    for path in target.parent.iterdir():
        named = pattern.fullmatch(path.name)
        if named and named[1] == f"{int(named[1]):03}":
            found.append((int(named[1]), path, bool(named[2])))
    found.sort()
    wanted, ours = 1, list[Path]()
    for at, (number, path, draft) in enumerate(found):
        fits = _is_begun(path, draft=draft) if number == 1 else _is_regular(path)
        if number not in {wanted, wanted - 1} or not fits or (draft and not is_alone(path)):
            return ([], [p for _, p, _ in found]) if number == 1 else (ours, [p for _, p, _ in found[at:]])
        ours.append(path)
        wanted = number + 1
    return ours, []


def _is_begun(path: Path, *, draft: bool) -> bool:
    """Whether modelpm made this bundle file; a draft may still be empty, but then it has only one name."""
    if not draft:
        return archive.begun(path)
    return is_alone(path) and (path.stat().st_size == 0 or archive.begun(path))


def _is_regular(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)
