"""The line about what is newer, below what a verb says that used the network anyway."""

from typing import TYPE_CHECKING

from modelpm.cli.context import Session
from modelpm.cli.terminal.format import Line, count, line

if TYPE_CHECKING:  # start-up
    from modelpm.library.manager import Manager
    from modelpm.library.project import Project

_NAMED = 3


def newer(session: Session, models: "Manager | Project", *, changed: bool) -> list[Line]:
    """Return the line, or none: at most once a day, after something was changed, and where the user wants it.

    Args:
        session: The run.
        models: The user's models, or those of a project.
        changed: Whether the verb changed anything.
    """
    if not changed or session["json"] or session["quiet"]:
        return []
    rows = models.newer(unasked=True)
    if not rows:
        return []
    named = ", ".join(f"{row.name} {row.newest}" for row in rows[:_NAMED])
    more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
    return [line((f"{count(len(rows), 'model')} can be upgraded: {named}{more}; `modelpm upgrade` does it", "dim"))]
