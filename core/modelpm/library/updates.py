"""The update check: once a day at most, what is newer than installed; it never makes a verb fail or wait long."""

import hashlib
import os
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


def is_wanted(services: Services) -> bool:
    """Whether the command line may check: not offline, not in CI, and as ``[ui] update-check`` says."""
    config = services.config
    return bool(config["ui.update-check"]) and not config["network.offline"] and not config.environ.get("CI")


def newer(services: Services, environment: Environment) -> "tuple[Outdated, ...]":
    """Return what is newer than what is installed, if that was not asked within the last day, else nothing.

    Each row is told as the event ``update.available``, too. What cannot be asked within three seconds is left for
    another day.
    """
    from modelpm.operations.upgrade import outdated

    models = environment.read().models
    place = hashlib.sha256(os.fsencode(environment.lock_path)).hexdigest()[:16]
    if not models or not _is_due(services.config.paths.cache / "update-check" / place):
        return ()
    resolver = services.resolver()
    asked = SideCall(lambda: outdated(resolver, models, Bus()), "modelpm-update-check")
    with services.bus.during(Work.CHECKING, "for newer versions"):
        if not asked.wait(_LONGEST):
            return ()
    with suppress(ModelpmError):
        rows = tuple(row for row in asked.result().rows if row.newest != row.locked)
        for row in rows:
            services.bus.event("", "update.available", {"name": row.name, "locked": row.locked, "newest": row.newest})
        return rows
    return ()


def _is_due(stamp: Path) -> bool:
    """Whether a day has passed since the last check; from now on, none has. Where that cannot be kept, never."""
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
