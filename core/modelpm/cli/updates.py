"""The line about newer versions, which verbs print that used the network anyway."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from modelpm.cli.context import Session
from modelpm.cli.terminal.format import Line, count, line

if TYPE_CHECKING:  # start-up
    from modelpm.library.manager import Manager
    from modelpm.library.project import Project

_NAMED = 3


def newer(session: Session, models: "Manager | Project", *, changed: bool, skip: Collection[str] = ()) -> list[Line]:
    """Return the line: at most once a day, after a verb changed something, where the settings allow it.

    Args:
        session: The run.
        models: The user's models, or those of a project.
        changed: Whether the verb changed anything.
        skip: Names of models that the verb looked up itself.
    """
    if not changed or session["json"] or session["quiet"] or not _is_wanted(models):
        return []
    rows = models.newer(skip=skip)
    if not rows:
        return []
    named = ", ".join(f"{row.name} {row.newest}" for row in rows[:_NAMED])
    more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
    return [line((f"{count(len(rows), 'model')} can be upgraded: {named}{more}; `modelpm upgrade` does it", "dim"))]


def _is_wanted(models: "Manager | Project") -> bool:
    """Whether to check without being asked: not offline, not in CI, and as ``[ui] update-check`` says."""
    config = models.config
    return bool(config["ui.update-check"]) and not config["network.offline"] and not config.environ.get("CI")
