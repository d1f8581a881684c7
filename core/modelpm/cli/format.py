"""Numbers, times and tables as people read them. Pure: text in, text out."""

import unicodedata
from collections.abc import Sequence

# A line is made of spans, each a text and the name of its style; escaping and colour are the printer's business.
Span = tuple[str, str]
Line = tuple[Span, ...]

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_MIN_COLUMN = 6
_GAP = 2


def line(*spans: str | Span) -> Line:
    """Make a line; a plain text is a span without a style."""
    return tuple((span, "") if isinstance(span, str) else span for span in spans)


def size(count: int | None) -> str:
    """Return a number of bytes in binary units, ``4.7 GiB``; ``?`` where it is not known."""
    if count is None:
        return "?"
    value = float(count)
    unit = 0
    while value >= (1024 if unit == 0 else 1023.95) and unit < len(_UNITS) - 1:  # beyond, it shows as 1024.0
        value /= 1024
        unit += 1
    return f"{count} B" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def elapsed(seconds: float) -> str:
    """Return a duration: ``171ms``, ``41.2s``, ``2m 05s``, ``1h 02m 05s``."""
    if seconds < 0.9995:  # noqa: PLR2004 - beyond, it rounds to a second
        return f"{seconds * 1000:.0f}ms"
    if seconds < 59.95:  # noqa: PLR2004 - as above
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m {rest:02d}s" if hours else f"{minutes}m {rest:02d}s"


def count(number: int, noun: str, plural: str = "") -> str:
    """Return ``1 model``, ``2 models``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def cells(text: str) -> int:
    """Return how many terminal cells the text takes."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) > 0 for char in text)


def shorten(text: str, width: int) -> str:
    """Cut the middle out of a text that is wider than ``width`` cells: begin and end tell most about a name."""
    if cells(text) <= width:
        return text
    if width <= 1:
        return "…"[:width]
    head, tail = "", ""
    for index in range(len(text)):
        longer = (head + text[len(head)], tail) if index % 2 == 0 else (head, text[-len(tail) - 1] + tail)
        if cells(longer[0]) + cells(longer[1]) > width - 1:
            break
        head, tail = longer
    return f"{head}…{tail}"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None) -> list[Line]:
    """Lay out rows under dim headers, the first column bold.

    Args:
        headers: One a column; a header that begins with ``>`` aligns its column right.
        rows: Texts, as many in each row as there are headers.
        width: Cells a line may take; the widest columns are shortened to fit. None means no limit.
    """
    names = [header.removeprefix(">") for header in headers]
    texts = [names, *([str(cell) for cell in row] for row in rows)]
    widths = _fitted([max(cells(row[i]) for row in texts) for i in range(len(names))], width)
    right = [header.startswith(">") for header in headers]
    return [_row(row, widths, right, "dim" if index == 0 else "") for index, row in enumerate(texts)]


def _fitted(widths: list[int], limit: int | None) -> list[int]:
    if limit is None:
        return widths
    widths = list(widths)
    while sum(widths) + _GAP * (len(widths) - 1) > limit and max(widths) > _MIN_COLUMN:
        widths[widths.index(max(widths))] -= 1
    return widths


def _row(row: Sequence[str], widths: Sequence[int], right: Sequence[bool], style: str) -> Line:
    spans: list[Span] = []
    for index, text in enumerate(row):
        cell = shorten(text, widths[index])
        pad = " " * (widths[index] - cells(cell))
        last = index == len(row) - 1
        if right[index]:
            spans.append((pad + cell, style))
        else:
            spans.append((cell, style or ("bold" if index == 0 else "")))
            spans.append(("" if last else pad, ""))
        if not last:
            spans.append((" " * _GAP, ""))
    return tuple(span for span in spans if span[0])
