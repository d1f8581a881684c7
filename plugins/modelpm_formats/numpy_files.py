"""numpy's files: the header of an array, and how many bytes it has; an array of objects is a pickle."""

import ast
import re
from math import prod
from typing import Final

from modelpm.api.toolkit import BoundError, Cursor, MalformedError
from modelpm_formats.budget import Budget

HEAD: Final = 6
_MAGIC: Final = b"\x93NUMPY"
_DEPTH: Final = 4
_LONGEST_HEADER: Final = 64 << 10
_PYTHON_2_LONG: Final = re.compile(rb"(?<=[0-9])L(?=[,)])")
_PLAIN_TYPE: Final = re.compile(r"[<>|=]?(?=[biufcmM][0-9]|[SUV?])(.)([0-9]{0,9})(?:\[[0-9a-zA-Z]+\])?")
_CHARACTER: Final = 4


def is_array(head: bytes) -> bool:
    """Return whether bytes begin with an array as ``numpy.save`` writes it."""
    return head.startswith(_MAGIC)


def plain_size(cursor: Cursor, budget: Budget) -> int | None:
    """Read an array's header, and return the bytes of its numbers and texts; None if it holds objects.

    Args:
        cursor: Stands at the magic; afterwards, behind the header.
        budget: For the header.

    Raises:
        MalformedError: The header cannot be read, or is too large.
    """
    major = cursor.take(len(_MAGIC) + 2)[len(_MAGIC)]
    length = cursor.number(2 if major == 1 else 4)
    if length > _LONGEST_HEADER:
        raise BoundError("the header of the array is larger than modelpm reads")
    budget.spend(length)
    table = _table(cursor.take(length))
    width, shape = _width(table.get("descr"), _DEPTH), table.get("shape")
    if width is None:
        return None
    counts = [count for count in shape if isinstance(count, int) and count >= 0] if isinstance(shape, tuple) else []
    if not isinstance(shape, tuple) or len(counts) < len(shape):
        raise MalformedError("the header of the array has no valid shape")
    return prod(counts) * width


def _table(header: bytes) -> dict[object, object]:
    try:
        plain = _PYTHON_2_LONG.sub(b"", header).decode("latin-1").strip()
        table = None if "\\" in plain else ast.literal_eval(plain)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise MalformedError("the header of the array cannot be read") from error
    return table if isinstance(table, dict) else {}


def _width(kind: object, depth: int) -> int | None:
    """Return the bytes of one item; None if it may hold objects."""
    if isinstance(kind, str):
        found = _PLAIN_TYPE.fullmatch(kind)
        if found is None:
            return None
        return int(found[2] or found[1] == "?") * (_CHARACTER if found[1] == "U" else 1)
    rows: list[object] = kind if isinstance(kind, list) and depth else [None]
    total = 0
    for row in rows:
        if not isinstance(row, tuple) or len(row) < 2:  # noqa: PLR2004 - a name and a type
            return None
        width = _width(row[1], depth - 1)
        if width is None:
            return None
        total += width * _count(row[2:])
    return total


def _count(shape: tuple[object, ...]) -> int:
    inner = shape[0] if shape else ()
    counts = inner if isinstance(inner, tuple) else (inner,)
    return prod(count for count in counts if isinstance(count, int))
