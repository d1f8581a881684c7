"""``modelpm add``."""

from typing import Any

import click

from modelpm.cli import projects
from modelpm.cli.completing import catalog_names
from modelpm.cli.output import Outcome
from modelpm.cli.session import Session
from modelpm.cli.verbs import verb


@verb("add", "modelpm add qwen3-8b --as chat", "modelpm add hf://acme/style-lora@v3 --group gpu")
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True, shell_complete=catalog_names)
@click.option("--as", "name", metavar="NAME", help="Name it NAME instead of what the catalog or the repository says.")
@click.option("--group", metavar="GROUP", help="Put it into GROUP: synced where that group is wanted.")
@click.option("--include", metavar="GLOB", multiple=True, help="Take only files that match; may be repeated.")
@click.option("--exclude", metavar="GLOB", multiple=True, help="Leave out files that match; may be repeated.")
@projects.link_mode
@projects.dry_run
def command(session: Session, /, *, specs: tuple[str, ...], **options: Any) -> Outcome:
    """Edit the manifest, comments kept; where anything fails, manifest and lock stay as they were."""
    with session.manager() as manager:
        report = session.needed_project(manager).add(specs, **options)
    return projects.outcome(session, report)
