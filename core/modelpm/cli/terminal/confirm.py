"""Ask before something is gone: on a terminal; elsewhere ``-y`` must say it."""

import sys

import click

from modelpm.cli.context import Session
from modelpm.errors import Interrupted, UsageError


def confirm(session: Session, question: str) -> None:
    """Return where the answer is yes.

    Raises:
        UsageError: There is nobody to ask, and no ``-y``.
        Interrupted: The answer is no.
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
