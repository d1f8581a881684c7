"""``modelpm outdated``."""

import click

from modelpm.cli.completion import installed_names
from modelpm.cli.context import Session
from modelpm.cli.terminal.format import count
from modelpm.cli.terminal.output import Outcome, listing
from modelpm.cli.verbs import verb
from modelpm.errors import CheckFailedError, Code
from modelpm.text.plain import plain


@verb("outdated", "modelpm outdated", "modelpm outdated --exit-code", "modelpm outdated -g")
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=installed_names)
@click.option("--exit-code", is_flag=True, help="Exit 3 where there is anything newer.")
def command(session: Session, *, names: tuple[str, ...], exit_code: bool) -> Outcome:
    """Ask catalogs and sources; change nothing."""
    with session.manager() as manager:
        project = session.project(manager)
        result = project.outdated(names) if project is not None else manager.outdated(names)
    rows, errors = result.rows, list(result.errors)
    if rows and exit_code:
        errors.append(CheckFailedError(f"{count(len(rows), 'model')} outdated", code=Code.OUTDATED))
    cells = [(r.name, r.locked, r.allowed, r.newest, r.note) for r in rows]
    nothing = "" if errors else "everything is up to date"
    shown = listing(("NAME", "LOCKED", "ALLOWED", "NEWEST", "NOTE"), cells, plain(rows), nothing)
    return shown._replace(errors=errors, warnings=result.warnings)
