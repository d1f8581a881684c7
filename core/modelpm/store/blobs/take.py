"""Store a file from outside as a blob: as a clone, as a second name of a read-only file, or as a copy."""

import stat
from collections.abc import Callable
from pathlib import Path

from modelpm import disk
from modelpm.disk import system
from modelpm.disk.atomic import temporary
from modelpm.errors import StoreError
from modelpm.store.blobs import blobs, records
from modelpm.store.blobs.known import Known
from modelpm.store.blobs.linker import Linker
from modelpm.store.layout import Layout


def take(
    known: Known,
    layout: Layout,
    linker: Linker,
    path: Path,
    only: str,
    step: Callable[[int], None] | None,
    *,
    share: bool = False,
) -> str:
    """Store a file as a blob; it is not moved or changed.

    Only a read-only file of this user or root may be shared with the store: another user who could write it would write
    a blob, and making it read-only would change a file that is not the store's.

    Args:
        known: The facts of files that were hashed once.
        layout: The store's.
        linker: Makes links.
        path: The file.
        only: The only SHA-256 to accept; empty for any.
        step: Called with the count of bytes after each read; may raise to stop.
        share: Whether this user's own writable file may become read-only and be shared.

    Returns:
        The sha256 of its bytes.

    Raises:
        StoreError: The system refuses.
    """
    draft = temporary(layout.partials)
    try:
        with disk.explained(path, "read"):
            sealed = _is_sealed(path)
            shared = sealed or (share and _is_own(path))
        shared = linker.link(path, draft, "file" if shared else "apart") == "hardlink"
        if shared and sealed and not _is_sealed(draft):  # it was opened for writing in this instant
            system.unlink(draft)
            linker.link(path, draft, "apart")
            shared = False
        found = blobs.digest(draft, step)
        if shared and not sealed:
            _check_unchanged(draft, found, path)
        if only in {"", found.sha256}:
            blobs.commit(known, layout, draft, found.sha256, found.prefixes, seal=not (shared and sealed))
    finally:
        draft.unlink(missing_ok=True)
    return found.sha256


def _is_sealed(path: Path) -> bool:
    """Whether a file belongs to this user or root, and is read-only."""
    facts = path.lstat()
    return stat.S_ISREG(facts.st_mode) and system.is_trusted(facts) and not facts.st_mode & records.WRITABLE


def _is_own(path: Path) -> bool:
    """Whether a file belongs to this user."""
    facts = path.lstat()
    return stat.S_ISREG(facts.st_mode) and system.is_own(facts)


def _check_unchanged(draft: Path, found: blobs.Hashed, path: Path) -> None:
    """Check that a writable file did not change while it was hashed.

    Raises:
        StoreError: It changed.
    """
    now = draft.lstat()
    if (now.st_size, now.st_mtime_ns) != (found.facts.st_size, found.facts.st_mtime_ns):
        raise StoreError(f"{path} changed while it was read", hints=["try again when its program is closed"])
