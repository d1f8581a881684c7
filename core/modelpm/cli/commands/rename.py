"""``modelpm rename``."""

import click

from modelpm.cli.completion import installed_names
from modelpm.cli.context import Session
from modelpm.cli.terminal.format import line
from modelpm.cli.terminal.output import Outcome
from modelpm.cli.terminal.rows import change_row
from modelpm.cli.verbs import verb


@verb("rename", "modelpm rename qwen3-8b chat")
@click.argument("name", shell_complete=installed_names)
@click.argument("new")
def command(session: Session, *, name: str, new: str) -> Outcome:
    """Change a name; no file is moved or fetched."""
    with session.manager() as manager:
        report = manager.rename(session.meant(manager, [name])[0], new)
    (change,) = report.changes
    said = f"{change.before} is now {change.name}" if change.action == "rename" else f"{change.name} has that name"
    return Outcome(notes=[line(said)], changes=[change_row(change)], warnings=report.warnings)
