"""``modelpm init``."""

import click

from modelpm.cli.format import line
from modelpm.cli.options import Command
from modelpm.cli.output import Outcome
from modelpm.cli.session import Session


@click.command("init", cls=Command, help="Begin a project: write models.toml.", examples=("modelpm init",))
@click.pass_obj
def command(session: Session) -> Outcome:
    """Write a manifest with comments; never over one that is there."""
    session.refuse_global()
    with session.manager() as manager:
        project = manager.init()
    path = str(project.site.manifest)
    return Outcome(
        notes=[line(f"Wrote {path}"), line(("`modelpm add SPEC` puts a model into it", "dim"))], items=[{"path": path}]
    )
