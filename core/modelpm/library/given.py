"""What callers give: one thing, or several."""

from collections.abc import Sequence
from typing import Any


def given(names: Any) -> tuple[list[Any], bool]:
    """Return what was given as a list, and whether it was several; what is neither text nor sequence is one."""
    several = isinstance(names, Sequence) and not isinstance(names, str | bytes)
    return (list(names) if several else [names]), several
