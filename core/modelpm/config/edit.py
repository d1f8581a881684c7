"""Write a setting to ``config.toml``; keep everything else there, comments included."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelpm.config import MAX_CONFIG_BYTES, values
from modelpm.config.settings import SETTINGS, setting
from modelpm.disk import make_folder
from modelpm.disk.atomic import write_atomic
from modelpm.disk.reading import read_text
from modelpm.errors import Code, UsageError
from modelpm.text.plain import plain


def write_setting(path: Path, key: str, value: str) -> None:
    """Set a key, after its value was checked: a wrong one changes nothing.

    Args:
        path: The user's ``config.toml``, which may be missing.
        key: As in the list of settings.
        value: As a user types it.

    Raises:
        UsageError: The key does not exist, or the value is not valid for it.
        StoreError: The system refuses.
    """
    write_value(path, *_parsed(key, value))


def write_value(path: Path, parts: Sequence[str], value: Any) -> None:
    """Set a key that was checked.

    Args:
        path: As of :func:`write_setting`.
        parts: The names of the tables above the key, and its own.
        value: As TOML writes it.

    Raises:
        StoreError: The system refuses.
    """
    made = _edited(path, parts, value)
    make_folder(path.parent, below=path.parent)
    write_atomic(path, made.encode())


def unset_setting(path: Path, key: str) -> bool:
    """Take a key out, so that its default counts again; return whether it was there.

    Raises:
        UsageError: No such key.
        StoreError: The system refuses.
    """
    import tomlkit

    tables = [whole.key for whole in SETTINGS if isinstance(whole.default, dict) and key.startswith(whole.key + ".")]
    if not tables:
        setting(key)
    parts = [*tables[0].split("."), key.removeprefix(tables[0] + ".").strip('"')] if tables else key.split(".")
    document = tomlkit.parse((read_text(path, MAX_CONFIG_BYTES, code=Code.USAGE) or "").removeprefix("\ufeff"))
    table: Any = document
    for part in parts[:-1]:
        table = table.get(part, {})
    if parts[-1] not in table:
        return False
    del table[parts[-1]]
    write_atomic(path, tomlkit.dumps(document).encode())
    return True


def given_path(path: str | Path, option: str) -> Path:
    """Return a path as absolute, with `~` replaced.

    Raises:
        UsageError: It cannot be; names the option.
    """
    try:
        return values.absolute(path)
    except ValueError as error:
        raise UsageError(f"{option} cannot be `{path}`: it must be {error}") from None


def _edited(path: Path, parts: Sequence[str], made: Any) -> str:
    """Return the text of the file with the setting in it."""
    import tomlkit

    text = read_text(path, MAX_CONFIG_BYTES, code=Code.USAGE) or ""
    document = tomlkit.parse(text.removeprefix("\ufeff"))
    table: Any = document
    for part in parts[:-1]:
        if part not in table:
            table[part] = tomlkit.table()
        table = table[part]
    table[parts[-1]] = made
    return tomlkit.dumps(document)


def _parsed(key: str, value: str) -> tuple[list[str], Any]:
    """Return the path of tables to the key, and the value as TOML writes it."""
    for whole in SETTINGS:
        if isinstance(whole.default, dict) and key.startswith(whole.key + "."):
            inner = key.removeprefix(whole.key + ".").strip('"')
            made = _checked(key, whole.parse, {inner: value})
            return [*whole.key.split("."), inner], plain(made[inner])
    found = setting(key)
    if isinstance(found.default, dict):
        raise UsageError(f"`{key}` is a table; set one of its keys: `modelpm config set {key}.NAME VALUE`")
    return key.split("."), plain(_checked(key, found.parse, value))


def _checked(key: str, parse: Any, value: Any) -> Any:
    try:
        return parse(value)
    except (ValueError, TypeError) as error:
        shown = next(iter(value.values())) if isinstance(value, Mapping) else value
        raise UsageError(f"`{key}` cannot be `{shown}`: it must be {error}") from error
