"""Try what a file system supports."""

import contextlib
import os
from pathlib import Path

from modelpm.disk import system
from modelpm.disk.atomic import temporary, write_atomic
from modelpm.store.blobs.linker import Linker
from modelpm.store.blobs.records import WRITABLE
from modelpm.store.layout import Layout


def keeps_modes(layout: Layout) -> bool:
    """Whether a file of the store can be made read-only; some file systems refuse, or only pretend.

    Raises:
        StoreError: The system refuses to make a file.
    """
    path = temporary(layout.partials)
    write_atomic(path, b"modelpm", durable=False)
    try:
        fd = system.open_file(path, os.O_RDONLY)
        try:
            return system.set_mode(fd, path, 0o444) and not os.fstat(fd).st_mode & WRITABLE
        finally:
            os.close(fd)
    finally:
        with contextlib.suppress(OSError):
            system.unlink(path)


def link_kind(layout: Layout, folder: Path, mode: str) -> str:
    """Return the kind of link that files of the store become in a folder.

    Args:
        layout: The store's.
        folder: It exists, and can be written.
        mode: What the user wants; see :meth:`modelpm.store.Store.link`.

    Raises:
        StoreError: The system refuses.
    """
    source, target = temporary(layout.partials), temporary(folder)
    source.write_bytes(b"modelpm")
    try:
        return Linker().link(source, target, mode)
    finally:
        for path in (source, target):
            with contextlib.suppress(OSError):
                path.unlink()
