"""Signals that end a run: the first as Ctrl-C does, so that the run cleans up; the second at once.

The process clears its drawing before it ends or stops.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:  # start-up
    from modelpm.cli.terminal.progress import Display

_ENDING = ("SIGINT", "SIGTERM", "SIGHUP")  # what a terminal, a service manager and a lost connection send


@contextmanager
def stoppable(display: "Display | None" = None) -> Iterator[None]:
    """End the block on a signal that would end the process; an ignored signal, as under nohup, stays ignored.

    Args:
        display: Cleared before the process ends at once, or before Ctrl-Z stops it.
    """
    import signal

    before: dict[int, Any] = {}
    ending = {number for name in _ENDING if (number := getattr(signal, name, None)) is not None}  # Windows lacks some

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in ending & before.keys():
            signal.signal(number, end)
        _whole(display, _interrupt)

    def end(number: int, _frame: FrameType | None) -> None:
        if display is not None:
            display.close()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def sleep(number: int, _frame: FrameType | None) -> None:
        def asleep() -> None:
            with nullcontext() if display is None else display.cleared():
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)  # returns when the process continues
                signal.signal(number, sleep)

        _whole(display, asleep)

    sleeping = {signal.SIGTSTP} if hasattr(signal, "SIGTSTP") else set[int]()
    for number in ending | sleeping:
        if signal.getsignal(number) in {signal.SIG_DFL, signal.default_int_handler}:
            before[number] = signal.signal(number, stop if number in ending else sleep)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _whole(display: "Display | None", act: Callable[[], None]) -> None:
    if display is None:
        act()
    else:
        display.when_whole(act)


def _interrupt() -> NoReturn:
    raise KeyboardInterrupt
