"""``modelpm audit``."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from modelpm.cli.context import Session
from modelpm.cli.terminal.format import Line, count, line
from modelpm.cli.terminal.output import Outcome, listing
from modelpm.cli.verbs import Group
from modelpm.errors import ModelpmError, UsageError

if TYPE_CHECKING:  # start-up
    from modelpm.library.answers import GuardedLog
    from modelpm.library.manager import Manager

_SUCCESS: Mapping[Any, str] = {True: "ok", False: "failed", None: "begun"}


@click.group(
    "audit",
    cls=Group,
    invoke_without_command=True,
    help="Show the audit log, and check that it is whole.",
    examples=("modelpm audit show --limit 50", "modelpm audit verify"),
)
@click.pass_context
def command(ctx: click.Context) -> Outcome | None:
    """Without a verb: show."""
    if ctx.invoked_subcommand is not None:
        return None
    return _shown(ctx.ensure_object(Session), 20)


@command.verb("show", "Show the last records.", "modelpm audit show --limit 50")
@click.option(
    "-n",
    "--limit",
    metavar="N",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="How many, the last ones.",
)
def show(session: Session, *, limit: int) -> Outcome:
    """Read the log back."""
    return _shown(session, limit)


@command.verb("verify", "Check that no record was edited, moved or cut.", "modelpm audit verify")
def verify(session: Session) -> Outcome:
    """Check every log that can be read back; exits with 4 at the first bad line."""
    notes: list[Line] = []
    items, errors = [], []
    with session.manager() as manager:
        for name, log in _logs(manager):
            try:
                standing = log.verify()
            except ModelpmError as error:
                errors.append(error)
                items.append({"name": name, "ok": False, "records": None, "problem": error.message})
            else:
                notes.append(line(f"Verified {count(standing, 'record')} of the audit log `{name}`"))
                items.append({"name": name, "ok": True, "records": standing, "problem": ""})
    return Outcome(notes=notes, items=items, errors=errors)


def _shown(session: Session, limit: int) -> Outcome:
    with session.manager() as manager:
        records = [dict(record) for _, log in _logs(manager) for record in log.tail(limit)]
    rows = [
        (
            str(record.get("timestamp", "")),
            str(record.get("user_id", "")),
            str(record.get("action", "")),
            str(record.get("resource_id", "")),
            _SUCCESS.get(record.get("success"), ""),
        )
        for record in records
    ]
    return listing(("TIME", "USER", "ACTION", "RESOURCE", "RESULT"), rows, records, "nothing is recorded")


def _logs(manager: "Manager") -> "Iterator[tuple[str, GuardedLog]]":
    names, logs = manager.config["audit.sinks"], manager.audit_logs()
    if not logs:
        hint = "the sink `jsonl` can be: `modelpm config set audit.sinks jsonl`"
        raise UsageError(f"no audit log can be read back: audit.sinks is `{', '.join(names)}`", hints=[hint])
    yield from logs
