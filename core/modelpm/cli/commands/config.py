"""``modelpm config``."""

from collections.abc import Mapping
from typing import Any

import click

from modelpm.cli.completion import config_keys
from modelpm.cli.context import Session
from modelpm.cli.terminal.format import line, table
from modelpm.cli.terminal.output import Outcome, width
from modelpm.cli.verbs import group
from modelpm.text.plain import plain

command = group(
    "config", "modelpm config list", "modelpm config get store.dir", "modelpm config set network.limit-rate 8M"
)


@command.verb(
    "list",
    "List all settings, or a part of them, and the origin of each value.",
    "modelpm config list",
    "modelpm config list network",
    "modelpm config list audit",
    "modelpm config list source.hf",
)
@click.argument("part", default="", metavar="[PART]")
def list_(session: Session, *, part: str) -> Outcome:
    """List every setting as it stands, or those of a section, of a kind of plugins, or of one plugin."""
    from modelpm.library import settings

    with session.manager() as manager:
        rows = settings.rows(manager.config, manager.registry, part)
    return Outcome(
        lines=table(("KEY", "VALUE", "ORIGIN"), [(r.key, _text(r.value), r.origin) for r in rows], width()),
        items=[plain(row._asdict()) for row in rows],
    )


@command.verb("get", "Print the value of one setting.", "modelpm config get network.jobs")
@click.argument("key", shell_complete=config_keys)
def get(session: Session, *, key: str) -> Outcome:
    """Print one value, and nothing else."""
    from modelpm.library import settings

    with session.manager() as manager:
        row = settings.row(manager.config, manager.registry, key)
        if key == "store.dir" and row.value is None:  # the folder in force
            row = row._replace(value=manager.config.paths.store)
    return Outcome(lines=[line(_text(row.value))], items=[plain(row._asdict())])


@command.verb(
    "set",
    "Write a setting to config.toml; keeps everything else there, comments included.",
    "modelpm config set network.jobs 16",
    "modelpm config set catalogs.acme ~/models/catalog",
)
@click.argument("key", shell_complete=config_keys)
@click.argument("value")
def set_(session: Session, *, key: str, value: str) -> Outcome:
    """Check the value first; a wrong one changes nothing."""
    from modelpm.library import settings

    with session.manager() as manager:
        path = settings.write(manager.config, manager.registry, key, value)
    return Outcome(notes=[line(f"Set {key} in {path}")], items=[{"key": key, "value": value, "origin": str(path)}])


@command.verb(
    "unset",
    "Take a setting out of config.toml, so that its default counts again.",
    "modelpm config unset network.jobs",
)
@click.argument("key", shell_complete=config_keys)
def unset(session: Session, *, key: str) -> Outcome:
    """Remove the key, and nothing else."""
    from modelpm.library import settings

    with session.manager() as manager:
        path = manager.config.paths.config
    words = f"Unset {key} in {path}" if settings.unset(path, key) else f"{key} is not set in {path}"
    return Outcome(notes=[line(words)], items=[{"key": key, "origin": str(path)}])


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
