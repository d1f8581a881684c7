"""Read TOML that a stranger wrote: one reader for catalogs, manifests, locks and settings. Pure.

The standard parser recurses into brackets and takes quadratic time over long dotted keys, so one pass looks at size and
depth before it starts.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from modelpm.text.untrusted import printable, shortened

MAX_BYTES = 1 << 20
MAX_DEPTH = 8
MAX_NUMBER = (1 << 63) - 1  # TOML promises 64 bits, and no more
_MAX_KEY = 60  # characters of a key in a message

# Possessive: whatever the text is, each character is looked at once, and no state is kept for it.
_MARKS = (  # compiled where it is needed: a lock that we wrote needs no parser
    r"(?s)"
    r'"""(?:[^"\\]++|\\.|"(?!""))*+"{0,5}'
    r"|'''(?:[^']++|'(?!''))*+'{0,5}"
    r'|"(?:[^"\\\n]++|\\[^\n])*+"?'
    r"|'[^'\n]*+'?"
    r"|\#[^\n]*+"
    r"|[=,\n][^\[\]{}.=,\n\"'#]*+"
    r"|[\[\]{}.]"
)


class TomlError(ValueError):
    """A text that cannot be used as TOML; the message says why, and at which line and key."""


def loads(text: str, *, limit: int = MAX_BYTES) -> dict[str, Any]:
    """Parse TOML in time that grows with its size and nothing else.

    Args:
        text: The file's content; a byte order mark at its start is skipped.
        limit: The most bytes it may have.

    Raises:
        TomlError: It is too large or too deep, or it is not TOML.
    """
    text = text.removeprefix("\ufeff")
    if len(text) > limit or len(text.encode(errors="replace")) > limit:
        raise TomlError(f"it is larger than {limit} bytes")
    if place := _too_deep(text):
        raise TomlError(f"keys or brackets are nested more than {MAX_DEPTH} deep{_at(text, place)}")
    import tomllib  # start-up, as above

    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TomlError(_decoded(text, str(error))) from None
    except (RecursionError, ValueError):  # a number of thousands of digits, among others
        raise TomlError("it has a value that cannot be read") from None
    if key := _too_large(tables):
        raise TomlError(f"`{_shown(key)}` has a number that needs more than 64 bits")
    return tables


def _too_deep(text: str) -> int:
    """Return where keys or brackets are nested too deep; 0 where they are not."""
    brackets = dots = 0
    for token in re.finditer(_MARKS, text):
        mark = text[token.start()]
        if mark in "[{":
            brackets, dots = brackets + 1, 0
        elif mark in "]}":
            brackets, dots = max(0, brackets - 1), 0
        elif mark == ".":
            dots += 1
        elif mark in "=,\n":
            dots = 0
        if brackets > MAX_DEPTH or dots >= MAX_DEPTH:
            return token.start()
    return 0


def _decoded(text: str, said: str) -> str:
    """Return the parser's words with the key of the line they are about."""
    found = re.search(r"\(at line (\d+), column \d+\)", said)
    if found is None or text.count("\n") < int(found[1]) - 1:
        return f"it is not TOML: {shortened(said)}"
    line = text.split("\n", int(found[1]))[int(found[1]) - 1]
    return f"it is not TOML: {shortened(said)}{_key_of(line)}"


def _at(text: str, place: int) -> str:
    start = text.rfind("\n", 0, place) + 1
    line = text[start : start + 2 * _MAX_KEY].split("\n", 1)[0]
    return f" (at line {text.count(chr(10), 0, place) + 1}){_key_of(line)}"


def _key_of(line: str) -> str:
    """Return the key of a line, never its value, which may be a secret."""
    key = line.partition("=")[0].strip() if "=" in line else ""
    return f", in the value of `{_shown(key)}`" if key else ""


def _shown(key: str) -> str:
    shown = printable(key[: _MAX_KEY + 1])
    return f"{shown[:_MAX_KEY]}…" if len(shown) > _MAX_KEY else shown


def _too_large(value: Any, key: str = "") -> str:
    """Return the key of a number that does not fit 64 bits; empty where there is none."""
    if isinstance(value, int):
        return key if not -MAX_NUMBER - 1 <= value <= MAX_NUMBER else ""
    if isinstance(value, Mapping):
        inside: Iterable[tuple[str, Any]] = ((f"{key}.{k}" if key else k, v) for k, v in value.items())
    elif isinstance(value, list):
        inside = ((f"{key}[{number}]", item) for number, item in enumerate(value, 1))
    else:
        return ""
    return next((found for k, v in inside if (found := _too_large(v, k))), "")
