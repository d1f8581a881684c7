"""``modelpm search``."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from modelpm.cli.format import Line, line, table
from modelpm.cli.output import Outcome, width
from modelpm.cli.session import Session
from modelpm.cli.verbs import verb

if TYPE_CHECKING:  # start-up
    from modelpm.catalog.entry import Entry


@verb("search", "modelpm search embedding", "modelpm search --task chat --license apache-2.0 --format gguf")
@click.argument("text", nargs=-1)
@click.option("--task", metavar="NAME", help="Only models for this task: chat, embedding, …")
@click.option("--license", metavar="SPDX", help="Only models under this licence.")
@click.option("--format", metavar="NAME", help="Only models with a variant of this format: gguf, safetensors, …")
def command(session: Session, /, *, text: tuple[str, ...], **filters: str | None) -> Outcome:
    """Look through the catalogs; nothing found is no failure."""
    with session.manager() as manager:
        entries = manager.search(" ".join(text), **filters)
    return Outcome(
        lines=_lines(entries, width()) if entries else (),
        notes=() if entries else [line(("no model matches", "dim"))],
        items=[entry_row(entry) for entry in entries],
    )


def entry_row(entry: "Entry") -> dict[str, Any]:
    """Return the JSON of a catalog's model."""
    return {
        "id": entry.id,
        "catalog": entry.catalog,
        "title": entry.title,
        "license": entry.license,
        "tasks": list(entry.tasks),
        "variants": variants(entry),
    }


def variants(entry: "Entry") -> list[str]:
    """Return the names of all variants, each once."""
    return list(dict.fromkeys(variant.name for release in entry.releases for variant in release.variants))


def _lines(entries: "Sequence[Entry]", width: int | None) -> list[Line]:
    rows = [(f"{e.catalog}/{e.id}", e.title, e.license, ", ".join(e.tasks), ", ".join(variants(e))) for e in entries]
    return table(("MODEL", "TITLE", "LICENCE", "TASKS", "VARIANTS"), rows, width)
