"""Read the settings of a plugin: its table of the configuration, and variables, checked against what it declares."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from modelpm.api.settings import Setting, Value
from modelpm.errors import UsageError
from modelpm.plugins.discovery import Entry
from modelpm.plugins.guard import expect
from modelpm.text.suggest import suggest
from modelpm.text.untrusted import printable

_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}
_TYPES = (bool, int, float, str, tuple)


def declared(entry: Entry, answer: Iterable[Any] | None) -> tuple[Setting, ...] | None:
    """Return the settings that a plugin declares; None if it declares none, and takes its table as it stands.

    Raises:
        PluginError: Something else than settings came.
    """
    if answer is None:
        return None
    found = tuple(answer)
    for setting in found:
        expect(entry, setting, Setting, "setting")
        expect(entry, setting.default, _TYPES, f"default of the setting `{setting.key}`")
    return found


def variable(kind: str, name: str, key: str) -> str:
    """Return the environment variable of a setting."""
    return f"MODELPM_{kind}_{name}_{key}".upper().replace("-", "_").replace(".", "_")


def values(
    entry: Entry, known: Sequence[Setting], table: Mapping[str, Any], environ: Mapping[str, str]
) -> dict[str, Value]:
    """Return the value of every declared setting: the variable over the table over the default.

    Raises:
        UsageError: The table has a key that is not declared, or a value of another type.
    """
    keys = [setting.key for setting in known]
    for key in table:
        if key not in keys:
            raise _unknown(f"{entry.kind}.{entry.name}", str(key), keys)
    return {setting.key: _value(entry, setting, table, environ) for setting in known}


def setting_of(entry: Entry, known: Sequence[Setting], key: str) -> Setting:
    """Return the declared setting of a key.

    Raises:
        UsageError: There is none; names the nearest.
    """
    found = next((setting for setting in known if setting.key == key), None)
    if found is None:
        raise _unknown(f"{entry.kind}.{entry.name}", key, [setting.key for setting in known])
    return found


def read(setting: Setting, value: Any) -> Value:
    """Return a value as the setting has it; a text is read as its type.

    Raises:
        ValueError: It is not one; says what it must be.
    """
    found = _read(setting.default, value)
    if found is None or (setting.choices and found not in setting.choices):
        msg = f"one of {', '.join(setting.choices)}" if setting.choices else _described(setting.default)
        raise ValueError(msg)
    return found


def _value(entry: Entry, setting: Setting, table: Mapping[str, Any], environ: Mapping[str, str]) -> Value:
    name = variable(entry.kind, entry.name, setting.key)
    given = environ.get(name) or table.get(setting.key)
    if given is None:
        return setting.default
    try:
        return read(setting, given)
    except ValueError as error:
        place = name if environ.get(name) else f"[{entry.kind}.{entry.name}] {setting.key}"
        raise UsageError(f"{place} is `{printable(str(given)[:80])}`; it must be {error}") from error


def _read(default: Value, value: Any) -> Value | None:
    text = str(value).strip()
    match default:
        case bool():
            return True if text.lower() in _TRUE else False if text.lower() in _FALSE else None
        case int() | float():
            return _number(type(default), value)
        case str():
            return value if isinstance(value, str) else None
        case _:
            items = value.split(",") if isinstance(value, str) else value
            if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
                return None
            return tuple(item.strip() for item in items if item.strip())


def _number(kind: type[int | float], value: Any) -> int | float | None:
    if isinstance(value, bool) or (kind is int and isinstance(value, float)):
        return None
    try:
        return kind(value)
    except (TypeError, ValueError):
        return None


def _described(default: Value) -> str:
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    return words.get(type(default), "a list of texts")


def _unknown(table: str, key: str, known: Sequence[str]) -> UsageError:
    hints = suggest(key, known) or [f"there are: {', '.join(known) or 'none'}"]
    return UsageError(f"the plugin of [{printable(table)}] has no setting `{printable(key[:80])}`", hints=hints)
