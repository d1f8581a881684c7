"""modelpm, the package manager for model weights.

The way of the data, and the rooms it passes through::

    spec ──► resolve ──► locked model ──► plan ──► transfer ──► verify ──► store ──► view ──► lock ──► path
              │  ▲                                    │
           catalog  listing (source plugin)           └── events ──► progress, audit sinks

* ``types``, ``errors``: frozen values and the error families; they import nothing of ours.
* ``api``, ``http``, ``testing``: what plugins may use, and all they may use.
* ``plugins``: the door. Entry points are listed without importing; one plugin is imported when its name is asked for.
* ``store``: blobs by digest, partial downloads, process locks; the only room that writes files of the store.
* ``catalog``, ``resolve``, ``plan``, ``transfer``: decide (pure), and bring the bytes in (the rim).
* ``operations``: install, uninstall, verify and the rest, each made from the rooms above.
* ``manager``, ``aio``: the library, ``Manager`` and ``AsyncManager``.
* ``cli``: a thin user of the library; the only room that prints or exits.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelpm.api.types import Progress
    from modelpm.errors import ModelpmError
    from modelpm.library.aio import AsyncManager
    from modelpm.library.manager import Manager

__version__ = "0.1.0"
__all__ = ["AsyncManager", "Manager", "ModelpmError", "Progress", "__version__"]

_HOMES = {
    "AsyncManager": "modelpm.library.aio",
    "Manager": "modelpm.library.manager",
    "ModelpmError": "modelpm.errors",
    "Progress": "modelpm.api.types",
}


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used, so that importing modelpm costs nothing."""
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
