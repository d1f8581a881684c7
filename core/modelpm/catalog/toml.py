"""The tables of a catalog's TOML, typed while they are read."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from modelpm.api.types import CatalogText
from modelpm.errors import Code, UsageError
from modelpm.text.human import MAX_SIZE
from modelpm.text.toml import TomlError, loads
from modelpm.text.untrusted import printable

MAX_TEXT = 8192  # characters: of a description, no more is read on a screen
REFERENCE = re.compile(r"[a-z][a-z0-9+.-]+://[^\s\x00-\x1f\x7f]+(?: [^\s\x00-\x1f\x7f]+)*")


def load(text: CatalogText) -> dict[str, Any]:
    """Parse TOML within the caps.

    Raises:
        UsageError: It is too big, too deep or no TOML; names the origin and the line.
    """
    try:
        return loads(text.toml)
    except TomlError as error:
        raise invalid(text.origin, str(error)) from None


def invalid(origin: str, problem: str, *hints: str) -> UsageError:
    """Return the error of a catalog file that cannot be used."""
    return UsageError(f"{origin}: {problem}", code=Code.INVALID_CATALOG, hints=hints, origin=origin)


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose values are asked for by key and type; keys that nobody asks for are ignored.

    Attributes:
        values: What was parsed.
        origin: Where it was read.
        where: The table's own key, with a dot behind it; empty for the root.
    """

    values: Mapping[str, Any]
    origin: str
    where: str = ""

    def fail(self, key: str, allowed: str, *hints: str) -> NoReturn:
        """Refuse the value of a key.

        Raises:
            UsageError: Names origin, key and what is allowed.
        """
        problem = f"is {_shown(self.values[key])}, but must be" if key in self.values else "is missing; it must be"
        raise invalid(self.origin, f"`{self.where}{key}` {problem} {allowed}", *hints)

    def text(self, key: str, allowed: str = "a text", *, ok: Callable[[str], object] = bool) -> str:
        """Return a text that must be there."""
        value = self.values.get(key)
        if not isinstance(value, str) or not ok(value):
            self.fail(key, allowed)
        if len(value) > MAX_TEXT:
            self.fail(key, f"a text of at most {MAX_TEXT} characters")
        return value

    def optional(self, key: str, allowed: str = "a text", *, ok: Callable[[str], object] = bool) -> str:
        """Return a text, empty where there is none."""
        return self.text(key, allowed, ok=ok) if key in self.values else ""

    def texts(
        self, key: str, allowed: str = "a list of texts", *, ok: Callable[[str], object] = bool
    ) -> tuple[str, ...]:
        """Return a list of texts, empty where there is none."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and ok(item) for item in value):
            self.fail(key, allowed)
        if any(len(item) > MAX_TEXT for item in value):
            self.fail(key, f"texts of at most {MAX_TEXT} characters each")
        return tuple(value)

    def size(self, key: str) -> int | None:
        """Return a number of bytes, or None where there is none."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_SIZE:
            self.fail(key, "a whole number of bytes")
        return value

    def table(self, key: str) -> "Table | None":
        """Return a table, or None where there is none."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, dict):
            self.fail(key, "a table")
        return None if value is None else Table(value, self.origin, f"{self.where}{key}.")

    def tables(self, key: str) -> "Iterator[Table]":
        """Yield the tables of an array that must have at least one."""
        value = self.values.get(key)
        if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
            header = re.sub(r"\[[0-9]+\]", "", f"{self.where}{key}")
            self.fail(key, f"one or more tables `[[{header}]]`")
        for number, item in enumerate(value, 1):
            yield Table(item, self.origin, f"{self.where}{key}[{number}].")


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    shown = printable(f'"{value}"' if isinstance(value, str) else str(value))
    return f"`{shown[:60]}…`" if len(shown) > 60 else f"`{shown}`"  # noqa: PLR2004 - what fits a line
