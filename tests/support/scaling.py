"""Tell linear work from quadratic work on a machine that does other things, too."""

import time
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


def growth(make: Callable[[int], _T], work: Callable[[_T], object], size: int, *, factor: int = 4) -> float:
    """Return how many times longer ``work`` takes for an input ``factor`` times as large; the best of several runs.

    Linear work comes to about ``factor``, quadratic work to its square. Processor time of this thread is counted, so
    that other programs do not.
    """
    small, large = make(size), make(size * factor)
    ratio = float("inf")
    for _ in range(3):  # a machine that does other things has bad moments; quadratic work has no good ones
        ratio = min(ratio, _ratio(work, small, large))
        if ratio < 1.5 * factor:
            break
    return ratio


def _ratio(work: Callable[[_T], object], small: _T, large: _T) -> float:
    return min(_spent(work, large) for _ in range(3)) / max(min(_spent(work, small) for _ in range(5)), 1e-6)


def _spent(work: Callable[[_T], object], value: _T) -> float:
    begin = time.thread_time()
    work(value)
    return time.thread_time() - begin
