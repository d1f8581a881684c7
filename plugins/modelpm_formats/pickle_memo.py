"""A pickle's memo: nearly always its indexes are 0, 1, 2, …, so that a list holds it in little memory."""

from dataclasses import dataclass, field
from typing import Final

from modelpm_formats.pickle_values import MARK

_GAP: Final = 16
_NEAR, _FAR = 1, 8  # units of work, by the memory that an entry takes


@dataclass(slots=True)
class Memo:
    """The values by index; a mark, which no pickle can put there, is what was never set."""

    near: list[object] = field(default_factory=list)
    far: dict[int, object] = field(default_factory=dict)
    count: int = 0

    def __len__(self) -> int:
        """Return how many indexes were set, which is the index that MEMOIZE takes."""
        return self.count

    def put(self, index: int, value: object) -> int:
        """Set a value; return the units of work that this is."""
        self.count += self.get(index) is MARK
        if not len(self.near) <= index <= len(self.near) + _GAP:
            if 0 <= index < len(self.near):
                self.near[index] = value
                return _NEAR
            self.far[index] = value
            return _FAR
        self.near.extend([MARK] * (index - len(self.near)))
        self.near.append(value)
        return _NEAR

    def get(self, index: int) -> object:
        """Return a value, or the mark."""
        if 0 <= index < len(self.near) and self.near[index] is not MARK:
            return self.near[index]
        return self.far.get(index, MARK)
