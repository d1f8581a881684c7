"""``modelpm verify``."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from modelpm.cli.completing import installed_names
from modelpm.cli.format import Line, count, line
from modelpm.cli.options import Command
from modelpm.cli.output import Outcome
from modelpm.cli.session import Session
from modelpm.errors import IntegrityError
from modelpm.text import binary_size, duration

if TYPE_CHECKING:  # start-up
    from modelpm.report import Verified


@click.command(
    "verify",
    cls=Command,
    help="Check what is stored, byte by byte.",
    examples=("modelpm verify", "modelpm verify qwen3-8b", "modelpm verify --quick"),
)
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=installed_names)
@click.option("--quick", is_flag=True, help="Compare sizes and times only.")
@click.pass_obj
def command(session: Session, *, names: tuple[str, ...], quick: bool) -> Outcome:
    """Re-hash; exits with 4 where a byte is not what was locked."""
    with session.manager() as manager:
        rows = manager.verify(names, quick=quick)
        sizes = {(m.name, file.path): file.size for m in manager.installed() for file in m.files}
    total = sum(sizes.get((row.name, row.file), 0) for row in rows)
    return Outcome(
        notes=_notes(rows, total, session.elapsed),
        items=[_row(row) for row in rows],
        errors=[_error(row) for row in rows if not row.ok],
    )


def _row(row: "Verified") -> dict[str, Any]:
    return {"name": row.name, "file": row.file, "ok": row.ok, "problem": row.problem}


def _error(row: "Verified") -> IntegrityError:
    return IntegrityError(
        f"`{row.file}` of `{row.name}` is damaged: {row.problem}",
        hints=[f"`modelpm uninstall {row.name}` and installing it again brings it back whole"],
        code="damaged",
        name=row.name,
        file=row.file,
    )


def _notes(rows: "Sequence[Verified]", total: int, seconds: float) -> list[Line]:
    if not rows:
        return [line(("nothing is installed", "dim"))]
    good = sum(row.ok for row in rows)
    summary = f"Verified {count(len(rows), 'file')} ({binary_size(total)}) in {duration(seconds)}"
    return [line(summary if good == len(rows) else f"{summary}: {len(rows) - good} damaged")]
