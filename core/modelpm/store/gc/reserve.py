"""A little space that the store keeps for itself: freeing needs some, too, for records, locks and the audit log.

Without it, nothing could be uninstalled or pruned where the last block or inode is used up.
"""

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from modelpm.disk import system
from modelpm.errors import ModelpmError
from modelpm.store.layout import Layout

if TYPE_CHECKING:  # it opens the store, which keeps the reserve
    from modelpm.store import Store

_FILES = 16  # each is an inode
_BYTES = 16 << 10  # of one
_ROOM = 8  # the reserve is made where this many times its size is free


def keep(layout: Layout) -> None:
    """Make it where it is missing and the disk has plenty; if that cannot be written there is none."""
    folder = layout.reserve
    if os.path.lexists(folder):
        return
    with suppress(OSError):
        inodes = system.free_inodes(layout.root)
        if system.free_space(layout.root) < _ROOM * _FILES * _BYTES:
            return
        if inodes is not None and inodes < _ROOM * _FILES:
            return
        folder.mkdir()
        for name in range(_FILES):
            (folder / str(name)).write_bytes(os.urandom(_BYTES))  # zeros would take no space on some disks


def spend(store: "Store") -> None:
    """Give it to a verb that frees space; the next run that opens the store makes it again."""
    folder = store.layout.reserve
    if not os.path.lexists(folder):
        return
    with suppress(ModelpmError):  # it may need that space to be opened
        store.open()
    with suppress(OSError):  # another user's
        for path in folder.iterdir():
            path.unlink(missing_ok=True)
        folder.rmdir()
