"""What a boot that did not end cleanly may have cost: blobs that were committed just before it are looked at once more.

Every commit is brought to the medium; this is for media that say so and don't.
"""

import os
import struct
import time
from pathlib import Path

from modelpm.disk import system
from modelpm.disk.atomic import write_atomic
from modelpm.store.blobs import blobs, records
from modelpm.store.layout import Layout

_WINDOW = 600  # seconds before the end of a boot in which a commit is doubted
_FRESH = 60  # seconds after which a sign of life is renewed
_WTMP = Path("/var/log/wtmp")
_ENTRY = struct.Struct("<h42x32s308x")  # type and user; see utmp(5)
_RUN_LEVEL, _BOOT = 1, 2


def suspects(layout: Layout) -> list[tuple[str, int]]:
    """Return sha256 and size (bytes) of the blobs to look at; costs one small read where this is the boot of last time.

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
    if not last_boot or ended_cleanly(_WTMP):
        settle(layout)
        return []
    known = [(sha256, size, records.read(layout.record(sha256))) for sha256, size in blobs.listing(layout)]
    of_then = [(sha256, size, r.committed_at) for sha256, size, r in known if r is not None and r.boot == last_boot]
    end = max([seen, *(at for _, _, at in of_then)])
    return [(sha256, size) for sha256, size, at in of_then if at >= end - _WINDOW]


def settle(layout: Layout) -> None:
    """Take note of this boot, and that it is alive.

    Raises:
        StoreError: The store cannot be written.
    """
    write_atomic(layout.boot, f"{system.boot_id()} {int(time.time())}\n".encode())


def ended_cleanly(wtmp: Path) -> bool:
    """Whether the system's own log says that the boot before this one was shut down; False where it says nothing."""
    try:
        size = wtmp.stat().st_size
        with wtmp.open("rb") as file:
            file.seek(max(0, size - size % _ENTRY.size - (_ENTRY.size << 12)))
            raw = file.read(_ENTRY.size << 12)
    except OSError:
        return False
    events = [
        (kind, user.rstrip(b"\0"))
        for kind, user in _ENTRY.iter_unpack(raw[: len(raw) - len(raw) % _ENTRY.size])
        if kind in {_RUN_LEVEL, _BOOT}
    ]
    starts = [index for index, (kind, _) in enumerate(events) if kind == _BOOT]
    before = events[starts[-2] + 1 : starts[-1]] if len(starts) > 1 else []
    return (_RUN_LEVEL, b"shutdown") in before


def _read(path: Path) -> tuple[str, int]:
    try:
        fd = system.open_file(path, os.O_RDONLY)
        with os.fdopen(fd, "rb") as file:
            boot, seen = file.read(200).decode().split()
        return boot, int(seen)
    except (OSError, ValueError):
        return "", 0
