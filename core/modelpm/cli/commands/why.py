"""``modelpm why``."""

from typing import TYPE_CHECKING

import click

from modelpm.cli.completion import installed_names
from modelpm.cli.context import Session
from modelpm.cli.terminal.format import Line, line
from modelpm.cli.terminal.output import Outcome
from modelpm.cli.verbs import verb
from modelpm.text.plain import plain

if TYPE_CHECKING:  # start-up
    from modelpm.results.report import Holder


@verb("why", "modelpm why chat", "modelpm why models/chat/model.gguf", "modelpm why 8a1f2a5b7c9d0e1f")
@click.argument("what", metavar="NAME|PATH|SHA256", shell_complete=installed_names)
def command(session: Session, *, what: str) -> Outcome:
    """Search the project, the user's models, and every project that synced here."""
    with session.manager() as manager:
        found = manager.why(what, project=session.project(manager)).rows
    return Outcome(lines=[_line(row) for row in found], items=plain(found))


def _line(row: "Holder") -> Line:
    file = f"  {row.file}  {row.sha256[:12]}" if row.file else ""
    return line((row.name, "bold"), f"{file}  {row.model}", (f"  {row.environment}: {row.lock}", "dim"))
