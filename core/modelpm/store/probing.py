"""Find out by trying how a file of the store can appear elsewhere."""

import contextlib
from pathlib import Path

from modelpm.disk.atomic import temporary
from modelpm.store.layout import Layout
from modelpm.store.links import Linker


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
