"""Lines and tables as people read them. Pure: text in, text out."""

from collections.abc import Sequence

from modelpm.names import printable
from modelpm.text import cells, shorten

# A line is made of spans, each a text and the name of its style; escaping and colour are the printer's business.
Span = tuple[str, str]
Line = tuple[Span, ...]

_MIN_COLUMN = 6
_GAP = 2


def line(*spans: str | Span) -> Line:
    """Make a line; a plain text is a span without a style."""
    return tuple((span, "") if isinstance(span, str) else span for span in spans)


def count(number: int, noun: str, plural: str = "") -> str:
    """Return ``1 model``, ``2 models``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None) -> list[Line]:
    """Lay out rows under dim headers, the first column bold.

    Args:
        headers: One a column; a header that begins with ``>`` aligns its column right.
        rows: Texts, as many in each row as there are headers.
        width: Cells a line may take; the widest columns are shortened to fit. None means no limit.
    """
    names = [header.removeprefix(">") for header in headers]
    texts = [names, *([printable(cell) for cell in row] for row in rows)]
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
