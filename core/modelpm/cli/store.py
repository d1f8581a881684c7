"""``modelpm store``."""

import os
import sys

import click

from modelpm.cli.format import line
from modelpm.cli.options import Command
from modelpm.cli.output import Outcome
from modelpm.cli.session import Session
from modelpm.cli.verbs import Group
from modelpm.text import binary_size


@click.group(
    "store",
    cls=Group,
    help="Say where the store is, and how large.",
    examples=("modelpm store dir", "modelpm store size"),
)
def command() -> None:
    """Hold the verbs below."""


@command.command("dir", cls=Command, help="Print the folder of the store.", examples=('du -sh "$(modelpm store dir)"',))
@click.pass_obj
def folder(session: Session) -> Outcome:
    """Print the folder, whether it is there or not."""
    with session.manager() as manager:
        path = manager.config.paths.store
    return Outcome(raw=os.fsencode(path) + b"\n", items=[{"path": str(path)}])


@command.command(
    "size",
    cls=Command,
    help="Print how much the store holds; plain bytes where stdout is no terminal.",
    examples=("modelpm store size",),
)
@click.pass_obj
def total(session: Session) -> Outcome:
    """Add up the blobs."""
    with session.manager() as manager:
        sizes = [bytes_ for _, bytes_ in manager.store.blobs()]
    text = binary_size(sum(sizes)) if sys.stdout.isatty() else str(sum(sizes))
    return Outcome(lines=[line(text)], items=[{"blobs": len(sizes), "bytes": sum(sizes)}])
