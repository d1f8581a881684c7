"""Numbers and names as people read them. Pure: values in, text out."""

import re
import unicodedata

MAX_SIZE = (1 << 62) - 1
"""Most bytes that a file may have: a larger number is not a size, and no arithmetic has to cope with it."""

_NUMBER = re.compile(r"[0-9]{1,18}")
_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,6})?) *([kmgt]?)(?:ib|b)?", re.IGNORECASE | re.ASCII)
_FACTORS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def binary_size(count: int | None) -> str:
    """Return a number of bytes in binary units, ``4.7 GiB``; ``?`` if it is not known."""
    if count is None:
        return "?"
    value = float(count)
    unit = 0
    while value >= (1024 if unit == 0 else 1023.95) and unit < len(_UNITS) - 1:  # beyond, it shows as 1024.0
        value /= 1024
        unit += 1
    return f"{count} B" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def amount(done: int, total: int | None, *, between: str = "/") -> str:
    """Return ``1.2/4.7 GiB``, or ``1.2 GiB`` where the total is not known."""
    if total is None:
        return binary_size(done)
    number, unit = binary_size(total).split(" ")
    scale = 1 << 10 * _UNITS.index(unit)
    return f"{done / scale:.1f}{between}{number} {unit}" if scale > 1 else f"{done}{between}{number} {unit}"


def percent(done: int, total: int | None) -> str:
    """Return ``46%``, ``100%`` only for all of it; empty if the total is not known."""
    return f"{min(100, 100 * done // total)}%" if total else ""


def number_of(text: str) -> int | None:
    """Return the whole number that a text from outside is, or None if it is anything else.

    At most 18 ASCII digits: ``int`` also takes signs, spaces, underscores and the digits of other scripts, and raises
    for thousands of digits, which no number of bytes has.
    """
    return int(text) if _NUMBER.fullmatch(text) else None


def parse_size(text: str) -> int | None:
    """Return the bytes that ``200G``, ``1.5 TiB``, ``700k`` or plain ``4096`` means; None if it is not a size."""
    found = _SIZE.fullmatch(text.strip())
    number = float(found[1]) * _FACTORS[found[2].lower()] if found else 0.5
    return None if 0 < number < 1 else int(number)


def duration(seconds: float) -> str:
    """Return a duration: ``171ms``, ``41.2s``, ``2m 05s``, ``1h 02m 05s``."""
    if seconds < 0.9995:  # noqa: PLR2004 - beyond, it rounds to a second
        return f"{seconds * 1000:.0f}ms"
    if seconds < 59.95:  # noqa: PLR2004 - as above
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m {rest:02d}s" if hours else f"{minutes}m {rest:02d}s"


def in_days(seconds: float) -> str:
    """Return a long time in whole days, at least one: ``1 day``, ``90 days``."""
    days = max(1, round(seconds / 86_400))
    return f"{days} day" if days == 1 else f"{days} days"


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
