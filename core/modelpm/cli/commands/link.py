"""``modelpm link``."""

from typing import TYPE_CHECKING, Any

import click

from modelpm.cli import options
from modelpm.cli.completion import apps, installed_names
from modelpm.cli.context import Session
from modelpm.cli.terminal.format import Line, line
from modelpm.cli.terminal.output import Outcome
from modelpm.cli.terminal.rows import change_line, change_row, of_action
from modelpm.cli.verbs import verb

if TYPE_CHECKING:  # start-up
    from modelpm.results.report import Result


@verb(
    "link",
    "modelpm link lmstudio qwen3-8b",
    "modelpm link comfyui --all --app-dir ~/ComfyUI",
    "modelpm link hf qwen3-8b --dry-run",
)
@click.argument("app", shell_complete=apps)
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=installed_names)
@click.option("--all", "every", is_flag=True, help="Link every installed model that the program can use.")
@options.app_dir
@options.dry_run
def command(session: Session, *, app: str, names: tuple[str, ...], every: bool, **given: Any) -> Outcome:
    """Link every name; if one fails, the others are still finished."""
    with session.manager() as manager:
        report = manager.link(app, names, all=every, **given)
    return Outcome(
        notes=_notes(report, app),
        changes=[change_row(change, app=app, note=change.note) for change in report.changes],
        errors=report.errors,
        warnings=report.warnings,
        dry_run=report.dry_run,
    )


def _notes(report: "Result[Any]", app: str) -> list[Line]:
    lines = []
    for change in of_action(report, "link"):
        where = f"in {change.path} for {app}"
        lines.append(change_line(change, f"would appear {where}" if report.dry_run else where))
        if change.note:
            lines.append(line((f"   {change.note}", "dim")))
    lines += [line((f"{c.name} is already in {c.path} for {app}", "dim")) for c in of_action(report, "reuse")]
    lines += [line((note, "dim")) for note in report.notes]
    return lines or [line(("no model is installed", "dim"))] * (not report.errors)
