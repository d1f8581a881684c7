"""Before a download: find the bytes that this machine has already."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from modelpm.api.events import Ongoing
from modelpm.api.stages import Work
from modelpm.store import Store
from modelpm.store.blobs import blobs
from modelpm.store.tiers import in_caches


def offers(store: Store, sha256: str, size: int, *, path: str = "", shown: Path | None = None) -> bool:
    """Whether bytes that promise to be a blob's are on this machine, so that :func:`obtain` would look at them."""
    return store.has(sha256, size) or next(_elsewhere(store, sha256, size, path, shown), None) is not None


def obtain(
    store: Store,
    sha256: str,
    size: int,
    *,
    path: str = "",
    shown: Path | None = None,
    step: Callable[[int], None] | None = None,
) -> bool:
    """Bring a blob into place without the network, or begin its download with what is good of it.

    What stands under its name, here or in another store, is hashed unless nothing happened to it since it was; so is
    what a view or a cache has in its place. The bytes of a damaged blob are made the beginning of a download, which
    then fetches only what is wrong with them.

    Args:
        store: Where it is wanted.
        sha256: The blob.
        size: Bytes it must have.
        path: The file's path in its repository, by which a cache may have it.
        shown: Where a view should show it.
        step: Called with the count of bytes after each read; may raise to stop.

    Returns:
        Whether the blob is there now.

    Raises:
        StoreError: The system refuses.
    """
    if store.has(sha256, size, exact=True):
        return True
    name = path or sha256[:12]
    with store.bus.during(Work.HASHING, name, total=size) as ongoing:
        if store.check(sha256, size, step=_both(step, ongoing)) is None:
            return True
    if store.blob(sha256).exists():
        store.doubt(sha256)  # what looks well and is not must not be taken for the blob
    with store.lock(sha256, about=name, size=size) as lock:
        if store.has(sha256, size):
            return True
        for found in _elsewhere(store, sha256, size, path, shown):
            with store.bus.during(Work.COPYING, name, detail=f"from {found}", total=size) as ongoing:
                if store.adopt(found, sha256, step=_both(step, ongoing)):
                    return True
        if lock.real:
            store.seed(sha256, size)
    return False


def _both(step: Callable[[int], None] | None, ongoing: Ongoing) -> Callable[[int], None]:
    """Return what counts the bytes of a stage, and then does what the caller wants at each read."""

    def both(count: int) -> None:
        ongoing.add(count)
        if step is not None:
            step(count)

    return both


def _elsewhere(store: Store, sha256: str, size: int, path: str, shown: Path | None) -> Iterator[Path]:
    """Yield the files that may have the bytes, outside of any store."""
    facts = None if shown is None else blobs.look(shown)
    if shown is not None and facts is not None and stat.S_ISREG(facts.st_mode) and facts.st_size == size:
        blob = store.facts(sha256)
        if blob is None or not os.path.samestat(facts, blob):  # another name of it has the same bytes
            yield shown
    yield from in_caches(store.caches, sha256, size, path)
