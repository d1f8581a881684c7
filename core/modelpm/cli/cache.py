"""``modelpm cache``."""

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
    "cache",
    cls=Group,
    help="Say where the cache is, and how large; clean it.",
    examples=("modelpm cache dir", "modelpm cache size", "modelpm cache clean"),
)
def command() -> None:
    """Hold the verbs below."""


@command.command("dir", cls=Command, help="Print the folder of the cache.", examples=("modelpm cache dir",))
@click.pass_obj
def folder(session: Session) -> Outcome:
    """Print the folder, whether it is there or not."""
    with session.manager() as manager:
        path = manager.config.paths.cache
    return Outcome(raw=os.fsencode(path) + b"\n", items=[{"path": str(path)}])


@command.command(
    "size",
    cls=Command,
    help="Print how much the cache holds; plain bytes where stdout is no terminal.",
    examples=("modelpm cache size",),
)
@click.pass_obj
def total(session: Session) -> Outcome:
    """Add up the files."""
    with session.manager() as manager:
        size = manager.housekeeping.cache_size()
    return Outcome(lines=[line(binary_size(size) if sys.stdout.isatty() else str(size))], items=[{"bytes": size}])


@command.command("clean", cls=Command, help="Delete the cache.", examples=("modelpm cache clean",))
@click.pass_obj
def clean(session: Session) -> Outcome:
    """Delete it; it comes back as it is needed."""
    with session.manager() as manager:
        size = manager.housekeeping.clean_cache()
    return Outcome(notes=[line(f"Freed {binary_size(size)}")], items=[{"bytes": size}])
