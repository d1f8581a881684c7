"""Which environments count on blobs of this store: the locks that were written or synced here, remembered one a file.

What a lock needs is remembered with it, so that the blobs of a lock that vanished, or that belongs to somebody else
who shares the store, are still known.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from modelpm import disk
from modelpm.disk import system
from modelpm.disk.atomic import write_atomic
from modelpm.errors import StoreError
from modelpm.store.layout import Layout, is_sha256

_DIGEST = re.compile(rb"(?<![0-9A-Za-z])[0-9a-f]{64}(?![0-9A-Za-z])")  # whatever stands for it: too many do no harm
_LARGEST = 16 << 20  # bytes of a lock, and of what is remembered of it
_FRESH = 3600  # seconds in which a further use of an unchanged lock is not worth a write


@dataclass(frozen=True, slots=True)
class Project:
    """An environment's lock, as it was remembered.

    Attributes:
        lock: Absolute path of the ``models.lock``.
        digests: What it needed when it was last used.
        text: SHA-256 of the lock as it was then.
        last_use: Seconds since 1970.
        missing_since: When it was first found to be gone, or None.
    """

    lock: Path
    digests: frozenset[str]
    text: str
    last_use: int
    missing_since: int | None = None


def remember(layout: Layout, lock: Path, now: float) -> None:
    """Take note that a lock, which exists, counts on this store.

    Raises:
        StoreError: The system refuses.
    """
    lock = Path(os.path.realpath(lock))
    with disk.explained(lock, "read"):
        raw = read_lock(lock)
    text = _hash(raw)
    known = load(entry(layout, lock))
    same = known is not None and known.missing_since is None and known.text == text
    if known is None or not same or not 0 <= now - known.last_use < _FRESH:
        save(layout, Project(lock, digests_in(raw), text, int(now)))


def digests_in(lock: bytes) -> frozenset[str]:
    """Return everything in a lock that could be the digest of a blob."""
    return frozenset(match.decode() for match in _DIGEST.findall(lock))


def is_unchanged(project: Project, lock: bytes) -> bool:
    """Whether a lock still is what it was when it was remembered; it could be read then."""
    return project.text == _hash(lock)


def _hash(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


def entry(layout: Layout, lock: Path) -> Path:
    """Return where a lock is remembered."""
    return layout.project(_hash(os.fsencode(lock)))


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
        found = json.loads(read_lock(path))
        missing, digests = found["missing_since"], frozenset(found["digests"])
        project = Project(Path(found["lock"]), digests, str(found["text"]), int(found["last_use"]), missing)
        sound = project.lock.is_absolute() and all(is_sha256(d) for d in project.digests)
        return project if sound and (missing is None or type(missing) is int) else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def read_lock(path: Path) -> bytes:
    """Return the bytes of a lock.

    Raises:
        OSError: It cannot be read.
    """
    fd = system.open_file(path, os.O_RDONLY)
    with os.fdopen(fd, "rb") as file:
        return file.read(_LARGEST)
