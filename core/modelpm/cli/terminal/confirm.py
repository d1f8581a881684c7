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
            f"{question} There is no terminal to ask on", hints=["-y takes yes for an answer; --dry-run only shows it"]
        )
    if not click.confirm(question, err=True):
        raise Interrupted("nothing was changed")
