"""The update check: at most once a day. It never makes a verb fail, and never makes it wait long."""

import hashlib
import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from time import time
from typing import TYPE_CHECKING

from modelpm import disk
from modelpm.api.events import Bus
from modelpm.api.stages import Work
from modelpm.disk.atomic import write_atomic
from modelpm.environment.environment import Environment
from modelpm.errors import ModelpmError, StoreError
from modelpm.library.services import Services
from modelpm.plugins.side_call import SideCall

if TYPE_CHECKING:
    from modelpm.results.report import Outdated

_EVERY = 86_400.0  # seconds
_LONGEST = 3.0  # seconds


def newer(services: Services, environment: Environment, skip: Collection[str] = ()) -> "tuple[Outdated, ...]":
    """Return which models of an environment have a newer version, if the last check is a day old, else nothing.

    Emits an event ``update.available`` for each row. A check that takes longer than three seconds returns nothing.

    Args:
        services: What it works with.
        environment: The models.
        skip: Names of models to leave out.
    """
    models = [model for model in environment.read().models if model.name not in skip]
    place = hashlib.sha256(os.fsencode(environment.lock_path)).hexdigest()[:16]
    if not models or not _is_due(services.config.paths.cache / "update-check" / place):
        return ()
    from modelpm.operations.upgrade import outdated

    resolver = services.resolver()
    check = SideCall(lambda: outdated(resolver, models, Bus()), "modelpm-update-check")
    with services.bus.during(Work.CHECKING, "for newer versions"):
        if not check.wait(_LONGEST):
            return ()
    with suppress(ModelpmError):
        rows = tuple(row for row in check.result().rows if row.newest != row.locked)
        for row in rows:
            services.bus.event("", "update.available", {"name": row.name, "locked": row.locked, "newest": row.newest})
        return rows
    return ()


def _is_due(stamp: Path) -> bool:
    """Whether the last check is a day old; notes that one begins now. False if the note cannot be written."""
    try:
        if 0 <= time() - stamp.stat().st_mtime < _EVERY:
            return False
    except FileNotFoundError:
        pass
    except OSError:
        return False
    try:
        disk.make_folder(stamp.parent, below=stamp.parent.parent, durable=False)
        write_atomic(stamp, b"", durable=False)
    except (OSError, StoreError):
        return False
    return True
