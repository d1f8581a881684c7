"""Ask before something is removed: on a terminal; elsewhere the user must pass ``-y``."""

import sys

import click

from modelpm.cli.context import Session
from modelpm.errors import Interrupted, UsageError


def confirm(session: Session, question: str) -> None:
    """Return where the answer is yes.

    Raises:
        UsageError: The run has no terminal to ask on, or prints JSON, and ``-y`` is missing.
        Interrupted: The user declines.
    """
    if session["yes"]:
        return
    if session["json"] or not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            f"{question} modelpm cannot ask without a terminal",
            hints=["-y answers yes; --dry-run only shows what would be done"],
        )
    if not click.confirm(question, err=True):
        raise Interrupted("nothing was changed")
