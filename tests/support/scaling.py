"""Tell linear work from quadratic work on a machine that does other things, too."""

import math
import time
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")
_FACTOR = 8  # linear work takes 8 times as long, quadratic work 64 times: no noise makes one look like the other
LINEAR = 1.5  # exponents below this one count as linear


def exponent(make: Callable[[int], _T], work: Callable[[_T], object], size: int) -> float:
    """Return the exponent with which the cost of ``work`` grows up to an input of ``size``: 1 is linear, 2 quadratic.

    Processor time of this thread is counted, so that other programs do not. The best of several runs is taken: a
    machine that does other things has bad moments, and quadratic work has no good ones.
    """
    small, large = make(size // _FACTOR), make(size)
    best = float("inf")
    for _ in range(5):
        ratio = min(_spent(work, large) for _ in range(3)) / max(min(_spent(work, small) for _ in range(5)), 1e-6)
        best = min(best, math.log(ratio, _FACTOR))
        if best < LINEAR:
            break
    return best


def _spent(work: Callable[[_T], object], value: _T) -> float:
    begin = time.thread_time()
    work(value)
    return time.thread_time() - begin
