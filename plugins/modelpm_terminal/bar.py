"""Bars on a terminal, redrawn in place and cleared at the end, so that only the summary stays; or in a notebook."""

from collections.abc import Sequence
from datetime import UTC, datetime

from modelpm.api import Progress, Stage
from modelpm_terminal.cell import Cell
from modelpm_terminal.drawing import draw, draw_stages, rows
from modelpm_terminal.frame import Frame


class Bar:
    """Draws one bar for each file under way, one for everything, and a line for each wait.

    Args:
        frame: Where they are drawn.
    """

    def __init__(self, frame: Frame | Cell) -> None:
        self._frame = frame
        self._models: dict[str, Progress] = {}
        self._files: dict[str, list[Progress]] = {}
        self._stages: Sequence[Stage] = ()

    def show(self, progress: Sequence[Progress]) -> None:
        """Draw the state; a model that is not in it stands as it was."""
        if self._frame.is_new:
            self._models.clear()
            self._files.clear()
        for value in progress:
            if not value.file:
                self._models[value.model_id] = value
                self._files[value.model_id] = []
        for value in progress:
            if value.file:
                self._files.setdefault(value.model_id, []).append(value)
        self._draw()

    def stages(self, stages: Sequence[Stage]) -> None:
        """Draw what is waited for, and what takes long."""
        self._stages = stages
        self._draw()

    def close(self) -> None:
        """Clear the bars away."""
        self._frame.clear()

    def _draw(self) -> None:
        width, height = self._frame.size()
        limit, ascii_only = max(1, height - 2), self._frame.ascii_only
        waits = draw_stages(self._stages, datetime.now(UTC), width, limit - 1, ascii_only=ascii_only)
        files = (file for of_model in self._files.values() for file in of_model)
        made = rows(self._models.values(), files, max(1, limit - len(waits) - 1))
        bars = draw(made, width, ascii_only=ascii_only)
        self._frame.draw([*bars, *waits][-limit:], width)
