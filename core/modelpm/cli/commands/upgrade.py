"""``modelpm upgrade``."""

from typing import TYPE_CHECKING

import click

from modelpm.cli import options, projects
from modelpm.cli.completion import installed_names
from modelpm.cli.context import Session
from modelpm.cli.terminal.format import Line, line
from modelpm.cli.terminal.output import Outcome
from modelpm.cli.terminal.rows import change_line, change_row, compared, fetched, of_action, reusable, total
from modelpm.cli.verbs import verb
from modelpm.text.human import duration

_SHOWN = 15  # characters of a version, a revision or a digest

if TYPE_CHECKING:  # start-up
    from modelpm.results.report import Change


@verb("upgrade", "modelpm upgrade", "modelpm upgrade chat --latest", "modelpm upgrade -g")
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=installed_names)
@click.option("--latest", is_flag=True, help="Rewrite specs that do not allow the newest release.")
@click.option("--no-sync", is_flag=True, help="Lock, and leave the files for the next sync.")
@projects.link_mode
@options.dry_run
def command(session: Session, *, names: tuple[str, ...], latest: bool, no_sync: bool, dry_run: bool) -> Outcome:
    """Every other model stays as it is."""
    with session.manager() as manager:
        project = session.project(manager)
        if project is not None:
            report = project.upgrade(names, latest=latest, sync=not no_sync, dry_run=dry_run)
            return projects.outcome(session, report)
        report = manager.upgrade(names, latest=latest, dry_run=dry_run)
    notes = [_line(change, planned=dry_run) for change in report.changes]
    moved = of_action(report, "upgrade")
    if moved and not dry_run:
        sizes = total([change.bytes for change in moved])
        notes.insert(0, line(f"Upgraded {sizes} in {duration(session.elapsed)}{fetched(moved)}"))
    return Outcome(
        notes=notes or ([] if report.errors else [line(("nothing to upgrade", "dim"))]),
        changes=[change_row(change) for change in report.changes],
        errors=report.errors,
        warnings=report.warnings,
        dry_run=dry_run,
    )


def _line(change: "Change", *, planned: bool) -> Line:
    if change.action == "compare":
        return compared(change)
    moved = f"{change.before[:_SHOWN]} -> {change.after[:_SHOWN] or '?'}"
    return change_line(change, moved + (reusable([change]) if planned else ""))
