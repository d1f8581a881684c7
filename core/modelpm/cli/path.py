"""``modelpm path``."""

import os

import click

from modelpm.cli.completing import installed_names
from modelpm.cli.options import Command
from modelpm.cli.output import Outcome
from modelpm.cli.session import Session


@click.command(
    "path",
    cls=Command,
    help="Print where an installed model is.",
    examples=(
        'llama-cli -m "$(modelpm path qwen3-8b)"',
        "modelpm path all-minilm-l6-v2 config.json",
        "modelpm path tiny --ensure",
    ),
)
@click.argument("name", shell_complete=installed_names)
@click.argument("file", required=False)
@click.option("--dir", "folder", is_flag=True, help="Print the folder, whatever is in it.")
@click.option("--ensure", is_flag=True, help="Install it first, where it is not.")
@click.pass_obj
def command(session: Session, *, name: str, file: str | None, folder: bool, ensure: bool) -> Outcome:
    """Print one line: the file, the first of a split file's shards, else the folder."""
    with session.manager() as manager:
        path = manager.path(name, file, dir=folder, ensure=ensure)
    return Outcome(raw=os.fsencode(path) + b"\n", items=[{"name": name, "path": str(path)}])
