"""Progress as lines: for logs and screen readers, where a bar would be noise."""

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TextIO

from modelpm.api import Progress, Stage, Status, Work, binary_size, printable
from modelpm.api.toolkit import amount, percent
from modelpm_terminal.drawing import left_text

_LARGE = 1 << 20  # bytes; smaller files are there before the line is read
_QUIET = 8.0  # seconds without a line after which one says that the work continues
_SOON = 1.0  # seconds after which work is worth a line; a wait for others is told at once
_AT_ONCE = frozenset({Work.LIMITED, Work.WAITING, Work.RETRYING, Work.RESUMING, Work.STALLED})


class Plain:
    """Writes a line when a large file begins and ends, at each wait, and every few seconds in between.

    Args:
        stream: Where to; stderr by default.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._begun: set[tuple[str, str]] = set()
        self._ended: set[tuple[str, str]] = set()
        self._told: dict[tuple[str, str], tuple[Work, str]] = {}  # of the stages
        self._models: dict[str, Progress] = {}
        self._written = time.monotonic()

    def show(self, progress: Sequence[Progress]) -> None:
        """Say which large files began and ended since the last call; how far all is, if nothing was said lately."""
        for value in progress:
            if not value.file:
                self._models[value.model_id] = value
            elif (value.total_bytes or 0) > _LARGE:
                self._tell(value)
        if self._is_quiet():
            self._write(_summary(list(self._models.values())))

    def stages(self, stages: Sequence[Stage]) -> None:
        """Say what is waited for, or takes long; again if nothing was said lately."""
        now = datetime.now(UTC)
        self._told = {stage.key: self._told[stage.key] for stage in stages if stage.key in self._told}
        for stage in stages:
            known = (stage.work, stage.detail)
            lasts = stage.work in _AT_ONCE or (now - stage.since).total_seconds() >= _SOON
            if lasts and self._told.get(stage.key) != known:
                self._told[stage.key] = known
                self._write(stage.words(now))
        if stages and self._is_quiet():
            self._write(stages[-1].words(now))

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

    def _is_quiet(self) -> bool:
        return time.monotonic() - self._written >= _QUIET

    def _write(self, text: str) -> None:
        self._written = time.monotonic()
        self._stream.write(printable(text) + "\n")
        self._stream.flush()


def _summary(models: Sequence[Progress]) -> str:
    """Return how far everything is: ``Downloaded 12.0 of 24.0 MiB (50%), 3/8 files, 2.0 MiB/s, 6s left``."""
    done, totals = sum(model.downloaded_bytes for model in models), [model.total_bytes for model in models]
    total = None if None in totals else sum(number for number in totals if number is not None)
    speed = sum(model.speed for model in models)
    files = sum(model.files_total for model in models)
    left = left_text((total - done) / speed) if total is not None and speed >= 1 else "—"
    hashing = all(model.status in {Status.VERIFYING, Status.COMPLETED} for model in models)
    parts = [
        f"{'Verified' if hashing else 'Downloaded'} {amount(done, total, between=' of ')}"
        + (f" ({percent(done, total)})" if total else ""),
        f"{sum(model.files_done for model in models)}/{files} files" if files > 1 else "",
        f"{binary_size(int(speed))}/s",
        "time left unknown" if left == "—" else f"{left} left",
    ]
    return ", ".join(part for part in parts if part)
