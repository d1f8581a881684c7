"""``modelpm path``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    "modelpm path hf://ggml-org/gemma-3-4b-it-GGUF --role projector",
)
@click.argument("name", shell_complete=installed_names)
@click.argument("file", required=False, shell_complete=files_of_model)
@click.option("--dir", "folder", is_flag=True, help="Print the folder, whatever is in it.")
@click.option("--role", metavar="ROLE", default="", help="Print the file of that role: projector, vae, draft, …")
@click.option("--ensure", is_flag=True, help="Install it first if it is missing.")
def command(session: Session, *, name: str, file: str | None, folder: bool, role: str, ensure: bool) -> Outcome:
    """Print one line: the file that a program opens, the first of several shards, or the folder."""
    with session.manager() as manager:
        name = session.meant(manager, [name])[0]
        view, path = _path(session, manager, name, ensure=ensure, file=file, dir=folder, role=role)
        manager.say_unkept()
    own_name = path.relative_to(view.root).parts[0]  # it may have been asked for by its spec
    return place(path, name=own_name)


def _path(session: Session, manager: "Manager", name: str, *, ensure: bool, **given: Any) -> "tuple[View, Path]":
    """Ask the project first, then the user's models."""
    project = session.project(manager)
    own = project.name_of(name) if project is not None else None
    if project is None or own is None:
        return manager.environment.view, manager.path(name, ensure=ensure, **given)
    if ensure and not project.is_installed(own):
        project.sync(only=[own])
    return project.environment.view, project.path(own, **given)
