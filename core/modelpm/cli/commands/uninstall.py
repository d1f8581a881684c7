"""``modelpm uninstall``."""

from typing import TYPE_CHECKING, Any

import click

from modelpm.cli import options
from modelpm.cli.completion import installed_names
from modelpm.cli.context import Session
from modelpm.cli.terminal.format import Line, line
from modelpm.cli.terminal.output import Outcome
from modelpm.cli.terminal.rows import change_line, change_row, of_action, total
from modelpm.cli.verbs import verb
from modelpm.text.human import binary_size, duration

if TYPE_CHECKING:  # start-up
    from modelpm.results.report import Result


@verb("uninstall", "modelpm uninstall qwen3-8b", "modelpm uninstall qwen3-8b tiny --dry-run")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=installed_names)
@click.option("--with-dir", is_flag=True, help="Also remove what `install --dir` and `link` put into other folders.")
@options.dry_run
def command(session: Session, *, names: tuple[str, ...], with_dir: bool, dry_run: bool) -> Outcome:
    """Uninstall every name; if one fails, the others are still finished."""
    with session.manager() as manager:
        report = manager.uninstall(names, with_dir=with_dir, dry_run=dry_run, project=manager.find_project())
    return outcome(session, report)


def outcome(session: Session, report: "Result[Any]") -> Outcome:
    """Return what an uninstall came to."""
    return Outcome(
        notes=_notes(report, session.elapsed),
        changes=[change_row(change, freed=change.freed, note=change.note) for change in report.changes],
        errors=report.errors,
        warnings=report.warnings,
        dry_run=report.dry_run,
    )


def _notes(report: "Result[Any]", seconds: float) -> list[Line]:
    gone = of_action(report, "uninstall")
    lines: list[Line] = []
    if gone:
        count = total([None] * len(gone))
        lines.append(
            line(f"Would uninstall {count}" if report.dry_run else f"Uninstalled {count} in {duration(seconds)}")
        )
    for change in gone:
        lines.append(change_line(change, f"{'would free' if report.dry_run else 'freed'} {binary_size(change.freed)}"))
        if change.note:
            lines.append(line((f"   {change.note}", "dim")))
    return lines
