"""Which environments count on blobs of this store: the locks that were written or synced here, remembered one a file.

What a lock needs is remembered with it, so that the blobs of a lock that vanished, or that belongs to somebody else
who shares the store, are still known.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from modelpm import disk, system
from modelpm.atomic import write_atomic
from modelpm.errors import StoreError
from modelpm.store.layout import Layout, is_sha256

_SHA256 = re.compile(rb'^\s*sha256 = "([0-9a-f]{64})"\s*$', re.MULTILINE)
_LARGEST = 16 << 20  # bytes of a lock, and of what is remembered of it
_FRESH = 3600  # seconds in which a further use of an unchanged lock is not worth a write


@dataclass(frozen=True, slots=True)
class Project:
    """An environment's lock, as it was remembered.

    Attributes:
        lock: Absolute path of the ``models.lock``.
        digests: What it needed when it was last used.
        last_use: Seconds since 1970.
        missing_since: When it was first found to be gone, or None.
    """

    lock: Path
    digests: frozenset[str]
    last_use: int
    missing_since: int | None = None


def remember(layout: Layout, lock: Path, now: float) -> None:
    """Take note that a lock, which exists, counts on this store.

    Raises:
        StoreError: The system refuses.
    """
    lock = Path(os.path.realpath(lock))
    with disk.explained(lock, "read"):
        digests = frozenset(m.decode() for m in _SHA256.findall(_read(lock)))
    known = load(entry(layout, lock))
    fresh = known is not None and known.missing_since is None and 0 <= now - known.last_use < _FRESH
    if not fresh or known is None or known.digests != digests:
        save(layout, Project(lock, digests, int(now)))


def entry(layout: Layout, lock: Path) -> Path:
    """Return where a lock is remembered."""
    return layout.project(hashlib.sha256(os.fsencode(lock)).hexdigest())


def save(layout: Layout, project: Project) -> None:
    """Write what is known of a lock.

    Raises:
        StoreError: The system refuses.
    """
    import json

    disk.make_folder(layout.projects, below=layout.root)
    fields = {**asdict(project), "lock": os.fspath(project.lock), "digests": sorted(project.digests)}
    write_atomic(entry(layout, project.lock), json.dumps(fields, indent=0).encode() + b"\n")


def gone(layout: Layout, project: Project, now: float) -> Project:
    """Take note that a lock is not there any more; return what is known of it now."""
    if project.missing_since is not None and project.missing_since <= now:
        return project
    project = replace(project, missing_since=int(now))  # a time to come is a clock that was set back
    save(layout, project)
    return project


def forget(layout: Layout, project: Project) -> None:
    """Let go of what is known of a lock.

    Raises:
        StoreError: The system refuses.
    """
    path = entry(layout, project.lock)
    with disk.explained(path, "remove"):
        path.unlink(missing_ok=True)


def listing(layout: Layout) -> Iterator[Project]:
    """Yield every lock that is remembered, in the order of the paths.

    Raises:
        StoreError: One of the files, which it names, cannot be read: whose blobs it protects is then unknown.
    """
    try:
        paths = sorted(layout.projects.iterdir())
    except FileNotFoundError:
        return
    found = []
    for path in paths:
        if path.suffix == ".json" and is_sha256(path.stem):
            project = load(path)
            if project is None and path.exists():
                raise StoreError(
                    f"{path} cannot be read: which lock it remembers, and what that needs, is unknown",
                    code="root_unreadable",
                    hints=[f"run `modelpm sync` in your projects, then remove {path}"],
                    path=str(path),
                )
            if project is not None:
                found.append(project)
    yield from sorted(found, key=lambda p: p.lock)


def load(path: Path) -> Project | None:
    """Read what is known of a lock; None where it is nothing that makes sense."""
    import json

    try:
        found = json.loads(_read(path))
        missing = found["missing_since"]
        project = Project(Path(found["lock"]), frozenset(found["digests"]), int(found["last_use"]), missing)
        sound = project.lock.is_absolute() and all(is_sha256(d) for d in project.digests)
        return project if sound and (missing is None or type(missing) is int) else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _read(path: Path) -> bytes:
    fd = system.open_file(path, os.O_RDONLY)
    with os.fdopen(fd, "rb") as file:
        return file.read(_LARGEST)
