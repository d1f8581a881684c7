"""``modelpm unlink``."""

from typing import Any

import click

from modelpm.cli import options
from modelpm.cli.completion import apps, installed_names
from modelpm.cli.context import Session
from modelpm.cli.terminal.format import Line, line
from modelpm.cli.terminal.output import Outcome
from modelpm.cli.terminal.rows import change_line, change_row
from modelpm.cli.verbs import verb


@verb(
    "unlink", "modelpm unlink lmstudio qwen3-8b", "modelpm unlink ollama", "modelpm unlink comfyui --app-dir ~/ComfyUI"
)
@click.argument("app", shell_complete=apps)
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=installed_names)
@options.app_dir
def command(session: Session, *, app: str, names: tuple[str, ...], **given: Any) -> Outcome:
    """Unlink every name, or all; the installed models stay."""
    with session.manager() as manager:
        report = manager.unlink(app, names, **given)
    lines: list[Line] = []
    for change in report.changes:
        lines.append(change_line(change, f"from {change.path} for {app}"))
        if change.note:
            lines.append(line((f"   {change.note}", "dim")))
    return Outcome(
        notes=lines or [line((f"nothing is linked for {app}", "dim"))] * (not report.errors),
        changes=[change_row(change, app=app, note=change.note) for change in report.changes],
        errors=report.errors,
        warnings=report.warnings,
    )
