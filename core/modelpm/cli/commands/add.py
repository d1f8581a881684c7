"""``modelpm add``."""

from typing import Any

import click

from modelpm.cli import options, projects
from modelpm.cli.completion import catalog_names
from modelpm.cli.context import Session
from modelpm.cli.terminal.output import Outcome
from modelpm.cli.verbs import verb


@verb("add", "modelpm add qwen3-8b --as chat", "modelpm add hf://acme/style-lora@v3 --group gpu")
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True, shell_complete=catalog_names)
@options.named
@click.option("--group", metavar="GROUP", help="Add it to GROUP, which `sync --group GROUP` selects.")
@options.include
@options.exclude
@options.allow_pickle
@options.allow_code
@options.no_projector
@projects.link_mode
@options.dry_run
def command(session: Session, /, *, specs: tuple[str, ...], **given: Any) -> Outcome:
    """Edit the manifest, comments kept; where anything fails, manifest and lock stay as they were."""
    with session.manager() as manager:
        project = session.needed_project(manager)
        report = project.add(session.meant(manager, specs), **given)
        return projects.outcome(session, report, project)
