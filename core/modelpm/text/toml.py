"""Read TOML that a stranger wrote: one reader for catalogs, manifests, locks and settings. Pure.

:func:`loads` parses a text. The standard parser recurses into brackets and takes quadratic time over long dotted keys,
so one pass looks at size and depth before it starts. :class:`Table` checks the types of values while they are read.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn, TypeVar

from modelpm.text.human import MAX_SIZE
from modelpm.text.suggest import suggest
from modelpm.text.untrusted import printable, shortened

MAX_BYTES = 1 << 20
MAX_DEPTH = 8
MAX_NUMBER = (1 << 63) - 1  # TOML promises 64 bits, and no more
MAX_TEXT = 8192  # characters of a text; longer is not a name, address or license
_MAX_KEY = 60  # characters of a key or a value in a message

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
_PART = r"""(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')"""
_LINE = rf"[ \t]*+(\[?\[?)[ \t]*+({_PART}(?:[ \t]*+\.[ \t]*+{_PART})*+)"
_Path = tuple[str | int, ...]
_T = TypeVar("_T")


class TomlError(ValueError):
    """A text that cannot be used as TOML; the message says why, and at which line and key.

    Attributes:
        hints: What to do next, each a sentence.
    """

    def __init__(self, message: str, hints: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.hints = tuple(hints)


def any_text(text: str) -> bool:  # noqa: ARG001 - a check that passes everything
    """Accept every text, also an empty one."""
    return True


class Table(NamedTuple):  # a dataclass takes a millisecond to make, at every start
    """A table whose values are read by key and type; keys that are not read are ignored.

    Every method that reads raises a :class:`TomlError` that says line, key and what is allowed.

    Attributes:
        values: What was parsed.
        source: The text that :func:`loads` parsed, to tell lines; empty if there is none.
        where: The keys that lead to the table; numbers count the tables of an array from 1.
    """

    values: Mapping[str, Any]
    source: str = ""
    where: _Path = ()

    def name(self, key: str = "") -> str:
        """Return the full name of a key, or of the table itself: ``release[1].variant[2].name``."""
        path = (*self.where, key) if key else self.where
        return "".join(f"[{part}]" if isinstance(part, int) else f".{_shown(part)}" for part in path).lstrip(".")

    def line(self, key: str) -> str:
        """Return `` (at line 3)`` of a key, or of the table where the key is missing; empty if unknown."""
        number = _line_of(self.source, (*self.where, key))
        return f" (at line {number})" if number else ""

    def wrong(self, key: str, problem: str) -> TomlError:
        """Return the error of a key: its name, the problem, and the line."""
        return TomlError(f"`{self.name(key)}` {problem}{self.line(key)}")

    def fail(self, key: str, allowed: str) -> NoReturn:
        """Refuse the value of a key, or that there is none; ``allowed`` says what it must be."""
        given = f"is {_value(self.values[key])}, but must be" if key in self.values else "is missing; it must be"
        raise self.wrong(key, f"{given} {allowed}")

    def text(
        self, key: str, allowed: str = "a text", *, ok: Callable[[str], object] = bool, default: str | None = None
    ) -> str:
        """Return a text that passes ``ok``; the default if there is none."""
        if default is not None and key not in self.values:
            return default
        value = self.values.get(key)
        if not isinstance(value, str) or not ok(value):
            self.fail(key, allowed)
        if len(value) > MAX_TEXT:
            self.fail(key, f"a text of at most {MAX_TEXT} characters")
        return value

    def texts(
        self, key: str, allowed: str = "a list of texts", *, ok: Callable[[str], object] = any_text
    ) -> tuple[str, ...]:
        """Return a list of texts that each pass ``ok``; empty if there is none."""
        value = self.values.get(key, [])
        if not isinstance(value, list):
            self.fail(key, allowed)
        for item in value:
            if not isinstance(item, str) or not ok(item):
                raise self.wrong(key, f"has {_value(item)}, but must be {allowed}")
        if any(len(item) > MAX_TEXT for item in value):
            self.fail(key, f"texts of at most {MAX_TEXT} characters each")
        return tuple(value)

    def number(self, key: str, allowed: str, *, least: int = 0, default: int | None = None) -> int:
        """Return a whole number of at least ``least``; the default if there is none."""
        value = self.values.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MAX_SIZE:
            self.fail(key, allowed)
        return value

    def flag(self, key: str) -> bool:
        """Return a truth value; false if there is none."""
        value = self.values.get(key, False)
        if not isinstance(value, bool):
            self.fail(key, "true or false")
        return value

    def table(self, key: str) -> "Table":
        """Return a table; an empty one if there is none."""
        value = self.values.get(key, {})
        if not isinstance(value, Mapping):
            self.fail(key, "a table")
        return Table(value, self.source, (*self.where, key))

    def tables(self, key: str, *, least: int = 1) -> "Iterator[Table]":
        """Yield the tables of an array that has at least ``least``."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or len(value) < least or not all(isinstance(item, Mapping) for item in value):
            header = re.sub(r"\[[0-9]+\]", "", self.name(key))
            self.fail(key, f"one or more tables `[[{header}]]`")
        for number, item in enumerate(value, 1):
            yield Table(item, self.source, (*self.where, key, number))

    def read(self, key: str, parse: Callable[[Any], _T]) -> _T:
        """Return what ``parse`` makes of a value; its ``ValueError`` says what is allowed."""
        try:
            return parse(self.values[key])
        except (ValueError, TypeError) as error:
            self.fail(key, str(error))

    def unknown(self, known: Collection[str]) -> Iterator[TomlError]:
        """Yield an error for each key that is not known, with a hint of what was probably meant."""
        for key in (key for key in self.values if key not in known):
            hints = suggest(key, known, before=self.name() and f"{self.name()}.")
            problem = f"the key `{self.name(key)}` is unknown{self.line(key)}"
            yield TomlError(problem, hints or [f"there are: {', '.join(known)}"])

    def only(self, known: Collection[str]) -> None:
        """Refuse the first key that is not known."""
        for error in self.unknown(known):
            raise error


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
    """Return where keys or brackets are nested too deep; 0 if they are not."""
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


def _value(value: Any) -> str:
    if isinstance(value, Mapping | list):
        return "a table" if isinstance(value, Mapping) else "a list"
    shown = printable(f'"{value}"' if isinstance(value, str) else str(value))
    return f"`{shown[:_MAX_KEY]}…`" if len(shown) > _MAX_KEY else f"`{shown}`"


def _line_of(text: str, path: _Path) -> int:
    """Return the line of a value, or of the nearest table around it that has a line of its own; 0 if none has."""
    table: _Path = ()
    counts: dict[_Path, int] = {}
    best, place = 0, -1
    begin = re.compile(_LINE)
    for start in _lines(text):
        found = begin.match(text, start)
        if found is None:
            continue
        array = found[1] == "[["
        here = () if found[1] else table
        keys = [_unquoted(part) for part in re.findall(_PART, found[2])]
        for number, key in enumerate(keys, 1):
            here += (key,)
            if array and number == len(keys):
                counts[here] = counts.get(here, 0) + 1
            if here in counts:
                here += (counts[here],)
        table = here if found[1] else table
        if here == path[: len(here)] and len(here) > best:
            best, place = len(here), start
        if best == len(path):
            break
    return text.count("\n", 0, place) + 1 if best else 0


def _lines(text: str) -> Iterator[int]:
    """Yield where a line begins that no bracket and no text of several lines reaches into."""
    brackets = 0
    yield 0
    for token in re.finditer(_MARKS, text):
        mark = text[token.start()]
        if mark in "[{":
            brackets += 1
        elif mark in "]}":
            brackets -= 1
        elif mark == "\n" and not brackets:
            yield token.start() + 1


def _unquoted(part: str) -> str:
    import tomllib

    return str(tomllib.loads(f"key = {part}")["key"]) if part[0] in "\"'" else part


def _too_large(value: Any, key: str = "") -> str:
    """Return the key of a number that does not fit 64 bits; empty if there is none."""
    if isinstance(value, int):
        return key if not -MAX_NUMBER - 1 <= value <= MAX_NUMBER else ""
    if isinstance(value, Mapping):
        inside: Iterable[tuple[str, Any]] = ((f"{key}.{k}" if key else k, v) for k, v in value.items())
    elif isinstance(value, list):
        inside = ((f"{key}[{number}]", item) for number, item in enumerate(value, 1))
    else:
        return ""
    return next((found for k, v in inside if (found := _too_large(v, k))), "")
