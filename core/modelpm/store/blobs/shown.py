"""Files outside a store that show its blobs: as links, or as hashed copies."""

import os
from collections.abc import Callable
from pathlib import Path

from modelpm.store import Store
from modelpm.store.blobs import blobs
from modelpm.store.blobs.known import Place


def shows(store: Store, path: str, sha256: str, size: int) -> bool:
    """Whether a name shows a blob, or is a known copy of it; hash nothing.

    Args:
        store: Has the blob, or had it.
        path: The name.
        sha256: The blob.
        size: Bytes it must have.
    """
    try:
        found = os.stat(path)  # noqa: PTH116 - asked for every file of every sync
    except OSError:
        return False
    if found.st_size != size:
        return False
    blob = store.facts(sha256)
    if blob is not None and os.path.samestat(found, blob):
        return True
    return is_known(store, path, sha256, size)


def is_known(store: Store, path: str, sha256: str, size: int, *, exact: bool = False) -> bool:
    """Whether a file is a known copy of a blob; as :meth:`modelpm.store.Store.has`."""
    return store.known.is_good(Place(sha256, path), blobs.look(path), size, exact=exact)


def check(
    store: Store, path: Path, sha256: str, size: int, *, quick: bool = False, step: Callable[[int], None] | None = None
) -> str | None:
    """Return the problem of a file that should have a blob's bytes; as :meth:`modelpm.store.Store.check`."""
    return blobs.check(store.known, Place(sha256, str(path)), size, quick=quick, step=step)


def vouch(store: Store, path: Path, sha256: str) -> None:
    """Record that a file was just written with a blob's bytes."""
    if (facts := blobs.look(path)) is not None:
        store.known.learn(Place(sha256, str(path)), facts)


def shown_by(store: Store, path: Path, sha256: str, size: int) -> str:
    """Return how a name shows a blob: ``hardlink``, ``symlink``, ``copy``; empty if it shows something else.

    An unknown copy is hashed.
    """
    try:
        if path.samefile(store.blob(sha256)):
            return "symlink" if path.is_symlink() else "hardlink"
    except OSError:
        pass  # the blob is gone, or the link dangles: the bytes count
    return "" if check(store, path, sha256, size, quick=True) else "copy"
