"""The look of the bars. Pure: states in, lines out."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from modelpm.api import Progress, Stage, Status, binary_size, printable
from modelpm.api.toolkit import amount, cells, percent, shorten
from modelpm_terminal.names import apart

_WIDE = 60  # cells; below that a bar does not fit beside the numbers
_PERCENT, _LEFT, _LEAST_BAR = 4, 7, 8  # cells that columns take
_ASIDE = re.compile(r" \([^()]*\)")
_EDGE = 3  # cells: a full line, also one with the ^C that a terminal echoes, would move the cursor to the next one
_MOST_STAGES = 3
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_MAX_LEFT = 100 * _HOUR  # seconds; a longer estimate is of no use
_UNKNOWN = "—"
_LONG = 3.0  # seconds of a stage after which its time is shown
_UNDER_WAY = (Status.DOWNLOADING, Status.VERIFYING)
_ASCII = str.maketrans({"…": "~", "—": "-", "━": "#", "─": "-"})
_SPINNER, _ASCII_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\"


@dataclass(frozen=True, slots=True)
class Row:
    """One line: a file, or everything.

    Attributes:
        name: What it is.
        done: Bytes present.
        total: Total bytes, or None.
        speed: Text of the speed column.
        left: Text of the time column.
    """

    name: str
    done: int
    total: int | None
    speed: str = ""
    left: str = ""


def rows(models: Iterable[Progress], files: Iterable[Progress], limit: int) -> list[Row]:
    """Decide what to show: the active files, the largest lowest, and below them everything.

    Args:
        models: The last state of every model.
        files: The states of all files.
        limit: Lines that fit.
    """
    known = list(models)
    if not known:
        return []
    everything = _everything(known)
    active = sorted((f for f in files if f.status in _UNDER_WAY), key=lambda f: (f.total_bytes or 0, f.file))
    if len(active) == 1 and active[0].total_bytes == everything.total:  # it is all there is: one line says it
        return [Row(printable(active[0].file), everything.done, everything.total, everything.speed, everything.left)]
    shown = active[-(limit - 1) :] if limit > 1 else []
    return [*(_of_file(file) for file in shown), everything]


def draw(made: Sequence[Row], width: int, *, ascii_only: bool = False) -> list[str]:
    """Lay the rows out in lines of less than ``width`` cells."""
    if not made:
        return []
    width = max(1, width - _EDGE)
    lines = _wide(made, width) if width >= _WIDE else _narrow(made, width)
    return [line.translate(_ASCII) for line in lines] if ascii_only else lines


def draw_stages(
    stages: Sequence[Stage], now: datetime, width: int, limit: int, *, ascii_only: bool = False
) -> list[str]:
    """Lay out what is waited for, or takes long, in lines of less than ``width`` cells."""
    spinner = _ASCII_SPINNER if ascii_only else _SPINNER
    mark = spinner[int(now.timestamp() * 10) % len(spinner)]
    lines = []
    for stage in stages[: min(limit, _MOST_STAGES)]:
        took = (now - stage.since).total_seconds()
        counted = stage.until is not None or stage.work.value in {"stalled", "resuming"}
        age = f" ({left_text(took)})" if took >= _LONG and not counted else ""
        text, space = f"{mark} {printable(stage.words(now))}", max(1, width - _EDGE - len(age))
        if cells(text) > space:  # what the other process does matters less than what is waited for
            text = _ASIDE.sub("", text)
        lines.append(_cut(text, space) + age)
    return [line.translate(_ASCII) for line in lines] if ascii_only else lines


def left_text(seconds: float) -> str:
    """Return a time as short as it is read: ``41s``, ``2m 05s``, ``1h 02m``, ``3d 04h``; a dash where it is unknown."""
    if not 0 <= seconds < _MAX_LEFT:
        return _UNKNOWN
    whole = max(1, round(seconds))
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m {whole % _MINUTE:02}s"
    minutes = round(whole / _MINUTE)
    hours, minutes = divmod(minutes, _MINUTE)
    return f"{hours}h {minutes:02}m" if whole < _DAY else f"{hours // 24}d {hours % 24:02}h"


def _of_file(file: Progress) -> Row:
    note = "verifying" if file.status is Status.VERIFYING else ""
    return Row(printable(file.file), file.downloaded_bytes, file.total_bytes, note)


def _everything(models: Sequence[Progress]) -> Row:
    done = sum(model.downloaded_bytes for model in models)
    totals = [model.total_bytes for model in models]
    total = None if None in totals else sum(number for number in totals if number is not None)
    under_way = [model for model in models if model.status in _UNDER_WAY]
    speed = sum(model.speed for model in under_way)
    count, files = sum(model.files_done for model in models), sum(model.files_total for model in models)
    name = f"Total {count}/{files} files" if files > 1 else "Total"
    if not under_way or (total is not None and done >= total):
        return Row(name, done, total)
    left = (total - done) / speed if total is not None and speed >= 1 else float("inf")
    return Row(name, done, total, f"{binary_size(int(speed))}/s", left_text(left))


def _wide(made: Sequence[Row], width: int) -> list[str]:
    """Lay out name, bar, share, amount, speed and time, each column as wide as it must be."""
    amounts = [amount(row.done, row.total) for row in made]
    amount_width = max(17, *map(len, amounts))
    speed_width = max(11, *(len(row.speed) for row in made))
    space = width - amount_width - speed_width - _PERCENT - _LEFT - 5
    longest = max(cells(row.name) for row in made)
    name_width = max(1, min(longest, space - _LEAST_BAR))
    names = [*apart([row.name for row in made[:-1]], name_width), shorten(made[-1].name, name_width)]
    bar = max(1, min(40, space - name_width))
    return [
        f"{_padded(name, name_width)} {_bar(row, bar)} {percent(row.done, row.total):>{_PERCENT}}"
        f" {text:>{amount_width}} {row.speed:>{speed_width}} {row.left:>{_LEFT}}".rstrip()
        for row, name, text in zip(made, names, amounts, strict=True)
    ]


def _narrow(made: Sequence[Row], width: int) -> list[str]:
    amounts = [amount(row.done, row.total) for row in made]
    numbers = [f"{percent(r.done, r.total):>{_PERCENT}} {text:>13}" for r, text in zip(made, amounts, strict=True)]
    space = max(1, width - max(map(len, numbers)) - 1)
    names = [*apart([row.name for row in made[:-1]], space), shorten(made[-1].name, space)]
    lines = [_cut(f"{_padded(n, space)} {number}", width) for n, number in zip(names, numbers, strict=True)]
    if made[-1].speed:
        left = made[-1].left
        text = (
            f"{made[-1].speed}, {'time' if left == _UNKNOWN else left} {'left unknown' if left == _UNKNOWN else 'left'}"
        )
        lines.append(_cut(text, width).rjust(width))
    return lines


def _bar(row: Row, width: int) -> str:
    if not row.total:
        return " " * width
    full = min(width, width * row.done // row.total)
    return "━" * full + "─" * (width - full)


def _padded(name: str, width: int) -> str:
    return name + " " * (width - cells(name))


def _cut(text: str, width: int) -> str:
    """Cut the end off a text that is wider than ``width`` cells."""
    if cells(text) <= width:
        return text
    while cells(text) > max(0, width - 1):
        text = text[:-1]
    return f"{text}…"[:width]
