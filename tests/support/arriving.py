"""The tables of settings and options as tests go through them: how a value is given, and which has a test.

To add a setting, write one test with ``@arrives("network.new", "2")`` that looks at what it does outside of the
process; without it ``test_options_arrive.py`` fails. What has no row in the tables is named with ``@about``.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
import tomli_w

from modelpm.cli.options import GLOBALS
from modelpm.config.settings import BY_KEY, SETTINGS

ROOT = Path(__file__).parents[2]
TESTED: set[str] = set()
_Test = TypeVar("_Test", bound=Callable[..., Any])
# How the code reads a variable; those whose names it makes are named in test_options_arrive.py.
_READ = re.compile(r"""(?:environ\.get\(|variable\()"(\w+)\"""")


@dataclass(frozen=True, slots=True)
class Given:
    """A value as a user gives it, in one of three places.

    Attributes:
        how: ``option``, ``variable`` or ``config``.
        arguments: For the command line.
        env: Variables.
        tables: Of ``config.toml``.
    """

    how: str
    arguments: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.how

    def write(self, home: Path) -> None:
        """Write ``config.toml``."""
        home.mkdir(parents=True, exist_ok=True)
        (home / "config.toml").write_text(tomli_w.dumps(self.tables))


def option_of(key: str) -> str | None:
    """Return the option of a setting."""
    name, is_flag = "--" + key.rpartition(".")[2], isinstance(BY_KEY[key].default, bool)
    return name if any(name in option.opts and option.is_flag == is_flag for option in GLOBALS) else None


def nested(key: str, value: Any) -> dict[str, Any]:
    """Return the table in which a setting stands."""
    first, _, rest = key.partition(".")
    return {first: nested(rest, value) if rest else value}


def ways(key: str, value: Any) -> list[Given]:
    """Return every way in which the table of settings says that a value can be given; lists are of one item."""
    setting, found = BY_KEY[key], []
    if option := option_of(key):
        flag = isinstance(setting.default, bool)
        found.append(Given("option", (option,) if flag else (option, str(value))))
    if isinstance(value, str | int | float | bool):
        found.append(Given("variable", env={setting.variable: str(value)}))
    listed = [value] if isinstance(setting.default, tuple) and isinstance(value, str) else value
    return [*found, Given("config", tables=nested(key, listed))]


def arrives(key: str, value: Any, *hows: str) -> Callable[[_Test], _Test]:
    """Let a test take a setting as ``given``: in the first way that there is, or in these."""
    found = ways(key, value)
    chosen = [given for given in found if given.how in hows] if hows else found[:1]
    assert chosen, f"{key} cannot be given so"

    def mark(test: _Test) -> _Test:
        TESTED.add(key)
        TESTED.update(filter(None, [option_of(key)]))
        marked: _Test = pytest.mark.parametrize("given", chosen, ids=str)(test)
        return marked

    return mark


def about(*names: str) -> Callable[[_Test], _Test]:
    """Note that a test is about options, variables or tables that are no settings."""

    def mark(test: _Test) -> _Test:
        TESTED.update(names)
        return test

    return mark


def promised() -> set[str]:
    """Return everything that a user may set: settings, options of every verb, variables that the code reads."""
    options = {option.opts[-1] for option in GLOBALS}
    sources = [path for folder in ("core", "plugins") for path in (ROOT / folder).rglob("*.py")]
    variables = {name for path in sources for name in _READ.findall(path.read_text(encoding="utf-8"))}
    return {setting.key for setting in SETTINGS} | options | variables | {"credentials"}
