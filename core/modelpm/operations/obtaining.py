"""Before anything is downloaded: make the most of what is on this machine."""

from collections.abc import Callable

from modelpm.store import Store
from modelpm.store.tiers import in_caches


def offers(store: Store, sha256: str, size: int) -> bool:
    """Whether bytes that promise to be a blob's are on this machine, so that :func:`obtain` would look at them."""
    return store.has(sha256, size) or next(in_caches(store.caches, sha256, size), None) is not None


def obtain(store: Store, sha256: str, size: int, *, step: Callable[[int], None] | None = None) -> bool:
    """Bring a blob into place without the network, or begin its download with what is good of it.

    What stands under its name, here or in another store, is hashed; so is what a cache has under that name. The bytes
    of a damaged blob are made the beginning of a download, which then fetches only what is wrong with them.

    Args:
        store: Where it is wanted.
        sha256: The blob.
        size: Bytes it must have.
        step: Called with the count of bytes after each read; may raise to stop.

    Returns:
        Whether the blob is there now.

    Raises:
        StoreError: The system refuses.
    """
    if store.has(sha256, size) or store.check(sha256, size, step=step) is None:
        return True
    if store.blob(sha256).exists():
        store.doubt(sha256)  # what looks well and is not must not be taken for the blob
    with store.lock(sha256) as lock:
        if store.has(sha256, size):
            return True
        if any(store.adopt(path, sha256, step=step) for path in in_caches(store.caches, sha256, size)):
            return True
        if lock.real:
            store.seed(sha256, size)
    return False
