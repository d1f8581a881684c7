"""``modelpm plugins``."""

from typing import TYPE_CHECKING, Any

import click

from modelpm.cli.format import line, table
from modelpm.cli.options import Command
from modelpm.cli.output import Outcome, width
from modelpm.cli.session import Session
from modelpm.cli.verbs import Group
from modelpm.errors import ModelpmError

if TYPE_CHECKING:  # start-up
    from modelpm.plugins.index import Entry
    from modelpm.plugins.registry import Registry

_HEADERS = ("KIND", "NAME", "DISTRIBUTION", "VERSION", "STATE")


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


@command.command(
    "check", cls=Command, help="Import every plugin, and say what is wrong.", examples=("modelpm plugins check",)
)
@click.pass_obj
def check(session: Session) -> Outcome:
    """Import what can be imported; a plugin that is disabled is left alone."""
    rows: list[dict[str, Any]] = []
    errors: list[ModelpmError] = []
    with session.manager() as manager:
        for entry, state in manager.registry.states():
            error = None if state == "disabled" else _problem(manager.registry, entry, state)
            rows.append(_row(entry, "failed" if error and state == "ok" else state))
            errors += [error] if error and str(error) not in map(str, errors) else []
    return _outcome(rows, errors)


def _problem(registry: "Registry", entry: "Entry", state: str) -> ModelpmError | None:
    try:
        if state != "ok":
            registry.entry(entry.kind, entry.name)
        registry.check(entry)
    except ModelpmError as error:
        return error
    return None


def _row(entry: "Entry", state: str) -> dict[str, Any]:
    return {
        "kind": entry.kind,
        "name": entry.name,
        "distribution": entry.distribution,
        "version": entry.version,
        "state": state,
    }


def _outcome(rows: list[dict[str, Any]], errors: list[ModelpmError] | None = None) -> Outcome:
    shown = table(_HEADERS, [[str(value) for value in row.values()] for row in rows], width())
    return Outcome(
        lines=shown if rows else [],
        notes=[] if rows else [line(("no plugin is installed", "dim"))],
        items=rows,
        errors=errors or [],
    )
