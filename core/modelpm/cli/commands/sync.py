"""``modelpm sync``."""

from typing import Any

import click

from modelpm.cli import options, projects
from modelpm.cli.context import Session
from modelpm.cli.terminal.output import Outcome
from modelpm.cli.verbs import verb


@verb("sync", "modelpm sync --locked", "modelpm sync --frozen --offline", "modelpm sync --group gpu")
@click.option(
    "--locked", is_flag=True, envvar="MODELPM_LOCKED", show_envvar=True, help="Exit 3 at once where the lock drifted."
)
@click.option(
    "--frozen",
    is_flag=True,
    envvar="MODELPM_FROZEN",
    show_envvar=True,
    help="Take the lock as it is; do not open models.toml.",
)
@click.option("--check", is_flag=True, help="Do nothing; exit 3 where anything would be done.")
@click.option("--exact", is_flag=True, help="Remove files that are not locked any more.")
@click.option("--group", "groups", metavar="GROUP", multiple=True, help="Also take the models of GROUP.")
@click.option("--all-groups", is_flag=True, help="Take the models of every group.")
@projects.link_mode
@options.dry_run
def command(session: Session, /, **given: Any) -> Outcome:
    """Make the view show what is locked."""
    with session.manager() as manager:
        project = session.needed_project(manager, frozen=given["frozen"])
        return projects.outcome(session, project.sync(**given), None if given["frozen"] else project)
