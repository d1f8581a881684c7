"""Signals that end a run: the first as Ctrl-C does, so that what was begun is tidied up; the second at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

_ENDING = ("SIGINT", "SIGTERM", "SIGHUP")  # what a terminal, a service manager and a lost connection send


@contextmanager
def stoppable() -> Iterator[None]:
    """End the block on a signal that would end the process; a signal that is ignored, as under nohup, stays so."""
    import signal

    before: dict[int, Any] = {}

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        for number in before:
            signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt

    for name in _ENDING:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) in {signal.SIG_DFL, signal.default_int_handler}:
            before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
