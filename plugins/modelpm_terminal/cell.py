"""Rows in the output of a notebook's cell, as text that is replaced in place: no widget, no extension."""

import sys
from collections.abc import Sequence
from typing import Any

_SIZE = (100, 24)  # a cell's output wraps at no width of its own


class Cell:
    """The rows; each cell that runs gets rows of its own."""

    ascii_only = False

    def __init__(self) -> None:
        self._count: int | None = None  # of the cell whose output has them
        self._shown: Any = None

    @property
    def is_new(self) -> bool:
        """Whether another cell runs than the one that has the rows."""
        shell = kernel_shell()
        return shell is not None and shell.execution_count != self._count

    def size(self) -> tuple[int, int]:
        """Return columns and rows."""
        return _SIZE

    def draw(self, rows: Sequence[str], _width: int) -> None:
        """Draw the rows in the place of those before."""
        from IPython.display import display

        show: Any = display  # without annotations
        text = {"text/plain": "\n".join(rows)}
        if self.is_new:
            shell = kernel_shell()
            self._count = shell.execution_count if shell is not None else None
            self._shown = show(text, raw=True, display_id=True)
        elif self._shown is not None:
            self._shown.update(text, raw=True)

    def clear(self) -> None:
        """Leave the last rows: a notebook keeps what was done."""


def kernel_shell() -> Any:
    """Return the shell of the notebook that this process runs for; None if it runs for none."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    return shell if hasattr(shell, "kernel") else None
