"""``modelpm import``."""

import sys
from typing import TYPE_CHECKING, Any

import click

from modelpm.cli import options
from modelpm.cli.context import Session
from modelpm.cli.terminal.format import Line, count, line
from modelpm.cli.terminal.output import Outcome
from modelpm.cli.terminal.rows import change_line, change_row, of_action, path_line, total
from modelpm.cli.verbs import verb
from modelpm.text.human import binary_size, duration
from modelpm.text.plain import plain

if TYPE_CHECKING:  # start-up
    from modelpm.library.answers import Taken
    from modelpm.results.report import Result

_FEW = 8  # files that are named, and names of one


@verb(
    "import",
    "modelpm import ~/Downloads/qwen3-8b-q4_k_m.gguf",
    "modelpm import ~/.cache/huggingface/hub --dry-run",
    "modelpm import models.tar",
)
@click.argument("source", metavar="FILE|DIR", type=click.Path(exists=False))
@options.named
@options.allow_pickle
@options.allow_code
@options.dry_run
def command(session: Session, /, *, source: str, **given: Any) -> Outcome:
    """Make installed models of files, folders and bundles; nothing there is moved or changed."""
    with session.manager() as manager:
        project = session.project(manager)
        result = manager.import_(source, project=project, **given)
    notes = _told(result, session.elapsed)
    if project is not None and not result.dry_run:
        notes.append(line(("`modelpm sync --frozen --offline` links the locked models", "dim")))
    return Outcome(
        notes=notes,
        items=plain(result.rows),
        changes=[change_row(change) for change in result.changes],
        errors=result.errors,
        warnings=result.warnings,
        dry_run=result.dry_run,
    )


def _told(result: "Result[Taken]", seconds: float) -> list[Line]:
    made, rows = of_action(result, "install"), result.rows
    lines = []
    if result.dry_run:
        lines.append(line(f"Would import {total([change.bytes for change in made])}"))
    else:
        new = sum(row.state == "adopted" for row in rows)
        size = binary_size(sum(row.size for row in rows))
        lines.append(line(f"Imported {count(len(rows), 'file')} ({size}), {new} of them new, in {duration(seconds)}"))
    for change in made:
        lines.append(change_line(change, binary_size(change.bytes)))
        if change.path is not None and sys.stderr.isatty():
            lines.append(path_line(change))
    lines += [line((f"{change.name} is already installed", "dim")) for change in of_action(result, "reuse")]
    known = [row for row in rows if row.known]
    return lines + [line((f"{row.file} is {', '.join(row.known[:_FEW])}", "dim")) for row in known[:_FEW]]
