"""``modelpm plugins``."""

import os
from typing import TYPE_CHECKING, Any

import click

from modelpm.cli.completion import folders
from modelpm.cli.context import Session
from modelpm.cli.terminal.format import line
from modelpm.cli.terminal.output import Outcome, listing
from modelpm.cli.verbs import Group, is_taken
from modelpm.errors import ModelpmError, PluginError, UsageError
from modelpm.text.plain import row

if TYPE_CHECKING:  # start-up
    from modelpm.library.answers import Plugin, Registry

_HEADERS = ("KIND", "NAME", "DISTRIBUTION", "VERSION", "STATE", "TIME")
_IMPORTABLE = frozenset({"ok", "shadowed", "conflict"})


@click.group(
    "plugins",
    cls=Group,
    invoke_without_command=True,
    help="List plugins, and check that they work.",
    examples=("modelpm plugins", "modelpm plugins check", "MODELPM_DISABLE_PLUGINS=acme-source modelpm install tiny"),
)
@click.pass_context
def command(ctx: click.Context) -> Outcome | None:
    """List what is installed; imports none of it."""
    if ctx.invoked_subcommand is not None:
        return None
    session = ctx.ensure_object(Session)
    with session.manager() as manager:
        states = list(manager.registry.states())
    return _outcome([_row(entry, state) for entry, state in states])


@command.verb(
    "check",
    "Check every plugin, or those of a name.",
    "modelpm plugins check",
    "modelpm plugins check modelpm-acme",
    "modelpm plugins check source.acme",
)
@click.argument("names", metavar="[NAME]...", nargs=-1)
def check(session: Session, *, names: tuple[str, ...]) -> Outcome:
    """Try, each in a process of its own, what could be asked for."""
    from modelpm.library import extensions

    with session.manager() as manager:
        registry = manager.registry
        states = extensions.plugins_named(dict(registry.states()), names)
        usable = [entry for entry, state in states.items() if state in _IMPORTABLE]
        checked = {c.entry: c for c in extensions.check(registry, usable)}
        written = {entry for entry in usable if registry.context(entry.kind, entry.name).settings}
    rows: list[dict[str, Any]] = []
    errors: list[ModelpmError] = []
    warnings: list[str] = []
    for entry, state in states.items():
        result = checked.get(entry)
        bad = result is not None and result.state in {"error", "timeout"}
        shown = "failed" if bad else "not set up" if result is not None and result.state == "setup" else state
        if result is not None and result.state == "setup" and entry in written:
            warnings.append(result.message)
        rows.append({**_row(entry, shown), "import_ms": result.import_ms if result else None})
        error = PluginError(result.message) if result and bad else _problem(registry, entry, state)
        errors += [error] if error and str(error) not in map(str, errors) else []
    return _outcome(rows, errors)._replace(warnings=warnings)


@command.verb(
    "new",
    "Write the package of a new plugin, with tests that pass.",
    "modelpm plugins new acme --kind source",
    "modelpm plugins new blake3 --kind digest --dir ~/src",
)
@click.argument("name")
@click.option("--kind", required=True, metavar="KIND", help="Which kind of plugin: source, digest, audit, …")
@click.option("--dir", "folder", default=".", metavar="PATH", shell_complete=folders, help="Where its folder is made.")
def new(session: Session, *, name: str, kind: str, folder: str) -> Outcome:
    """Write it, and say what comes next."""
    if kind == "command" and is_taken(name):
        raise UsageError(f"`{name}` is a word of modelpm's own command line", hints=["choose another name"])
    with session.manager() as manager:
        place = manager.maintenance.new_plugin(name, kind, folder)
    steps = [f"cd {place}", "pip install -e '.[test]'", "pytest"]
    notes = [line(f"Wrote the {kind} `{name}`"), *(line((f"  {step}", "hint")) for step in steps)]
    return Outcome(
        raw=os.fsencode(place) + b"\n", notes=notes, items=[{"name": name, "kind": kind, "path": str(place)}]
    )


def _problem(registry: "Registry", entry: "Plugin", state: str) -> ModelpmError | None:
    """Say why a name that is claimed is not served."""
    try:
        if state in {"unknown kind", "misspelt"}:
            registry.check(entry)  # which says it before it imports anything
        registry.entry(entry.kind, entry.name)
    except PluginError as error:
        return error
    except ModelpmError:  # every plugin that claims this name is disabled
        return None
    return None


def _row(entry: "Plugin", state: str) -> dict[str, Any]:
    if state == "ok" and entry.kind == "command" and is_taken(entry.name):
        state = "shadowed"
    return row(entry, "kind", "name", "distribution", "version", state=state)


def _outcome(rows: list[dict[str, Any]], errors: list[ModelpmError] | None = None) -> Outcome:
    texts = [[*map(str, list(row.values())[:5]), *_duration(row)] for row in rows]
    shown = listing(_HEADERS[: len(texts[0])] if texts else (), texts, rows, "no plugin is installed")
    return shown._replace(errors=errors or [])


def _duration(row: dict[str, Any]) -> list[str]:
    if "import_ms" not in row:
        return []
    return ["" if row["import_ms"] is None else f"{row['import_ms']} ms"]
