"""What the inspection of one file may cost, however many archives, members and pickles it holds."""

from dataclasses import dataclass
from typing import Final

from modelpm.api.toolkit import BoundError

MOST_WORK: Final = 3_000_000
"""Units of about a microsecond: an opcode of a pickle, 256 bytes that are inflated."""
MEMBER: Final = 60
"""Units that a member of an archive costs before its bytes are read."""


@dataclass(slots=True)
class Budget:
    """The work that is left for one file; counted, not timed, so that a verdict is the same on every machine.

    Attributes:
        left: In units.
    """

    left: int = MOST_WORK

    def spend(self, units: int) -> None:
        """Take some.

        Raises:
            BoundError: There is less.
        """
        self.left -= units
        if self.left < 0:
            raise BoundError("that is more work than modelpm spends on one file")
