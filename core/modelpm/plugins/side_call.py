"""Run a call on a thread of its own, because it may never end: a plugin that hangs, a server that is silent."""

from collections.abc import Callable
from threading import Event, Thread
from typing import Generic, TypeVar

_T = TypeVar("_T")


class SideCall(Generic[_T]):
    """A call that has begun. Its thread ends with the process, if the call does not end before.

    Args:
        call: What is called.
        name: Of the thread.
    """

    def __init__(self, call: Callable[[], _T], name: str) -> None:
        self._ended, self._came, self._failed = Event(), list[_T](), list[BaseException]()

        def run() -> None:
            try:
                self._came.append(call())
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                self._failed.append(error)
            self._ended.set()

        Thread(target=run, name=name, daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Wait for the end of the call, but not longer than that; return whether it has ended."""
        return self._ended.wait(seconds)

    def result(self) -> _T:
        """Return what the call returned, once it has ended.

        Raises:
            BaseException: As the call raised.
        """
        if self._failed:
            raise self._failed[0]
        return self._came[0]
