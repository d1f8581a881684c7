"""``modelpm list``."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelpm.cli.format import Line, line, table
from modelpm.cli.output import Outcome, width
from modelpm.cli.rows import model_row
from modelpm.cli.session import Session
from modelpm.cli.verbs import verb
from modelpm.text import binary_size

if TYPE_CHECKING:  # start-up
    from modelpm.installed import InstalledModel


@verb("list", "modelpm list", "modelpm list --json | jq '.items[].path'")
def command(session: Session) -> Outcome:
    """Read the lock; asks nobody."""
    with session.manager() as manager:
        project = session.project(manager)
        models = [*(project.installed() if project is not None else ()), *manager.installed()]
    return Outcome(
        lines=_lines(models, width()) if models else (),
        notes=() if models else [line(("nothing is installed; `modelpm install tiny` is a small start", "dim"))],
        items=[model_row(model) for model in models],
    )


def _lines(models: "Sequence[InstalledModel]", width: int | None) -> list[Line]:
    rows = [(m.name, m.release, m.variant, m.format, binary_size(m.bytes), m.model, m.environment) for m in models]
    headers = ("NAME", "RELEASE", "VARIANT", "FORMAT", ">SIZE", "MODEL", "WHERE")
    if all(m.environment == "user" for m in models):
        return table(headers[:-1], [row[:-1] for row in rows], width)
    return table(headers, rows, width)
