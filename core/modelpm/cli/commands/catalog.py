"""``modelpm catalog``."""

from typing import TYPE_CHECKING

import click

from modelpm.cli.commands.search import entry_row, variants
from modelpm.cli.completion import catalogs
from modelpm.cli.context import Session
from modelpm.cli.terminal.format import Line, count, line
from modelpm.cli.terminal.output import Outcome, listing
from modelpm.cli.verbs import group
from modelpm.errors import CheckFailedError, ModelpmError
from modelpm.text.plain import row

if TYPE_CHECKING:  # start-up
    from modelpm.library.answers import Finding
    from modelpm.library.manager import Manager

_STYLES = {"reject": "error", "warn": "warning", "note": "dim"}


command = group("catalog", "modelpm catalog list", "modelpm catalog show core", "modelpm catalog audit core")


@command.verb("list", "List the catalogs, the first to be asked first.", "modelpm catalog list")
def list_(session: Session) -> Outcome:
    """Count what each has; a catalog that cannot be read is a warning."""
    with session.manager() as manager:
        names = [name.partition("/")[0] for name in manager.catalogs.names()]
        items = [
            {
                "name": name,
                "title": _title(manager, name),
                "models": names.count(name),
                "origin": _origin(manager, name),
            }
            for name in manager.catalogs.catalogs
        ]
    rows = [[str(value) for value in item.values()] for item in items]
    return listing(("NAME", "TITLE", ">MODELS", "ORIGIN"), rows, items, "no catalogs")


@command.verb("show", "List the models of one catalog.", "modelpm catalog show core")
@click.argument("name", shell_complete=catalogs)
def show(session: Session, *, name: str) -> Outcome:
    """List its models with their newest release; a model that cannot be read is a warning."""
    with session.manager() as manager:
        entries = list(manager.catalogs.entries(name))
    rows = [
        (e.id, e.title, e.license, ", ".join(r.version for r in e.releases), ", ".join(variants(e))) for e in entries
    ]
    headers = ("ID", "TITLE", "LICENSE", "RELEASES", "VARIANTS")
    return listing(headers, rows, [entry_row(entry) for entry in entries], "the catalog is empty")


@command.verb(
    "audit",
    "Check catalogs for errors: by name, or the folder or file you write. Exits with 3 where there are any.",
    "modelpm catalog audit core",
    "modelpm catalog audit ./my-catalog",
    "modelpm catalog audit models/tiny.toml",
)
@click.argument("catalogs", metavar="[NAME|FOLDER|FILE]...", nargs=-1, shell_complete=catalogs)
def audit(session: Session, *, catalogs: tuple[str, ...]) -> Outcome:
    """Look over whole catalogs; without a name, over all."""
    with session.manager() as manager:
        found = [
            (name, finding) for name in catalogs or manager.catalogs.catalogs for finding in _audited(manager, name)
        ]
    rejected = sum(finding.severity.value == "reject" for _, finding in found)
    return Outcome(
        lines=[_finding_line(name, finding) for name, finding in found],
        notes=[line(f"Found {count(len(found), 'thing')} to look at, {count(rejected, 'error')}")],
        items=[{"catalog": name, **row(finding)} for name, finding in found],
        errors=[CheckFailedError(f"{count(rejected, 'error')} in the catalogs")] if rejected else [],
    )


def _audited(manager: "Manager", name: str) -> "tuple[Finding, ...]":
    return manager.audit_catalog(name)


def _finding_line(name: str, finding: "Finding") -> Line:
    severity = finding.severity.value
    return line((severity, _STYLES[severity]), f": {name}: {finding.message}", (f" [{finding.code}]", "dim"))


def _title(manager: "Manager", name: str) -> str:
    try:
        return manager.catalogs.about(name).title
    except ModelpmError:  # a problem of this catalog; a warning says so
        return ""


def _origin(manager: "Manager", name: str) -> str:
    """Return the folder of a catalog of the user's own, else the distribution that ships it."""
    folders = manager.config["catalogs"]
    return folders[name] if name in folders else str(manager.registry.entry("catalog", name))
