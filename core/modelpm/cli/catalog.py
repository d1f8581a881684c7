"""``modelpm catalog``."""

from typing import TYPE_CHECKING

import click

from modelpm.cli.format import line, table
from modelpm.cli.options import Command
from modelpm.cli.output import Outcome, width
from modelpm.cli.search import entry_row, variants
from modelpm.cli.session import Session
from modelpm.cli.verbs import Group

if TYPE_CHECKING:  # start-up
    from modelpm.manager import Manager


@click.group(
    "catalog",
    cls=Group,
    help="List, show and check catalogs.",
    examples=("modelpm catalog list", "modelpm catalog show core", "modelpm catalog audit core"),
)
def command() -> None:
    """Hold the verbs below."""


@command.command(
    "list", cls=Command, help="List the catalogs, the first to be asked first.", examples=("modelpm catalog list",)
)
@click.pass_obj
def list_(session: Session) -> Outcome:
    """Count what each has; a catalog that cannot be read is a warning."""
    with session.manager() as manager:
        names = [name.partition("/")[0] for name in manager.catalogs.names()]
        items = [
            {"name": name, "models": names.count(name), "origin": _origin(manager, name)}
            for name in manager.catalogs.catalogs
        ]
        warnings = [str(problem) for problem in manager.catalogs.problems]
    rows = [(str(item["name"]), str(item["models"]), str(item["origin"])) for item in items]
    return Outcome(lines=table(("NAME", ">MODELS", "ORIGIN"), rows, width()), items=items, warnings=warnings)


@command.command("show", cls=Command, help="List the models of one catalog.", examples=("modelpm catalog show core",))
@click.argument("name")
@click.pass_obj
def show(session: Session, *, name: str) -> Outcome:
    """List its models with their newest release; a model that cannot be read is a warning."""
    with session.manager() as manager:
        entries = list(manager.catalogs.entries(name))
        warnings = [str(problem) for problem in manager.catalogs.problems]
    rows = [
        (e.id, e.title, e.license, ", ".join(r.version for r in e.releases), ", ".join(variants(e))) for e in entries
    ]
    return Outcome(
        lines=table(("ID", "TITLE", "LICENCE", "RELEASES", "VARIANTS"), rows, width()) if rows else (),
        notes=() if rows else [line(("the catalog is empty", "dim"))],
        items=[entry_row(entry) for entry in entries],
        warnings=warnings,
    )


def _origin(manager: "Manager", name: str) -> str:
    """Return the folder of a catalog of the user's own, else the distribution that ships it."""
    folders = manager.config["catalogs"]
    return folders[name] if name in folders else str(manager.registry.entry("catalog", name))
