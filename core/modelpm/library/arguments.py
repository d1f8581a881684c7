"""Arguments that take one value or several."""

from collections.abc import Sequence
from typing import Any


def as_list(names: Any) -> tuple[list[Any], bool]:
    """Return an argument as a list, and whether it was a sequence; a text is one value."""
    several = isinstance(names, Sequence) and not isinstance(names, str | bytes)
    return (list(names) if several else [names]), several
