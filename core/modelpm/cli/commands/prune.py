"""``modelpm prune``."""

from typing import TYPE_CHECKING

import click

from modelpm.cli.context import Session
from modelpm.cli.terminal.confirm import confirm
from modelpm.cli.terminal.format import Line, count, line
from modelpm.cli.terminal.output import Outcome
from modelpm.cli.verbs import verb
from modelpm.text.human import binary_size, duration
from modelpm.text.plain import row

if TYPE_CHECKING:  # start-up
    from modelpm.library.answers import Pruned

_WORDS = {
    "blob": ("file", ""),
    "partial": ("unfinished download", ""),
    "quarantine": ("file set aside", "files set aside"),
    "draft": ("draft", ""),
}


@verb(
    "prune",
    "modelpm prune --dry-run",
    "modelpm prune -y",
    "modelpm prune --older-than 90d",
    "modelpm prune --max-size 200G",
)
@click.option("--dry-run", is_flag=True, help="Say what would be freed, and do nothing.")
@click.option("--older-than", metavar="AGE", default="", help="Spare what was used later than that: 90d, 12h.")
@click.option("--max-size", metavar="SIZE", default="", help="Stop when the store is at most this large: 200G.")
def command(session: Session, *, dry_run: bool, older_than: str, max_size: str) -> Outcome:
    """Say it, ask, then do it."""
    with session.manager() as manager:
        keeping, project = manager.maintenance, manager.find_project()
        here = project.as_root if project is not None else None
        found = keeping.prune(dry_run=True, older_than=older_than, max_size=max_size, project=here)
        if not dry_run and found.removed:
            confirm(session, f"Free {binary_size(found.freed)}: {_listed(found)}?")
        if not dry_run:
            found = keeping.prune(older_than=older_than, max_size=max_size, project=here)
    return Outcome(
        notes=_notes(found, session.elapsed),
        changes=[row(it, "kind", "bytes", "path", action="free", name=it.path.name) for it in found.removed],
        items=[row(found, "freed", "kept", "spared")],
        warnings=found.notes,
        dry_run=dry_run,
    )


def _listed(found: "Pruned") -> str:
    kinds = [item.kind for item in found.removed]
    return ", ".join(count(kinds.count(kind), *words) for kind, words in _WORDS.items() if kind in kinds)


def _notes(found: "Pruned", seconds: float) -> list[Line]:
    if not found.removed:
        return [line(("nothing to free", "dim"))]
    done = "Would free" if found.dry_run else "Freed"
    took = "" if found.dry_run else f" in {duration(seconds)}"
    return [line(f"{done} {binary_size(found.freed)}{took}: {_listed(found)}")]
