"""``modelpm store``."""

import sys
from typing import TYPE_CHECKING

import click

from modelpm.cli.context import Session
from modelpm.cli.terminal.format import count, line, table
from modelpm.cli.terminal.output import Outcome, place, width
from modelpm.cli.verbs import group
from modelpm.text.human import binary_size
from modelpm.text.plain import plain

if TYPE_CHECKING:  # start-up
    from modelpm.library.answers import Share


command = group("store", "modelpm store dir", "modelpm store size", "modelpm store move /mnt/big/modelpm")


@command.verb("dir", "Print the folder of the store.", 'du -sh "$(modelpm store dir)"')
def folder(session: Session) -> Outcome:
    """Print the folder, whether it is there or not."""
    with session.manager() as manager:
        path = manager.config.paths.store
    return place(path)


@command.verb(
    "size",
    "Print what takes the space of the store, by model; only the total if stdout is not a terminal.",
    "modelpm store size",
    "modelpm store size --json",
)
def total(session: Session) -> Outcome:
    """Add up the blobs; what several models share is counted once."""
    with session.manager() as manager:
        shares = manager.maintenance.sizes()
    files = [share for share in shares if share.kind in _BLOBS]
    blobs, size = sum(share.files for share in files), sum(share.bytes for share in files)
    rows = [(_named(share), share.environment, str(share.files), binary_size(share.bytes)) for share in shares]
    shown = table(("MODEL", "ENVIRONMENT", ">FILES", ">SIZE"), rows, width()) if rows else []
    return Outcome(
        lines=[*shown, line(binary_size(size))] if sys.stdout.isatty() else [line(str(size))],
        items=[{"blobs": blobs, "bytes": size, "shares": plain(shares)}],
    )


_BLOBS = ("model", "shared", "held", "unneeded")
_WORDS = {
    "shared": "(shared by several)",
    "held": "(held by folders, and by projects not seen lately)",
    "unneeded": "(not in use)",
    "partial": "(unfinished downloads)",
    "quarantine": "(set aside)",
    "draft": "(drafts)",
}


def _named(share: "Share") -> str:
    return share.name or _WORDS[share.kind]


@command.verb(
    "move",
    "Move the store to another folder or disk: verified, resumable, and every model stays where it appears.",
    "modelpm store move /mnt/big/modelpm",
)
@click.argument("path", metavar="PATH", type=click.Path(file_okay=False))
def move(session: Session, *, path: str) -> Outcome:
    """Copy, verify, count on the copy, release the original."""
    with session.manager() as manager:
        moved = manager.maintenance.move_store(path)
    return Outcome(
        notes=[line(f"Moved {count(moved.blobs, 'file')} ({binary_size(moved.bytes)}) to {moved.target}")],
        changes=[{"action": "move", "from": str(moved.origin), "path": str(moved.target), "bytes": moved.bytes}],
        warnings=[f"{sha256} was damaged and was left behind" for sha256 in moved.damaged],
    )
