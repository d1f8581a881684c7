"""Code that the project verbs share: options, and the outcome of a report."""

from typing import TYPE_CHECKING, Any

import click

from modelpm.cli.context import Session
from modelpm.cli.terminal.format import Line, count, line
from modelpm.cli.terminal.output import Outcome
from modelpm.cli.terminal.rows import change_line, change_row, compared, fetched, of_action, reusable, total
from modelpm.cli.updates import newer
from modelpm.text.human import binary_size, duration
from modelpm.text.plain import plain

if TYPE_CHECKING:  # start-up
    from modelpm.library.project import Project
    from modelpm.results.report import Change, Result

_PLANNED = {"lock-add": "add", "lock-update": "update", "lock-remove": "remove"}
_LOCKING = {"lock-add": "Added", "lock-update": "Updated", "lock-remove": "Removed"}


def _keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    session = ctx.find_object(Session)
    if session is not None and value is not None:
        session.options[param.name or ""] = value
        session.typed.add(param.name or "")


link_mode = click.option(
    "--link-mode",
    type=click.Choice(["auto", "reflink", "hardlink", "symlink", "copy"]),
    callback=_keep,
    expose_value=False,
    metavar="KIND",
    help="How files appear: reflink, hardlink, symlink, copy, auto.",
)


def outcome(session: Session, report: "Result[Any]", project: "Project | None" = None) -> Outcome:
    """Return the outcome of a project's verb; with the project, also the line about newer versions."""
    made = not report.dry_run and not report.errors and bool(report.changes)
    asked = [change.name for change in report.changes if change.action in _LOCKING]
    news = [] if project is None else newer(session, project, changed=made, skip=asked)
    lock = None if report.lock is None else {"path": str(report.lock), "action": report.lock_action}
    return Outcome(
        notes=[] if report.errors else [*_notes(report, session.elapsed), *news],
        items=plain(report.models),
        changes=[change_row(change) for change in report.changes],
        errors=report.errors,
        warnings=report.warnings,
        dry_run=report.dry_run,
        lock=lock,
    )


def _notes(report: "Result[Any]", seconds: float) -> list[Line]:
    lines = [line(note) for note in report.notes]
    would = report.dry_run
    locked = [change for change in report.changes if change.action in _LOCKING]
    for change in locked:
        word = _LOCKING[change.action]
        lines.append(
            line(
                f"Would {_PLANNED[change.action]}" if would else word,
                (f" {change.name}", "bold"),
                _moved(change),
            )
        )
    lines += [compared(change) for change in of_action(report, "compare")]
    for action, done, plan in (("install", "Installed", "install"), ("link", "Linked", "link")):
        made = of_action(report, action)
        if made:
            sizes = total([change.bytes for change in made])
            lines.append(
                line(
                    f"Would {plan} {sizes}{reusable(made)}"
                    if would
                    else f"{done} {sizes} in {duration(seconds)}{fetched(made) if action == 'install' else ''}"
                )
            )
            lines += [change_line(change, binary_size(change.bytes)) for change in made]
    lines += [change_line(change, "out of the view") for change in of_action(report, "unlink")]
    if not lines:
        lines.append(line((f"Nothing to do: {count(len(report.models), 'model')} locked", "dim")))
    return lines


def _moved(change: "Change") -> str:
    now = change.release or (change.digest or "")[:15] or "digest unknown until it is fetched"
    before = change.before if change.release else change.before[:15]
    return f" {before} -> {now}" if before and before != now else f" {now}" if change.action != "lock-remove" else ""
