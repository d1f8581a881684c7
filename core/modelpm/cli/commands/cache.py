"""``modelpm cache``."""

import sys

from modelpm.cli.context import Session
from modelpm.cli.terminal.format import line
from modelpm.cli.terminal.output import Outcome, place
from modelpm.cli.verbs import group
from modelpm.text.human import binary_size

command = group("cache", "modelpm cache dir", "modelpm cache size", "modelpm cache clean")


@command.verb("dir", "Print the folder of the cache.", "modelpm cache dir")
def folder(session: Session) -> Outcome:
    """Print the folder, whether it is there or not."""
    with session.manager() as manager:
        path = manager.config.paths.cache
    return place(path)


@command.verb("size", "Print how much the cache holds; plain bytes if stdout is not a terminal.", "modelpm cache size")
def total(session: Session) -> Outcome:
    """Add up the files."""
    with session.manager() as manager:
        size = manager.maintenance.cache_size()
    return Outcome(lines=[line(binary_size(size) if sys.stdout.isatty() else str(size))], items=[{"bytes": size}])


@command.verb("clean", "Delete the cache.", "modelpm cache clean")
def clean(session: Session) -> Outcome:
    """Delete it; it comes back as it is needed."""
    with session.manager() as manager:
        size = manager.maintenance.clean_cache()
    return Outcome(notes=[line(f"Freed {binary_size(size)}")], items=[{"bytes": size}])
