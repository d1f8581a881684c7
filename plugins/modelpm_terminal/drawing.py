"""The look of the bars. Pure: states in, lines out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from modelpm.api import Progress, Status, binary_size, duration, printable
from modelpm.api.toolkit import cells, shorten

_WIDE = 69  # cells; below that a bar does not fit beside the numbers
_PERCENT, _AMOUNT, _SPEED, _LEFT = 4, 17, 12, 11  # cells that the columns take
_FULL = 100
_MAX_LEFT = 100 * 3600  # seconds; a longer estimate is of no use
_UNDER_WAY = (Status.DOWNLOADING, Status.VERIFYING)


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
    everything = _everything(list(models))
    active = sorted((f for f in files if f.status in _UNDER_WAY), key=lambda f: (f.total_bytes or 0, f.file))
    if len(active) == 1 and active[0].total_bytes == everything.total:  # it is all there is: one line says it
        return [Row(printable(active[0].file), everything.done, everything.total, everything.speed, everything.left)]
    shown = active[-max(1, limit - 1) :]
    return [*(_of_file(file) for file in shown), everything]


def draw(made: Sequence[Row], width: int, *, ascii_only: bool = False) -> list[tuple[str, str]]:
    """Lay the rows out in lines of less than ``width`` cells, each as a name and the text beside it."""
    width -= 3  # a full line, also one with the ^C that a terminal echoes, would move the cursor to the next one
    wide = width >= _WIDE
    lines = [_wide(row, width, ascii_only=ascii_only) if wide else _narrow(row, width) for row in made]
    if made and made[-1].left and not wide:
        lines.append(("", f"{made[-1].speed}, {made[-1].left} left".rjust(width)))
    return [(name.replace("…", "~"), rest) for name, rest in lines] if ascii_only else lines


def amount(done: int, total: int | None) -> str:
    """Return ``1.2/4.7 GiB``, or ``1.2 GiB`` where the total is not known."""
    if total is None:
        return binary_size(done)
    number, unit = binary_size(total).split(" ")
    scale = 1 << 10 * ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB").index(unit)
    return f"{done / scale:.1f}/{number} {unit}" if scale > 1 else f"{done}/{number} {unit}"


def _of_file(file: Progress) -> Row:
    note = "verifying" if file.status is Status.VERIFYING else ""
    return Row(printable(file.file), file.downloaded_bytes, file.total_bytes, note)


def _everything(models: Sequence[Progress]) -> Row:
    done = sum(model.downloaded_bytes for model in models)
    totals = [model.total_bytes for model in models]
    total = None if None in totals else sum(number for number in totals if number is not None)
    speed = sum(model.speed for model in models if model.status in _UNDER_WAY)
    if speed <= 0:
        return Row("Total", done, total)
    left = (total - done) / speed if total is not None and total > done else 0
    return Row("Total", done, total, f"{binary_size(int(speed))}/s", _left(left))


def _left(seconds: float) -> str:
    if not 0 < seconds < _MAX_LEFT - 1:  # before it is rounded: it may be infinite
        return ""
    return duration(max(1, round(seconds))).replace(".0s", "s")


def _wide(row: Row, width: int, *, ascii_only: bool) -> tuple[str, str]:
    room = width - _AMOUNT - _SPEED - _LEFT - 4
    name = room // 2
    columns = (
        _bar(row, room - name, ascii_only=ascii_only),
        f"{amount(row.done, row.total):>{_AMOUNT}}",
        f"{row.speed:>{_SPEED}}",
        f"{row.left:>{_LEFT}}",
    )
    return _padded(row.name, name), " " + " ".join(columns)


def _narrow(row: Row, width: int) -> tuple[str, str]:
    numbers = f"{_percent(row):>{_PERCENT}} {amount(row.done, row.total):>{_AMOUNT}}"
    return _padded(row.name, max(1, width - len(numbers) - 1)), " " + numbers


def _bar(row: Row, width: int, *, ascii_only: bool) -> str:
    if not row.total:
        return " " * width
    full = min(width, width * row.done // row.total)
    mark, rest = ("#", "-") if ascii_only else ("━", "─")
    return mark * full + rest * (width - full)


def _percent(row: Row) -> str:
    return f"{min(_FULL, _FULL * row.done // row.total)}%" if row.total else ""


def _padded(name: str, width: int) -> str:
    short = shorten(name, width)
    return short + " " * (width - cells(short))
