"""``modelpm search``."""

from typing import TYPE_CHECKING, Any

import click

from modelpm.cli.completion import formats, licenses, tasks
from modelpm.cli.context import Session
from modelpm.cli.terminal.output import Outcome, listing
from modelpm.cli.verbs import verb
from modelpm.text.plain import row

if TYPE_CHECKING:  # start-up
    from modelpm.library.answers import Entry


@verb("search", "modelpm search embedding", "modelpm search --task chat --license apache-2.0 --format gguf")
@click.argument("text", nargs=-1)
@click.option("--task", metavar="NAME", help="Only models for this task: chat, embedding, …", shell_complete=tasks)
@click.option("--license", metavar="SPDX", help="Only models under this license.", shell_complete=licenses)
@click.option(
    "--format", metavar="NAME", help="Only models with a variant of this format: gguf, …", shell_complete=formats
)
def command(session: Session, /, *, text: tuple[str, ...], **filters: str | None) -> Outcome:
    """Look through the catalogs; nothing found is not a failure."""
    with session.manager() as manager:
        entries = manager.search(" ".join(text), **filters).rows
    rows = [(f"{e.catalog}/{e.id}", e.title, e.license, ", ".join(e.tasks), ", ".join(variants(e))) for e in entries]
    headers = ("MODEL", "TITLE", "LICENSE", "TASKS", "VARIANTS")
    return listing(headers, rows, [entry_row(entry) for entry in entries], "no model matches")


def entry_row(entry: "Entry") -> dict[str, Any]:
    """Return the JSON of a catalog's model."""
    return row(entry, "id", "catalog", "title", "license", "tasks", variants=variants(entry))


def variants(entry: "Entry") -> list[str]:
    """Return the names of all variants, each once."""
    return list(dict.fromkeys(variant.name for release in entry.releases for variant in release.variants))
