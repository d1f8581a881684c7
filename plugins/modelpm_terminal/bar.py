"""Bars on a terminal, redrawn in place by rich and cleared at the end, so that only the summary stays."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.live import Live
from rich.text import Text

from modelpm.api import Progress
from modelpm_terminal.drawing import draw, rows


class Bar:
    """Draws one bar for each file under way, and one for everything.

    Args:
        console: Where to; stderr by default.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stderr)
        self._live: Live | None = None
        self._models: dict[str, Progress] = {}
        self._files: dict[str, list[Progress]] = {}

    def show(self, progress: Sequence[Progress]) -> None:
        """Draw the state; a model that is not in it stands as it was."""
        for value in progress:
            if not value.file:
                self._models[value.model_id] = value
                self._files[value.model_id] = []
        for value in progress:
            if value.file:
                self._files.setdefault(value.model_id, []).append(value)
        if self._live is None:
            self._live = Live(
                console=self._console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
            )
            self._live.start()
        self._live.update(self._drawn(), refresh=True)

    def close(self) -> None:
        """Clear the bars away."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _drawn(self) -> Text:
        width, height = self._console.size
        files = (file for of_model in self._files.values() for file in of_model)
        made = rows(self._models.values(), files, limit=height - 3)
        text = Text(no_wrap=True, overflow="crop", end="")
        lines = draw(made, width, ascii_only=not self._console.encoding.startswith("utf"))
        for index, (name, rest) in enumerate(lines):
            text.append("\n" if index else "").append(name, style="dim").append(rest)
        return text
