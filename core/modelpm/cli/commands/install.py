"""``modelpm install``."""

import sys
from typing import TYPE_CHECKING, Any

import click

from modelpm.cli import options
from modelpm.cli.completion import catalog_names, folders
from modelpm.cli.context import Session
from modelpm.cli.terminal.format import Line, line
from modelpm.cli.terminal.output import Outcome
from modelpm.cli.terminal.rows import change_line, change_row, fetched, of_action, path_line, reusable, total
from modelpm.cli.updates import newer
from modelpm.cli.verbs import verb
from modelpm.text.human import binary_size, duration

if TYPE_CHECKING:  # start-up
    from modelpm.results.report import Result


@verb(
    "install",
    "modelpm install qwen3-8b",
    "modelpm install core/qwen3-8b@1.0:q5_k_m --as chat",
    "modelpm install hf://Qwen/Qwen3-8B-GGUF:Q4_K_M",
    "modelpm install hf://sentence-transformers/all-MiniLM-L6-v2",
)
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True, shell_complete=catalog_names)
@options.named
@click.option("--dir", "folder", metavar="PATH", help="Also link its files into PATH.", shell_complete=folders)
@options.include
@options.exclude
@options.allow_pickle
@options.allow_code
@options.no_projector
@options.dry_run
def command(session: Session, /, *, specs: tuple[str, ...], folder: str | None, **given: Any) -> Outcome:
    """Install every spec; if one fails, the others are still finished."""
    with session.manager() as manager:
        report = manager.install(session.meant(manager, specs), dir=folder, **given)
        made = [] if report.dry_run else [change.name for change in of_action(report, "install")]
        news = newer(session, manager, changed=bool(made), skip=made)
    return Outcome(
        notes=_planned(report) if report.dry_run else [*_done(report, session.elapsed), *news],
        changes=[change_row(change) for change in report.changes],
        errors=report.errors,
        warnings=report.warnings,
        dry_run=report.dry_run,
    )


def _done(report: "Result[Any]", seconds: float) -> list[Line]:
    made = of_action(report, "install")
    lines = [line((note, "dim")) for note in report.notes]
    if made:
        sizes = total([change.bytes for change in made])
        lines.append(line(f"Installed {sizes} in {duration(seconds)}{fetched(made)}"))
        for change in made:
            lines.append(change_line(change, binary_size(change.bytes)))
            if change.path is not None and sys.stderr.isatty():
                lines.append(path_line(change))
    lines += [line((f"{change.name} is already installed", "dim")) for change in of_action(report, "reuse")]
    return lines + [change_line(change, f"in {change.path}") for change in of_action(report, "link")]


def _planned(report: "Result[Any]") -> list[Line]:
    made = of_action(report, "install")
    lines = [line((note, "dim")) for note in report.notes]
    if made:
        unknown = any(change.bytes is None for change in made)
        sizes = total([None if unknown else change.downloaded for change in made])
        lines.append(line(f"Would download {sizes}{reusable(made)}"))
        lines += [change_line(change, binary_size(change.bytes)) for change in made]
    return lines + [line((f"{change.name} is already installed", "dim")) for change in of_action(report, "reuse")]
