"""The registry: every root that needs blobs of this store, each in a file in ``projects/``.

Earlier versions use the same folder and the same first five keys, so they respect the records of this version on the
same store. This version reads and replaces their records, which have neither id nor place.
"""

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from modelpm import disk
from modelpm.disk import system
from modelpm.disk.atomic import write_atomic
from modelpm.errors import Code, IntegrityError, StoreError
from modelpm.store.gc import marks
from modelpm.store.gc.marks import FRESH, make_id, read_id
from modelpm.store.gc.roots import (
    Place,
    Root,
    RootRecord,
    digest_of,
    digests_in,
    is_sound,
    read_lock,
    real,
)
from modelpm.store.layout import Layout, is_sha256
from modelpm.text.untrusted import check_path


def due(layout: Layout, root: Root, now: float, also: Collection[str] = ()) -> RootRecord | None:
    """Return the record to write for an environment; None if the existing one is good enough.

    Args:
        layout: The store.
        root: The environment; its folder exists.
        now: Seconds since 1970.
        also: Digests that it is about to need.

    Raises:
        StoreError: The lock or its folder cannot be read.
    """
    root = real(root)
    with disk.explained(root.lock, "read"):
        text = read_lock(root.lock) or b""
        new = RootRecord(
            root, digests_in(text) | {*also}, digest_of(text), int(now), read_id(root.view), Place.of(root)
        )
    known = load(layout.project(new.key))
    if known is None or (known.text != new.text and is_sound(text, root.lock)):
        return new
    if known.digests >= new.digests and known.root == root and 0 <= now - (known.seen or 0) < FRESH:
        return None
    # No lock names a blob that another process is about to link; a damaged lock does not name linked blobs.
    return RootRecord(root, known.digests | new.digests, new.text, new.seen, new.id, new.place)


def remember(layout: Layout, root: Root, now: float, also: Collection[str] = ()) -> None:
    """Record that an environment uses this store; see :func:`due`.

    Raises:
        StoreError: The lock cannot be read, or the store cannot be written.
    """
    make_id(root.view)
    record = due(layout, root, now, also)
    if record is not None:
        before = load(layout.project(record.key))
        save(layout, record)
        _supersede(layout, record, {record.text, before.text if before else record.text})
    freshen(layout, root, now)


def freshen(layout: Layout, root: Root, now: float) -> None:
    """Mark the record of a root as fresh, if the mark can be written."""
    with contextlib.suppress(OSError):
        record = RootRecord(real(root), frozenset(), id=read_id(root.view), place=Place.of(root))
        marks.touch(root.view, root.lock, layout.project(record.key), now)


def _supersede(layout: Layout, record: RootRecord, texts: Collection[str]) -> None:
    """Remove older records of the same root: without an id, or from an earlier version."""
    place = record.place
    nameless = RootRecord(record.root, frozenset(), place=place)
    if record.id and (known := load(layout.project(nameless.key))) is not None and known.place == place:
        forget(layout, known)
    lock = Path(os.path.realpath(record.root.lock))
    earlier = load(layout.project(digest_of(os.fsencode(lock))))
    if earlier is not None and earlier.place is None and earlier.text in texts:
        forget(layout, earlier)


def save(layout: Layout, record: RootRecord) -> None:
    """Write a record.

    Raises:
        StoreError: The system refuses.
    """
    import json

    disk.make_folder(layout.projects, below=layout.root)
    place = record.place or Place(0, 0, "")
    fields = {
        "lock": os.fspath(record.root.lock),
        "digests": sorted(record.digests),
        "text": record.text,
        "last_use": record.seen or 0,
        "missing_since": None,
        "kind": record.root.kind,
        "view": os.fspath(record.root.view),
        "id": record.id,
        **({"device": place.device, "inode": place.inode, "host": place.host} if record.place else {}),
        **({"owner": record.owner, "entries": record.entries} if record.root.is_folder else {}),
    }
    write_atomic(layout.project(record.key), json.dumps(fields, indent=0).encode() + b"\n")


def forget(layout: Layout, record: RootRecord) -> None:
    """Remove a record.

    Raises:
        StoreError: The system refuses.
    """
    path = layout.project(record.key)
    with disk.explained(path, "remove"):
        path.unlink(missing_ok=True)


def listing(layout: Layout) -> Iterator[RootRecord]:
    """Yield every record, in the order of the paths.

    Raises:
        StoreError: A record cannot be read, so the blobs that it protects are unknown; the message names it.
    """
    found = []
    for path in _files(layout):
        record = load(path)
        if record is None and path.exists():
            raise StoreError(
                f"{path} cannot be read: which project it remembers, and what that needs, is unknown",
                code=Code.ROOT_UNREADABLE,
                hints=[f"run `modelpm sync` in your projects, then remove {path}"],
                path=str(path),
            )
        if record is not None:
            found.append(record)
    yield from sorted(found, key=lambda r: (r.root.lock, r.key))


def readable(layout: Layout) -> Iterator[RootRecord]:
    """Yield every record that can be read."""
    yield from (record for path in _files(layout) if (record := load(path)) is not None)


def _files(layout: Layout) -> list[Path]:
    try:
        names = sorted(os.listdir(layout.projects))  # noqa: PTH208 - names are all that is asked for
    except FileNotFoundError:
        return []
    return [layout.projects / name for name in names if name.endswith(".json") and is_sha256(name[:-5])]


def load(path: Path) -> RootRecord | None:
    """Read a record; None if it is missing or invalid."""
    import json

    try:
        record = _parsed(json.loads(read_lock(path) or b""))
        sound = record.root.lock.is_absolute() and all(is_sha256(d) for d in record.digests)
        named = record.key == path.stem
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, IntegrityError):
        return None
    return record if sound and named else None


def _parsed(found: Mapping[str, Any]) -> RootRecord:
    lock, digests, text = Path(found["lock"]), frozenset(found["digests"]), str(found["text"])
    if "kind" not in found:
        return RootRecord(Root("project", lock, Path()), digests, text)
    place = Place(int(found["device"]), int(found["inode"]), str(found["host"])) if "host" in found else None
    for key in found.get("entries", {}):
        check_path(key.partition("/")[2])  # a store may be shared
    entries = {
        str(key): (str(sha256), str(kind), int(mtime_ns), int(inode))
        for key, (sha256, kind, mtime_ns, inode) in found.get("entries", {}).items()
    }
    root = Root(str(found["kind"]), lock, Path(found["view"]))
    seen, owner = int(found["last_use"]), str(found.get("owner", ""))
    return RootRecord(root, digests, text, seen, str(found["id"]), place, owner, entries)


# ---------------------------------------------------------------------- a store without records


def begin(layout: Layout, now: float) -> None:
    """Mark once that the records of a store are complete.

    A store with blobs but without any record was restored without its records: the roots that need its blobs are
    unknown, so a record of an unknown root, seen now, holds all blobs.

    Raises:
        StoreError: The system refuses.
    """
    if layout.complete.exists():
        return
    disk.make_folder(layout.projects, below=layout.root)
    if lost := unknown(layout, now):
        save(layout, lost)
    write_atomic(layout.complete, b"")


def unknown(layout: Layout, now: float) -> RootRecord | None:
    """Return the record of the unknown roots of a store that lost its records; None if it did not."""
    from modelpm.store.blobs import blobs

    if layout.complete.exists() or _files(layout):
        return None
    held = frozenset(sha256 for sha256, _ in blobs.listing(layout))
    if not held:
        return None
    root = Root("unknown", layout.projects / "unknown", layout.root)
    return RootRecord(root, held, seen=int(now), place=Place(0, 0, system.host_name()))
