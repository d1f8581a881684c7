"""``modelpm config``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from modelpm.cli.format import line, table
from modelpm.cli.options import Command
from modelpm.cli.output import Outcome, width
from modelpm.cli.session import Session
from modelpm.cli.verbs import Group
from modelpm.errors import UsageError


@click.group(
    "config",
    cls=Group,
    help="List, read and write settings.",
    examples=("modelpm config list", "modelpm config get store.dir", "modelpm config set network.limit-rate 8M"),
)
def command() -> None:
    """Hold the verbs below."""


@command.command(
    "list", cls=Command, help="List all settings, and where each comes from.", examples=("modelpm config list",)
)
@click.pass_obj
def list_(session: Session) -> Outcome:
    """List every setting as it stands."""
    with session.manager() as manager:
        rows = manager.config.rows
    return Outcome(
        lines=table(("KEY", "VALUE", "ORIGIN"), [(r.key, _text(r.value), r.origin) for r in rows], width()),
        items=[{"key": row.key, "value": _plain(row.value), "origin": row.origin} for row in rows],
    )


@command.command(
    "get", cls=Command, help="Print the value of one setting.", examples=("modelpm config get network.jobs",)
)
@click.argument("key")
@click.pass_obj
def get(session: Session, *, key: str) -> Outcome:
    """Print one value, and nothing else."""
    from modelpm.config import setting

    setting(key)
    with session.manager() as manager:
        row = next(row for row in manager.config.rows if row.key == key)
    return Outcome(
        lines=[line(_text(row.value))], items=[{"key": key, "value": _plain(row.value), "origin": row.origin}]
    )


@command.command(
    "set",
    cls=Command,
    help="Write a setting to config.toml; what stands there else, comments too, is kept.",
    examples=("modelpm config set network.jobs 16", "modelpm config set catalogs.acme ~/models/catalog"),
)
@click.argument("key")
@click.argument("value")
@click.pass_obj
def set_(session: Session, *, key: str, value: str) -> Outcome:
    """Check the value first; a wrong one changes nothing."""
    from modelpm.atomic import write_atomic
    from modelpm.disk import make_folder

    with session.manager() as manager:
        path = manager.config.paths.config
    made = _edited(path, key, value)
    make_folder(path.parent, below=path.parent)
    write_atomic(path, made.encode())
    return Outcome(notes=[line(f"Set {key} in {path}")], items=[{"key": key, "value": value, "origin": str(path)}])


def _edited(path: Path, key: str, value: str) -> str:
    """Return the text of the file with the setting in it."""
    import tomlkit

    parts, made = _parsed(key, value)
    document = tomlkit.parse(path.read_text(encoding="utf-8") if path.exists() else "")
    table: Any = document
    for part in parts[:-1]:
        if part not in table:
            table[part] = tomlkit.table()
        table = table[part]
    table[parts[-1]] = made
    return tomlkit.dumps(document)


def _parsed(key: str, value: str) -> tuple[list[str], Any]:
    """Return the path of tables to the key, and the value as TOML writes it."""
    from modelpm.config import SETTINGS, setting

    for whole in SETTINGS:
        if isinstance(whole.default, dict) and key.startswith(whole.key + "."):
            inner = key.removeprefix(whole.key + ".").strip('"')
            made = _checked(key, whole.parse, {inner: value})
            return [*whole.key.split("."), inner], _plain(made[inner])
    found = setting(key)
    if isinstance(found.default, dict):
        raise UsageError(f"`{key}` is a table; set one of its keys: `modelpm config set {key}.NAME VALUE`")
    return key.split("."), _plain(_checked(key, found.parse, value))


def _checked(key: str, parse: Any, value: Any) -> Any:
    try:
        return parse(value)
    except (ValueError, TypeError) as error:
        shown = next(iter(value.values())) if isinstance(value, Mapping) else value
        raise UsageError(f"`{key}` cannot be `{shown}`: it must be {error}") from error


def _plain(value: Any) -> Any:
    """Return a value in the types of JSON and TOML."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    return value


def _text(value: Any) -> str:
    """Return a value as one cell."""
    if value is None or value in ((), {}):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(_text(inner) for inner in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} = {_text(inner)}" for name, inner in value.items())
    return str(value)
