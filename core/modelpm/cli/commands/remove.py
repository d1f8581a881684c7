"""``modelpm remove``."""

import click

from modelpm.cli import options, projects
from modelpm.cli.commands import uninstall
from modelpm.cli.completion import installed_names
from modelpm.cli.context import Session
from modelpm.cli.terminal.output import Outcome
from modelpm.cli.verbs import verb


@verb("remove", "modelpm remove chat", "modelpm remove -g qwen3-8b")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=installed_names)
@options.dry_run
def command(session: Session, *, names: tuple[str, ...], dry_run: bool) -> Outcome:
    """Take them out of manifest, lock and view; bytes stay until they are pruned."""
    with session.manager() as manager:
        project = session.project(manager)
        if project is None:
            return uninstall.outcome(session, manager.uninstall(names, dry_run=dry_run))
        report = project.remove(names, dry_run=dry_run)
    return projects.outcome(session, report)
