"""``modelpm doctor``."""

from typing import TYPE_CHECKING

import click

from modelpm.cli.context import Session
from modelpm.cli.terminal.format import Line, count, line
from modelpm.cli.terminal.output import Outcome
from modelpm.cli.verbs import verb
from modelpm.errors import Code, ModelpmError
from modelpm.text.plain import row

if TYPE_CHECKING:  # start-up
    from modelpm.library.answers import Check

_STYLES = {"ok": "added", "warn": "warning", "fail": "error"}


@verb("doctor", "modelpm doctor", "modelpm doctor --fix", "modelpm doctor --offline")
@click.option("--fix", is_flag=True, help="Apply the safe fixes.")
def command(session: Session, *, fix: bool) -> Outcome:
    """One line a check."""
    with session.manager() as manager:
        checks = manager.maintenance.doctor(fix=fix)
    failed = [check for check in checks if check.state == "fail"]
    warned = sum(check.state == "warn" for check in checks)
    summary = f"{count(len(checks), 'check')}, {count(warned, 'warning')}, {count(len(failed), 'failure')}"
    return Outcome(
        lines=[each for check in checks for each in _lines(check)],
        notes=[line((summary, "dim"))],
        items=[row(check, "name", "state", "text", "cure") for check in checks],
        errors=[_error(check) for check in failed] if session["json"] else [_summary(failed)] if failed else [],
    )


def _lines(check: "Check") -> list[Line]:
    width = max(len(name) for name in ("quarantine", "store.path"))
    found = [line((f"{check.state:4}", _STYLES[check.state]), f"  {check.name:{width}}  {check.text}")]
    if check.cure and check.state != "ok":
        found.append(line((f"      {'':{width}}  → {check.cure}", "hint")))
    return found


def _error(check: "Check") -> ModelpmError:
    return ModelpmError(f"{check.name}: {check.text}", hints=[check.cure] if check.cure else [], code=Code.UNHEALTHY)


def _summary(failed: "list[Check]") -> ModelpmError:
    return ModelpmError(f"failed: {', '.join(dict.fromkeys(c.name for c in failed))}", code=Code.UNHEALTHY)
