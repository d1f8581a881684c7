"""Rows at the bottom of a terminal that are drawn again in place, and cleared away at the end.

A frame is one write: each row is drawn over the old one, and only then what is left of the old one is erased, so that
nothing flickers. The cursor is hidden within a write only, so that a process that is killed leaves it visible.
"""

import os
from collections.abc import Mapping, Sequence
from typing import TextIO

from modelpm.api.toolkit import cells

_BEGIN, _END = "\x1b[?2026h\x1b[?25l", "\x1b[?25h\x1b[?2026l"  # a terminal shows all between them at once
_ERASE_LINE, _ERASE_BELOW = "\x1b[K", "\x1b[J"
_SIZE = (80, 24)


class Frame:
    """The rows.

    Args:
        stream: The terminal.
        environ: Variables, which say the size of a terminal that does not know it.
    """

    is_new = False  # it is the same terminal all the time

    def __init__(self, stream: TextIO, environ: Mapping[str, str]) -> None:
        self._stream = stream
        self._environ = environ
        self._rows: Sequence[str] = ()
        self._width = 0

    @property
    def ascii_only(self) -> bool:
        """Whether the terminal shows ASCII only."""
        return not (self._stream.encoding or "").lower().startswith("utf")

    def size(self) -> tuple[int, int]:
        """Return columns and rows of the terminal as it is now."""
        try:
            size = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            size = os.terminal_size((0, 0))
        told = [self._environ.get(name, "") for name in ("COLUMNS", "LINES")]
        columns, lines = (int(text) if text.isdecimal() and len(text) < 6 else 0 for text in told)  # noqa: PLR2004
        return size.columns or columns or _SIZE[0], size.lines or lines or _SIZE[1]

    def draw(self, rows: Sequence[str], width: int) -> None:
        """Draw the rows in the place of those before; each is narrower than ``width``."""
        if not rows:
            self.clear()
            return
        text = f"{_ERASE_LINE}\n".join(rows)
        self._write(f"{_BEGIN}{self._back(width)}{text}{_ERASE_BELOW}{_END}")
        self._rows, self._width = tuple(rows), width

    def clear(self) -> None:
        """Erase the rows; the cursor is where the first of them began."""
        if self._rows:
            self._write(f"{_BEGIN}{self._back(self.size()[0])}{_ERASE_BELOW}{_END}")
            self._rows = ()

    def _back(self, width: int) -> str:
        """Return what moves the cursor to the beginning of the first row."""
        if not self._rows:
            return "\r"
        rows = len(self._rows)
        if width < self._width:  # a terminal that became narrower has broken the longer ones
            rows = sum(max(1, -(-cells(row) // max(1, width))) for row in self._rows)
        up = min(rows, max(1, self.size()[1])) - 1
        return f"\r\x1b[{up}A" if up else "\r"

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
