"""``modelpm list``."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from modelpm.cli.context import Session
from modelpm.cli.terminal.format import Line, count, line
from modelpm.cli.terminal.output import Outcome, listing
from modelpm.cli.verbs import verb
from modelpm.text.human import binary_size
from modelpm.text.plain import row

if TYPE_CHECKING:  # start-up
    from modelpm.results.installed import InstalledModel

_HEADERS = ("NAME", "RELEASE", "VARIANT", "FORMAT", ">SIZE", "INSTALLED", "MODEL", "WHERE")


@verb("list", "modelpm list", "modelpm list --json | jq '.items[].path'")
def command(session: Session) -> Outcome:
    """Read the lock; no network."""
    with session.manager() as manager:
        project = session.project(manager)
        models = [*(project.installed() if project is not None else ()), *manager.installed()]
    times = [_installed_at(model) for model in models]
    rows = [
        (m.name, m.release, m.variant, m.format, binary_size(m.bytes), _day(time), m.model, m.environment)
        for m, time in zip(models, times, strict=True)
    ]
    shown = len(_HEADERS) if any(m.environment != "user" for m in models) else -1
    nothing = "nothing is installed; `modelpm install tiny` is a small start"
    items = [row(m, installed_at=_stamp(time)) for m, time in zip(models, times, strict=True)]
    listed = listing(_HEADERS[:shown], [each[:shown] for each in rows], items, nothing)
    return listed._replace(notes=[*listed.notes, *_total(models)])


def _total(models: "Sequence[InstalledModel]") -> list[Line]:
    """Return how many models there are, their size together, and where they are."""
    if not models:
        return []
    places = dict.fromkeys(str(model.folder.parent) for model in models)
    size = binary_size(sum(model.bytes for model in models))
    return [line((f"{count(len(models), 'model')}, {size} in {' and '.join(places)}", "dim"))]


def _installed_at(model: "InstalledModel") -> datetime | None:
    """Return when the files of a model were put in place; None if they are gone."""
    try:
        return datetime.fromtimestamp(model.folder.stat().st_mtime, UTC)
    except (OSError, ValueError, OverflowError):
        return None


def _day(time: datetime | None) -> str:
    return "" if time is None else f"{time.astimezone():%Y-%m-%d}"


def _stamp(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="seconds").replace("+00:00", "Z")
