"""Check that the disk has space: for the whole plan before the first byte, and for files of unknown size on the way."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelpm import disk
from modelpm.disk import system
from modelpm.errors import Code, StoreError
from modelpm.store import Store
from modelpm.store.partials.partial import reserved
from modelpm.text.human import binary_size
from modelpm.transfer.model import Fetch

_MARGIN = 1 << 16  # bytes for journals, records and folders
# A file of unknown size leaves this many bytes of the disk free, or one part in so many of a small disk: other programs
# must still be able to write when a server never ends.
_RESERVE, _SHARE = 1 << 30, 20
_STEP = 64 << 20  # bytes between two checks at most: other programs use the disk, too


def missing_bytes(store: Store, fetches: Sequence[Fetch]) -> int:
    """Return how many bytes of disk the fetches still need, without those that partials hold or have reserved."""
    needed = {fetch.key: fetch for fetch in fetches if fetch.size is not None}
    return sum(max(0, (fetch.size or 0) - reserved(store.partial(key))) for key, fetch in needed.items())


def check_space(store: Store, fetches: Sequence[Fetch], unpacked: int = 0) -> None:
    """Refuse a plan that does not fit on the store's file system.

    Args:
        store: Where the files go.
        fetches: What is fetched.
        unpacked: Bytes that archives among them become besides.

    Raises:
        StoreError: ``no_space``, with ``needed``, ``free`` (bytes) and ``mount``.
    """
    missing = missing_bytes(store, fetches) + unpacked
    needed = missing + _MARGIN if missing else 0
    mount = disk.mount_point(store.root)
    free = system.free_space(mount)
    if needed > free:
        raise StoreError(
            f"not enough space on {mount} for the download: {binary_size(needed)} needed, {binary_size(free)} free",
            code=Code.NO_SPACE,
            hints=[f"free some space on {mount}, or put the store on another disk (MODELPM_STORE)"],
            needed=needed,
            free=free,
            mount=str(mount),
        )


def check_unpacking(store: Store, needed: int, archive: str) -> None:
    """Refuse to unpack so many bytes where that would take the reserve of the disk.

    Raises:
        StoreError: ``no_space``, as above.
    """
    size, _, free = shutil.disk_usage(store.root)
    if needed <= free - min(_RESERVE, size // _SHARE):
        return
    mount = disk.mount_point(store.root)
    raise StoreError(
        f"not enough space on {mount} to unpack `{archive}`: {binary_size(needed)} needed besides what is kept in"
        f" reserve, {binary_size(free)} free",
        code=Code.NO_SPACE,
        hints=[f"free some space on {mount}, then run the same command again: what was downloaded is kept"],
        needed=needed,
        free=free,
        mount=str(mount),
    )


@dataclass(slots=True)
class SpaceGuard:
    """Limits a file whose size is not promised: a server that never ends must not fill the disk.

    Attributes:
        folder: Where it is written.
        path: The file, for the message.
        label: The origin that sends it, for the message.
    """

    folder: Path
    path: str
    label: str
    _left: int = 0
    _taken: int = 0

    def record(self, count: int) -> None:
        """Count bytes that were written.

        Raises:
            StoreError: ``no_space``; only the reserve is left.
        """
        self._left -= count
        self._taken += count
        if self._left > 0:
            return
        size, _, free = shutil.disk_usage(self.folder)
        reserve = min(_RESERVE, size // _SHARE)
        if free <= reserve:
            mount = disk.mount_point(self.folder)
            sent = binary_size(self._taken)
            raise StoreError(
                f"{self.label} sent {sent} of {self.path} and did not end, and its size was not known before:"
                f" the last {binary_size(free)} free on {mount} are kept in reserve",
                code=Code.NO_SPACE,
                hints=[
                    "check that the address is that of a file, and not of an endless stream",
                    f"free some space on {mount}, or put the store on another disk (MODELPM_STORE)",
                ],
                free=free,
                mount=str(mount),
            )
        self._left = min(_STEP, (free - reserve) // 2)
