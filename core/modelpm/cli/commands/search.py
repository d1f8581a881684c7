"""``modelpm search``."""

from typing import TYPE_CHECKING, Any

import click

from modelpm.cli.completion import formats, licenses, tasks
from modelpm.cli.context import Session
from modelpm.cli.terminal.output import Outcome, listing
from modelpm.cli.verbs import verb
from modelpm.text.human import binary_size
from modelpm.text.plain import plain

if TYPE_CHECKING:  # start-up
    from modelpm.library.answers import Found


@verb(
    "search",
    "modelpm search embedding",
    "modelpm search --task chat --license apache-2.0 --format gguf",
    "modelpm search llama 3.2 --fits --max-size 4G",
    "modelpm search whisper --online",
)
@click.argument("text", nargs=-1)
@click.option("--task", metavar="NAME", help="Only models for this task: chat, embedding, …", shell_complete=tasks)
@click.option("--license", metavar="SPDX", help="Only models under this license.", shell_complete=licenses)
@click.option(
    "--format", metavar="NAME", help="Only models with a variant of this format: gguf, …", shell_complete=formats
)
@click.option("--max-size", metavar="SIZE", help="Only models with a variant of at most this size: 8G, 700M.")
@click.option("--fits", is_flag=True, help="Only models with a variant that fits the memory of this machine.")
@click.option("--online", is_flag=True, help="Also ask servers that can be searched: the Hugging Face Hub.")
@click.option("--limit", metavar="N", type=click.IntRange(1, 1000), default=20, help="Most models of a server: 20.")
def command(session: Session, /, *, text: tuple[str, ...], **filters: Any) -> Outcome:
    """Look through the catalogs; nothing found is not a failure."""
    with session.manager() as manager:
        result = manager.search(" ".join(text), **filters)
    found = result.rows
    online = any(row.downloads is not None for row in found)
    headers = ("MODEL", "TITLE", "LICENSE", "TASKS", ">SIZE", *((">DOWNLOADS",) if online else ()), "INSTALLED")
    rows = [_cells(row, online=online) for row in found]
    further = "" if filters["online"] else "; `modelpm search TEXT --online` asks the Hugging Face Hub, too"
    nothing = "" if result.errors else f"no model matches{further}"
    shown = listing(headers, rows, plain(found), nothing)
    return shown._replace(errors=result.errors, warnings=result.warnings)


def _cells(found: "Found", *, online: bool) -> tuple[str, ...]:
    size = binary_size(found.bytes) if found.bytes is not None else ""
    downloads = (f"{found.downloads:,}" if found.downloads is not None else "",) if online else ()
    title = f"{found.title} (deprecated)" if found.deprecated else found.title
    here = "yes" if found.installed else ""
    return found.spec, title, found.license, ", ".join(found.tasks), size, *downloads, here
