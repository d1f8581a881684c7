"""Wait for what cannot be interrupted: a plugin that waits for a server, a name that is looked up."""

from collections.abc import Callable
from threading import Event, Thread
from typing import TypeVar

from modelpm.errors import Interrupted

_INTERVAL = 0.1  # seconds between two looks
_T = TypeVar("_T")


def unless(cancelled: Event, call: Callable[[], _T]) -> _T:
    """Return what ``call`` returns; it runs on a thread of its own, which is left to itself once ``cancelled`` is set.

    Raises:
        Interrupted: It was.
        BaseException: As ``call`` raises.
    """
    ended, came, failed = Event(), list[_T](), list[BaseException]()

    def run() -> None:
        try:
            came.append(call())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            failed.append(error)
        ended.set()

    if not cancelled.is_set():
        Thread(target=run, name="modelpm-asking", daemon=True).start()
    while not (cancelled.is_set() or ended.wait(_INTERVAL)):
        pass
    if failed:
        raise failed[0]
    if came:
        return came[0]
    raise Interrupted("interrupted while a server was asked", hints=["run the same command again"])
