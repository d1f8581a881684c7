"""The values on a pickle's stack, as far as its verdict needs them; ``None`` stands for every other constant."""

from dataclasses import dataclass, field
from typing import Final

KEPT_ITEMS: Final = 256
"""Tuples and dictionaries with more items are not kept."""


class Unsafe(ValueError):  # noqa: N818 - a verdict
    """The pickle does something that rebuilding data never needs."""


@dataclass(frozen=True, slots=True)
class Global:
    """A class or function that the pickle imports."""

    name: str


@dataclass(slots=True, eq=False)
class Instance:
    """What calling a global gives; ``of`` is empty for what a persistent id stands for.

    Attributes:
        of: The global's name.
        arguments: Those of a persistent id, as far as the machine keeps them.
    """

    of: str
    arguments: object = None


@dataclass(slots=True, eq=False)
class Dtype:
    """A numpy dtype.

    Attributes:
        kind: Its letter: ``f``, ``S``, ``O``.
        itemsize: Bytes of one item.
        holds_objects: Whether its items, or fields of them, are objects.
        is_set: Whether it got its state.
    """

    kind: str
    itemsize: int
    holds_objects: bool = False
    is_set: bool = False


@dataclass(slots=True, eq=False)
class Fields:
    """A dictionary; it is ``complete`` while all its keys are texts, and few."""

    items: dict[str, object] = field(default_factory=dict)
    complete: bool = True

    def put(self, pairs: list[object]) -> int:
        """Keep keys and values, which alternate; return how many are kept now that were not."""
        before = len(self.items)
        for key, value in zip(pairs[::2], pairs[1::2], strict=False):
            if not self.complete:
                return 0
            if isinstance(key, str) and (key in self.items or len(self.items) < KEPT_ITEMS):
                self.items[key] = value
            else:
                self.complete = False
                self.items.clear()
        return max(0, len(self.items) - before)


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """A value that is nothing but a constant of Python, and that only its kind matters of."""

    what: str


MARK: Final = Constant("mark")
"""Marks where the items of a list or the arguments of a call begin."""
BYTES: Final = Constant("bytes")
"""Bytes that stand in the pickle."""
JOBLIB_CLASS: Final = Constant("joblib's wrapper of an array, as a class")
JOBLIB_ARRAY: Final = Constant("joblib's wrapper of an array, before its state")
"""Both have one use: the class makes a wrapper, and the wrapper gets its state and becomes an array at once."""
