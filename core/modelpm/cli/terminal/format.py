"""Lines and tables as people read them. Pure: text in, text out."""

import re
from collections.abc import Sequence

from modelpm.text.human import cells, shorten
from modelpm.text.untrusted import printable

# A line has spans, each a text and the name of its style; the printer escapes and colors them.
Span = tuple[str, str]
Line = tuple[Span, ...]

_WORD = re.compile(r"^\s*/.+|(?:(?<=: )|(?<=^ ))modelpm .*|\d[\d.,]* [KMGT]?i?B(?![^\W_])\S*|(?:`[^`]*`|\S)+")
_WIDE = 60  # cells; below that a hanging indent takes too much
_MIN_COLUMN = 6
_GAP = 2


def line(*spans: str | Span) -> Line:
    """Make a line; a plain text is a span without a style."""
    return tuple((span, "") if isinstance(span, str) else span for span in spans)


def count(number: int, noun: str, plural: str = "") -> str:
    """Return ``1 model``, ``2 models``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def page_of(address: str) -> str:
    """Return the browser's address for a reference that only modelpm reads; any other text as it is."""
    scheme, _, rest = address.partition("://")
    if scheme != "hf":
        return address
    return "https://huggingface.co/" + "/".join(rest.partition(":")[0].split("@")[0].split("/")[:2])


def wrapped(spans: Line, width: int) -> list[Line]:
    """Break a line between words, so that each part fits a terminal; further parts are indented.

    What people copy stays whole at any length: a command after a colon, a path, a text in backticks.

    Args:
        spans: The line.
        width: Cells a part may take.
    """
    text = "".join(text for text, _ in spans)
    if cells(text) < width:
        return [spans]
    first = spans[0][0]
    label = len(first) + 1 if first.endswith(":") else 0
    before = label or len(text) - len(text.lstrip())
    indent = " " * (label if label and width >= _WIDE else before - label + _GAP)
    parts, begin, end = list[Line](), 0, 0
    for word in _WORD.finditer(text):
        limit = width - (len(indent) if parts else 0)
        if end > max(begin, before) and cells(text[begin : word.end()]) >= limit:
            parts.append((*([(indent, "")] if parts else ()), *_sliced(spans, begin, end)))
            begin = word.start()
        end = word.end()
    return [*parts, (*([(indent, "")] if parts else ()), *_sliced(spans, begin, len(text)))]


def _sliced(spans: Line, begin: int, end: int) -> Line:
    """Return a part of a line, with its styles."""
    found, at = [], 0
    for text, style in spans:
        if part := text[max(0, begin - at) : max(0, end - at)]:
            found.append((part, style))
        at += len(text)
    return tuple(found)


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None) -> list[Line]:
    """Lay out rows under dim headers, the first column bold.

    Args:
        headers: One per column; a header that begins with ``>`` aligns its column right.
        rows: Texts, one per header in each row.
        width: Cells of a line; None means no limit. The first column, which people copy, stays whole as long as the
            others can be shortened or, from the end, left out.
    """
    names = [header.removeprefix(">") for header in headers]
    texts = [names, *([printable(cell) for cell in row] for row in rows)]
    right = [header.startswith(">") for header in headers]
    widths = _fitted([max(cells(row[i]) for row in texts) for i in range(len(names))], right, width)
    return [_row(row, widths, right, "dim" if index == 0 else "") for index, row in enumerate(texts)]


def _fitted(widths: list[int], right: Sequence[bool], limit: int | None) -> list[int]:
    """Return the widths of the visible columns."""
    if limit is None:
        return widths
    for shown in range(len(widths), 0, -1):
        words = [i for i in range(1, shown) if not right[i]]  # a cut number is another number
        fitted = _shrunk(widths[:shown], words, limit)
        if _total(fitted) <= limit:
            return fitted
    return _shrunk(widths, range(len(widths)), limit)  # too narrow even for the first alone


def _shrunk(widths: list[int], columns: Sequence[int], limit: int) -> list[int]:
    """Narrow the widest of some columns until all fit, or none can be narrowed."""
    widths = list(widths)
    while _total(widths) > limit and columns:
        widest = max(columns, key=lambda i: widths[i])
        if widths[widest] <= _MIN_COLUMN:
            break
        widths[widest] -= 1
    return widths


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _row(row: Sequence[str], widths: Sequence[int], right: Sequence[bool], style: str) -> Line:
    spans: list[Span] = []
    for index, text in enumerate(row[: len(widths)]):
        cell = shorten(text, widths[index])
        pad = " " * (widths[index] - cells(cell))
        last = index == len(widths) - 1
        if right[index]:
            spans.append((pad + cell, style))
        else:
            spans.append((cell, style or ("bold" if index == 0 else "")))
            spans.append(("" if last else pad, ""))
        if not last:
            spans.append((" " * _GAP, ""))
    return tuple(span for span in spans if span[0])
