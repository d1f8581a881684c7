"""``modelpm path``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from modelpm.cli.completion import files_of_model, installed_names
from modelpm.cli.context import Session
from modelpm.cli.terminal.output import Outcome, place
from modelpm.cli.verbs import verb

if TYPE_CHECKING:  # start-up
    from modelpm.library.answers import View
    from modelpm.library.manager import Manager


@verb(
    "path",
    'llama-cli -m "$(modelpm path qwen3-8b)"',
    "modelpm path all-minilm-l6-v2 config.json",
    "modelpm path tiny --ensure",
)
@click.argument("name", shell_complete=installed_names)
@click.argument("file", required=False, shell_complete=files_of_model)
@click.option("--dir", "folder", is_flag=True, help="Print the folder, whatever is in it.")
@click.option("--ensure", is_flag=True, help="Install it first, where it is not.")
def command(session: Session, *, name: str, file: str | None, folder: bool, ensure: bool) -> Outcome:
    """Print one line: the file, the first of a split file's shards, else the folder."""
    with session.manager() as manager:
        name = session.meant(manager, [name])[0]
        view, path = _path(session, manager, name, file, folder=folder, ensure=ensure)
        manager.say_unkept()
    own_name = path.relative_to(view.root).parts[0]  # it may have been asked for by its spec
    return place(path, name=own_name)


def _path(
    session: Session, manager: "Manager", name: str, file: str | None, *, folder: bool, ensure: bool
) -> "tuple[View, Path]":
    """Ask the project first, then the user's models."""
    project = session.project(manager)
    if project is None or project.environment.read().get(name) is None:
        return manager.environment.view, manager.path(name, file, dir=folder, ensure=ensure)
    if ensure and not project.is_installed(name):
        project.sync(only=[name])
    return project.environment.view, project.path(name, file, dir=folder)
