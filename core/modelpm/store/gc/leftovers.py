"""The leftovers in a store: unfinished downloads, quarantined bytes, drafts of dead processes."""

import contextlib
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from modelpm import disk
from modelpm.disk import system
from modelpm.disk.atomic import TEMPORARY, temporary
from modelpm.store.blobs import records
from modelpm.store.layout import Layout, is_sha256


@dataclass(frozen=True, slots=True)
class Leftover:
    """A file or folder that may be removed.

    Attributes:
        kind: ``blob``, ``partial``, ``quarantine`` or ``draft``.
        path: A file, or the folder of a partial.
        bytes: Bytes that its removal frees on the disk; 0 if the file has another name.
        size: Bytes that it takes on the disk.
        last_use: Seconds since 1970.
    """

    kind: str
    path: Path
    bytes: int
    size: int
    last_use: float

    def age(self, now: float) -> float:
        """Return the seconds since the last use; 0 for a use in the future, which a changed clock causes."""
        return max(0.0, now - self.last_use)


def all_blobs(layout: Layout) -> Iterator[tuple[str, Leftover]]:
    """Yield every blob as a leftover, without its last use."""
    for folder in _entries(layout.blobs):
        for entry in _entries(Path(folder.path)):
            facts = _look(entry) if is_sha256(entry.name) else None
            if facts is not None and stat.S_ISREG(facts.st_mode):
                yield entry.name, _leftover("blob", Path(entry.path), [facts], facts.st_mtime)


def used(layout: Layout, sha256: str, blob: Leftover) -> Leftover:
    """Return a blob with the time of its commit, which copying does not change."""
    known = records.read(layout.record(sha256))
    at = known.committed_at if known is not None and known.committed_at else blob.last_use
    return replace(blob, last_use=at)


def others(layout: Layout) -> Iterator[Leftover]:
    """Yield everything that is not a blob: partials, quarantine, drafts."""
    for entry in _entries(layout.partials):
        path = Path(entry.path)
        if not disk.is_ours(path):  # another user's, without access for us; its user releases it
            continue
        own = _look(entry)
        if own is not None and is_sha256(entry.name) and stat.S_ISDIR(own.st_mode):
            facts = [f for f in map(_look, _entries(path)) if f is not None]
            newest = max([own.st_mtime, *(f.st_mtime for f in facts)])
            yield _leftover("partial", path, facts, newest)
        elif entry.name.startswith(TEMPORARY):
            yield from _of("draft", entry)
    for entry in _entries(layout.quarantine):
        if _is_quarantined(entry.name):
            yield from _of("quarantine", entry)
    for folder in (layout.root, layout.projects, layout.leases, *_folders(layout.blobs), *_folders(layout.records)):
        for entry in _entries(folder):
            if entry.name.startswith(TEMPORARY):
                yield from _of("draft", entry)


def drafts(paths: Iterable[Path]) -> Iterator[Leftover]:
    """Yield files as drafts without a process; skip files that no longer exist."""
    for path in paths:
        with contextlib.suppress(OSError):
            facts = path.lstat()
            yield _leftover("draft", path, [facts], facts.st_mtime)


def remove(leftover: Leftover) -> None:
    """Remove a partial, quarantined bytes, or a draft.

    Raises:
        StoreError: The system refuses.
    """
    with disk.explained(leftover.path, "remove"), contextlib.suppress(FileNotFoundError):
        if leftover.kind == "partial":
            shutil.rmtree(leftover.path)
        else:
            system.unlink(leftover.path)


def remove_all(items: Iterable[Leftover]) -> None:
    """Remove each of them, as :func:`remove`."""
    for item in items:
        remove(item)


def copy_partials(source: Layout, target: Layout) -> None:
    """Copy unfinished downloads to another store, so that they can be resumed.

    Raises:
        StoreError: The system refuses.
    """
    for folder in _folders(source.partials):
        if not is_sha256(folder.name) or target.partial(folder.name).exists():
            continue
        draft = temporary(target.partials)
        with disk.explained(folder, "copy"):
            shutil.copytree(folder, draft, symlinks=True)
            draft.rename(target.partial(folder.name))


def clear(layout: Layout) -> None:
    """Remove everything that modelpm made except the locks and VERSION; other files in the folder stay.

    Raises:
        StoreError: The system refuses.
    """
    for folder in _folders(layout.blobs):
        _empty(folder, is_sha256)
    for folder in _folders(layout.records):
        _empty(folder, _is_record)
    for folder, is_ours in (
        (layout.partials, is_sha256),
        (layout.quarantine, _is_quarantined),
        (layout.projects, lambda name: _is_record(name) or name == layout.complete.name),
        (layout.leases, _is_lease),
        (layout.reserve, str.isdecimal),
    ):
        _empty(folder, is_ours)
    for folder in (layout.blobs, layout.blobs.parent, layout.records, layout.records.parent):
        _remove_empty(folder)
    for path in (layout.boot, layout.moving):
        remove_marker(path)


def _is_record(name: str) -> bool:
    return name.endswith(".json") and is_sha256(name.removesuffix(".json"))


def _is_quarantined(name: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{1,128}-[0-9a-f]{1,128}", name) is not None


def _is_lease(name: str) -> bool:
    return re.fullmatch(r"[0-9]+-[0-9a-z._-]+\.json", name) is not None


def _empty(folder: Path, is_ours: Callable[[str], bool]) -> None:
    """Remove modelpm's files in a folder, and then the folder if it is empty."""
    for entry in _entries(folder):
        if is_ours(entry.name) or entry.name.startswith(TEMPORARY):
            if entry.is_dir(follow_symlinks=False):
                remove_tree(Path(entry.path))
            else:
                remove_marker(Path(entry.path))
    _remove_empty(folder)


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # it has another user's file, or does not exist
        folder.rmdir()


def tree_size(folder: Path) -> int:
    """Return the bytes of all files in a folder, which may be missing."""
    files = (Path(above, name) for above, _, names in os.walk(folder) for name in names)
    return sum(path.lstat().st_size for path in files)


def remove_tree(folder: Path) -> None:
    """Remove a folder, which may be missing, with all that is in it.

    Raises:
        StoreError: The system refuses.
    """
    with disk.explained(folder, "remove"), contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)


def remove_marker(path: Path) -> None:
    """Remove a small file that modelpm made, which may be missing.

    Raises:
        StoreError: The system refuses.
    """
    with disk.explained(path, "remove"):
        path.unlink(missing_ok=True)


def too_young(leftover: Leftover, seconds: float) -> bool:
    """Whether a leftover was used less than ``seconds`` ago, by a clock that may have been set."""
    return abs(time.time() - leftover.last_use) < seconds


def _of(kind: str, entry: "os.DirEntry[str]") -> Iterator[Leftover]:
    facts = _look(entry)
    if facts is not None and stat.S_ISREG(facts.st_mode):
        yield _leftover(kind, Path(entry.path), [facts], facts.st_mtime)


def _leftover(kind: str, path: Path, facts: Sequence[os.stat_result], last_use: float) -> Leftover:
    size = sum(map(system.physical_size, facts))
    freed = sum(system.physical_size(f) for f in facts if f.st_nlink == 1)
    return Leftover(kind, path, freed, size, last_use)


def _look(entry: "os.DirEntry[str]") -> os.stat_result | None:
    """Return the facts of an entry, or None if another process removed it in this instant."""
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None


def _folders(folder: Path) -> list[Path]:
    return [Path(entry.path) for entry in _entries(folder) if entry.is_dir(follow_symlinks=False)]


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise disk.failure(error, folder, "read") from error
