"""Wait for what cannot be interrupted: a plugin that waits for a server, a name that is looked up."""

from collections.abc import Callable
from threading import Event
from typing import TypeVar

from modelpm.errors import Interrupted
from modelpm.plugins.side_call import SideCall

_INTERVAL = 0.1  # seconds between two looks
_T = TypeVar("_T")


def unless(cancelled: Event, call: Callable[[], _T]) -> _T:
    """Return what ``call`` returns; it runs on a thread of its own, which is left to itself once ``cancelled`` is set.

    Raises:
        Interrupted: It was.
        BaseException: As ``call`` raises.
    """
    if not cancelled.is_set():
        asking = SideCall(call, "modelpm-asking")
        while not (asking.wait(_INTERVAL) or cancelled.is_set()):
            pass
        if asking.wait(0):
            return asking.result()
    raise Interrupted("interrupted while a server was asked", hints=["run the same command again"])
