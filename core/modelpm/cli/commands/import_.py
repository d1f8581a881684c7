"""``modelpm import``."""

from typing import Any

import click

from modelpm.cli import options
from modelpm.cli.context import Session
from modelpm.cli.terminal.format import count, line
from modelpm.cli.terminal.output import Outcome
from modelpm.cli.verbs import verb
from modelpm.text.human import binary_size, duration
from modelpm.text.plain import plain

_FEW = 8  # files that are named, and names of one


@verb("import", "modelpm import models.tar", "modelpm import models.tar.001", "modelpm import ~/Downloads/models")
@click.argument("source", metavar="FILE|DIR", type=click.Path(exists=False))
@options.allow_pickle
@options.allow_code
def command(session: Session, /, *, source: str, **given: Any) -> Outcome:
    """Hash every byte; clone or link files where that is possible, never move or change them."""
    with session.manager() as manager:
        project = session.project(manager)
        taken = manager.import_(source, project=project, **given).rows
        warnings = manager.warnings
    size = binary_size(sum(t.size for t in taken))
    new = sum(t.state == "adopted" for t in taken)
    notes = [line(f"Imported {count(len(taken), 'file')} ({size}), {new} of them new, in {duration(session.elapsed)}")]
    recognized = [t for t in taken if t.known]
    notes += [line(f"{t.file} is {', '.join(t.known[:_FEW])}") for t in recognized[:_FEW]]
    if recognized:
        notes.append(line(("`modelpm install SPEC` takes what is there from the store", "dim")))
    if project is not None:
        notes.append(line(("`modelpm sync --frozen --offline` puts what is locked in place", "dim")))
    return Outcome(notes=notes, items=plain(taken), warnings=warnings)
