"""modelpm, the package manager for model weights.

How data flows::

    spec ──► resolve ──► locked model ──► plan ──► transfer ──► verify ──► store ──► view ──► lock ──► path
              │  ▲                                    │
           catalog  listing (source plugin)           └── events ──► progress, audit sinks

The packages, from the top down; each imports only those below it:

* ``cli``: the command line; ``commands/`` has one file per verb, ``terminal/`` prints.
* ``serve``: the service, its guard and its page.
* ``library``: ``Manager``, ``AsyncManager``, ``Project``; ``services`` builds their parts.
* ``operations``: one file per verb; ``acquire`` is the only way in which bytes arrive.
* ``bundle``, ``project``, ``environment``: an archive of models; ``models.toml``; a lock and the folder that shows it.
* ``events``: subscribers of events: progress, audit sinks.
* ``testing``: public; the test kit for plugins.
* ``resolution``: from a spec to a model whose every file is known, and the plan.
* ``transfer``: downloads: engine, scheduler, segments, retries.
* ``catalog``, ``plugins``: TOML catalogs; entry points, kinds and guards of plugins.
* ``http``, ``results``, ``queue``: public base of HTTP sources; what the library returns; the database of the queue.
* ``store``: blobs by digest, partial downloads, garbage collection.
* ``lockfile``, ``config``: ``models.lock``; settings.
* ``api``: public; what a plugin imports, and the event bus.
* ``disk``, ``text``, ``errors``, ``network``: system calls; untrusted texts; error codes; facts about servers.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelpm.api.types import Event, Progress, Status
    from modelpm.errors import (
        CheckFailedError,
        Code,
        Denied,
        IntegrityError,
        Interrupted,
        ModelpmError,
        NotFound,
        OfflineError,
        PluginError,
        StoreError,
        Unavailable,
        UsageError,
    )
    from modelpm.library.aio import AsyncManager
    from modelpm.library.manager import Manager
    from modelpm.library.project import Project
    from modelpm.queue.job import Job, JobStatus
    from modelpm.results.catalogs import CatalogRow, Found
    from modelpm.results.details import Details
    from modelpm.results.installed import InstalledModel
    from modelpm.results.report import Change, Holder, Outdated, Result, Verified

__version__ = "0.1.0"

_HOMES = {
    "modelpm.api.types": ("Event", "Progress", "Status"),
    "modelpm.errors": (
        "CheckFailedError",
        "Code",
        "Denied",
        "IntegrityError",
        "Interrupted",
        "ModelpmError",
        "NotFound",
        "OfflineError",
        "PluginError",
        "StoreError",
        "Unavailable",
        "UsageError",
    ),
    "modelpm.library.aio": ("AsyncManager",),
    "modelpm.library.manager": ("Manager",),
    "modelpm.library.project": ("Project",),
    "modelpm.queue.job": ("Job", "JobStatus"),
    "modelpm.results.installed": ("InstalledModel",),
    "modelpm.results.catalogs": ("CatalogRow", "Found"),
    "modelpm.results.details": ("Details",),
    "modelpm.results.report": ("Change", "Holder", "Outdated", "Result", "Verified"),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AsyncManager",
    "CatalogRow",
    "Change",
    "CheckFailedError",
    "Code",
    "Denied",
    "Details",
    "Event",
    "Found",
    "Holder",
    "InstalledModel",
    "IntegrityError",
    "Interrupted",
    "Job",
    "JobStatus",
    "Manager",
    "ModelpmError",
    "NotFound",
    "OfflineError",
    "Outdated",
    "PluginError",
    "Progress",
    "Project",
    "Result",
    "Status",
    "StoreError",
    "Unavailable",
    "UsageError",
    "Verified",
    "__version__",
]


def __dir__() -> list[str]:
    return sorted(__all__)


if not TYPE_CHECKING:  # a type checker reads the imports above; with __getattr__ it would accept any name

    def __getattr__(name: str) -> Any:
        """Import a public name when it is first used, so that importing modelpm costs nothing."""
        from modelpm.text.lazy import imported

        return imported(__name__, _MODULES, name)
