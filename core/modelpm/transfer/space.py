"""Whether the disk has room for all that is wanted, asked once before the first byte."""

from collections.abc import Sequence

from modelpm import disk, system
from modelpm.errors import StoreError
from modelpm.store import Store
from modelpm.store.partial import reserved
from modelpm.transfer.values import Fetch

_MARGIN = 1 << 16  # for journals, records and folders


def missing_bytes(store: Store, fetches: Sequence[Fetch]) -> int:
    """Return how many bytes of disk the fetches still need: what partials hold or have reserved is not needed again."""
    needed = {fetch.key: fetch for fetch in fetches if fetch.size is not None}
    return sum(max(0, (fetch.size or 0) - reserved(store.partial(key))) for key, fetch in needed.items())


def check_space(store: Store, fetches: Sequence[Fetch]) -> None:
    """Refuse what does not fit on the store's file system.

    Raises:
        StoreError: ``no_space``, with ``needed``, ``free`` (bytes) and ``mount``.
    """
    missing = missing_bytes(store, fetches)
    needed = missing + _MARGIN if missing else 0
    mount = disk.mount_point(store.root)
    free = system.free_space(mount)
    if needed > free:
        raise StoreError(
            f"not enough space on {mount} for the download: {needed:,} bytes needed, {free:,} bytes free",
            code="no_space",
            hints=[f"Free some space on {mount}, or put the store on another disk (MODELPM_STORE)."],
            needed=needed,
            free=free,
            mount=str(mount),
        )
