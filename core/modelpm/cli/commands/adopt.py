"""``modelpm adopt``."""

from typing import Any

import click

from modelpm.cli import options
from modelpm.cli.completion import apps
from modelpm.cli.context import Session
from modelpm.cli.terminal.format import count, line
from modelpm.cli.terminal.output import Outcome
from modelpm.cli.terminal.rows import change_line, change_row, of_action
from modelpm.cli.verbs import verb
from modelpm.text.human import binary_size, duration
from modelpm.text.plain import plain


@verb("adopt", "modelpm adopt ollama", "modelpm adopt lmstudio --dry-run", "modelpm adopt comfyui --hardlink")
@click.argument("app", shell_complete=apps)
@options.app_dir
@click.option("--hardlink", is_flag=True, help="Make the program's files read-only, and share them with the store.")
@options.allow_pickle
@options.allow_code
@options.dry_run
def command(session: Session, /, *, app: str, **given: Any) -> Outcome:
    """Make installed models of what the program has; its files are neither moved nor changed."""
    with session.manager() as manager:
        report = manager.adopt(app, **given)
    (found,) = report.rows
    size = binary_size(found.bytes)
    took = "would be adopted" if report.dry_run else f"adopted in {duration(session.elapsed)}"
    notes = [line(f"{count(found.files, 'file')} ({size}) of {found.dir} {took}")]
    notes += [change_line(change, binary_size(change.bytes)) for change in of_action(report, "install")]
    notes += [line((f"{change.name} is already installed", "dim")) for change in of_action(report, "reuse")]
    if not report.dry_run:
        copied = (
            f"; {binary_size(found.copied)} copied to the store; --hardlink would have shared them"
            if found.copied
            else ""
        )
        notes.append(line((f"saved {binary_size(found.saved)} of disk{copied}", "dim")))
    return Outcome(
        notes=notes,
        items=plain(report.rows),
        changes=[change_row(change, app=app) for change in report.changes],
        errors=report.errors,
        warnings=report.warnings,
        dry_run=report.dry_run,
    )
