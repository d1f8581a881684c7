"""``modelpm push``."""

import click

from modelpm.cli.completion import installed_names
from modelpm.cli.context import Session
from modelpm.cli.terminal.format import line
from modelpm.cli.terminal.output import Outcome
from modelpm.cli.verbs import verb
from modelpm.errors import UsageError
from modelpm.text.human import binary_size, duration
from modelpm.text.plain import plain


@verb(
    "push",
    "modelpm push oci://registry.example/models/qwen3:1.0 qwen3-8b",
    "modelpm push oci://registry.example/team/models:2026-11 --project",
)
@click.argument("target", metavar="DEST")
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=installed_names)
@click.option("--project", "whole", is_flag=True, help="Push all that the project has locked, with its lock.")
def command(session: Session, *, target: str, names: tuple[str, ...], whole: bool) -> Outcome:
    """Send what is not there yet; print the digest that pins it."""
    if bool(names) == whole:
        raise UsageError(
            "say what to push: names of models, or `--project`, and not both", hints=["`modelpm list` shows the names"]
        )
    with session.manager() as manager:
        project = session.needed_project(manager) if whole else session.project(manager)
        result = manager.push(target, names, project=project)
    (row,) = result.rows
    of_all = "" if row.uploaded >= row.bytes else f" of {binary_size(row.bytes)}"  # manifests are sent besides
    sent = f"{binary_size(row.uploaded)}{of_all} sent" if row.uploaded else "everything was there"
    return Outcome(
        lines=[line(f"{row.reference}@{row.digest}")],
        notes=[line(f"Pushed {row.reference} in {duration(session.elapsed)}: {sent}")],
        items=plain(result.rows),
        warnings=result.warnings,
    )
