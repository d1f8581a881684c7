"""The values on a pickle's stack, as far as its verdict needs them; ``None`` stands for every other one."""

from dataclasses import dataclass, field
from typing import Final

KEPT_ITEMS: Final = 16
"""Tuples and dictionaries with more items are not kept."""


@dataclass(frozen=True, slots=True)
class Global:
    """A class or function that the pickle imports."""

    name: str


@dataclass(slots=True, eq=False)
class Instance:
    """What calling a global gives, with its arguments as far as the machine keeps them."""

    of: str
    arguments: object = None


@dataclass(slots=True, eq=False)
class Fields:
    """A dictionary; it is ``complete`` while all its keys are texts, and few."""

    items: dict[str, object] = field(default_factory=dict)
    complete: bool = True

    def put(self, pairs: list[object]) -> None:
        """Keep keys and values, which alternate."""
        for key, value in zip(pairs[::2], pairs[1::2], strict=False):
            if isinstance(key, str) and (key in self.items or len(self.items) < KEPT_ITEMS):
                self.items[key] = value
            else:
                self.complete = False


class Mark:
    """Marks where the items of a list or the arguments of a call begin."""


MARK: Final = Mark()
