"""One line when a large file begins and one when it is there: for logs, where a bar would be noise."""

import sys
from collections.abc import Sequence
from typing import TextIO

from modelpm.api import Progress, Status, binary_size, printable

_LARGE = 1 << 20  # bytes; smaller files are there before the line is read


class Plain:
    """Writes the lines.

    Args:
        stream: Where to; stderr by default.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._begun: set[tuple[str, str]] = set()
        self._ended: set[tuple[str, str]] = set()

    def show(self, progress: Sequence[Progress]) -> None:
        """Say which large files began and ended since the last call."""
        for value in progress:
            if value.file and (value.total_bytes or 0) > _LARGE:
                self._tell(value)

    def close(self) -> None:
        """Do nothing: every line is finished."""

    def _tell(self, value: Progress) -> None:
        key = (value.model_id, value.file)
        if value.status is not Status.QUEUED and key not in self._begun:
            self._begun.add(key)
            self._write(f"Downloading {value.file} ({binary_size(value.total_bytes)})")
        if value.status is Status.COMPLETED and key not in self._ended:
            self._ended.add(key)
            self._write(f" Downloaded {value.file}")

    def _write(self, text: str) -> None:
        self._stream.write(printable(text) + "\n")
        self._stream.flush()
