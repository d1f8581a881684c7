"""Wait for calls that cannot be interrupted: a plugin that waits for a server, a lookup of a name."""

from collections.abc import Callable
from threading import Event
from typing import TypeVar

from modelpm.errors import Interrupted
from modelpm.plugins.side_call import SideCall

_INTERVAL = 0.1  # seconds between two checks
_T = TypeVar("_T")


def unless(cancelled: Event, call: Callable[[], _T]) -> _T:
    """Run ``call`` on its own thread and return its result; abandon the thread once ``cancelled`` is set.

    Raises:
        Interrupted: ``cancelled`` was set.
        BaseException: As ``call`` raises.
    """
    if not cancelled.is_set():
        asking = SideCall(call, "modelpm-asking")
        while not (asking.wait(_INTERVAL) or cancelled.is_set()):
            pass
        if asking.wait(0):
            return asking.result()
    raise Interrupted("interrupted while a server was asked", hints=["run the same command again"])
