"""Data loss at the end of a boot: after a reboot, the blobs committed just before it are checked once.

Every commit is synced; this check is for media that claim to have written what they have not. It does not ask whether
the boot ended with a shutdown or a power cut: no source of that is reliable, and the check is short.
"""

import os
import time
from pathlib import Path

from modelpm.disk import system
from modelpm.disk.atomic import write_atomic
from modelpm.store.blobs import blobs, records
from modelpm.store.layout import Layout

_WINDOW = 600  # seconds before the end of a boot in which a commit is checked again
_FRESH = 60  # seconds after which a sign of life is renewed


def suspects(layout: Layout) -> list[tuple[str, int]]:
    """Return SHA-256 and size (bytes) of the blobs to check; in the same boot as last time, this is one small read.

    Raises:
        StoreError: The store cannot be written.
    """
    boot, (last_boot, seen) = system.boot_id(), _read(layout.boot)
    if not boot:
        return []
    if last_boot == boot:
        if not 0 <= time.time() - seen < _FRESH:
            settle(layout)
        return []
    if not last_boot:
        settle(layout)
        return []
    known = [(sha256, size, records.read(layout.record(sha256))) for sha256, size in blobs.listing(layout)]
    of_then = [(sha256, size, r.committed_at) for sha256, size, r in known if r is not None and r.boot == last_boot]
    end = max([seen, *(at for _, _, at in of_then)])
    found = [(sha256, size) for sha256, size, at in of_then if at >= end - _WINDOW]
    if not found:
        settle(layout)  # else every verb of this boot would list the store
    return found


def settle(layout: Layout) -> None:
    """Record this boot, and that it is alive.

    Raises:
        StoreError: The store cannot be written.
    """
    write_atomic(layout.boot, f"{system.boot_id()} {int(time.time())}\n".encode())


def _read(path: Path) -> tuple[str, int]:
    try:
        fd = system.open_file(path, os.O_RDONLY)
        with os.fdopen(fd, "rb") as file:
            boot, seen = file.read(200).decode().split()
        return boot, int(seen)
    except (OSError, ValueError):
        return "", 0
