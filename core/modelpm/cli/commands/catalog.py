"""``modelpm catalog``."""

from typing import TYPE_CHECKING, Any

import click

from modelpm.cli.commands import catalog_sign, catalog_write
from modelpm.cli.completion import catalogs, folders
from modelpm.cli.context import Session
from modelpm.cli.terminal.format import Line, count, line
from modelpm.cli.terminal.output import Outcome, listing
from modelpm.cli.verbs import group
from modelpm.errors import CheckFailedError
from modelpm.network.redact import redact_urls
from modelpm.text.plain import row

if TYPE_CHECKING:  # start-up
    from collections.abc import Iterable

    from modelpm.library.answers import CatalogRow, Finding

_STYLES = {"reject": "error", "warn": "warning", "note": "dim"}


command = group("catalog", "modelpm catalog add acme https://models.example.org")
catalog_sign.register(command)
catalog_write.register(command)


@command.verb("list", "List the catalogs in the order in which modelpm asks them.", "modelpm catalog list")
def list_(session: Session) -> Outcome:
    """Count what each has; nothing is asked for, and a catalog that cannot be read is a warning."""
    with session.manager() as manager:
        items = manager.catalog_list.list()
    rows = [(r.name, r.title, str(r.models), _short(r), r.age, redact_urls(r.origin)) for r in items]
    return listing(
        ("NAME", "TITLE", ">MODELS", "TRUST", "CHECKED", "ORIGIN"), rows, _rows(items), "no catalogs are configured"
    )


@command.verb("show", "List the models of one catalog.", "modelpm catalog show core")
@click.argument("name", shell_complete=catalogs)
def show(session: Session, *, name: str) -> Outcome:
    """List its models with their releases; a model that cannot be read is a warning."""
    with session.manager() as manager:
        cards = manager.catalogs.cards(name, choosing=True)
    names = [[variant.name for variant in card.variants] for card in cards]
    rows = [(c.id, c.title, c.license, ", ".join(c.releases), ", ".join(v)) for c, v in zip(cards, names, strict=True)]
    headers = ("ID", "TITLE", "LICENSE", "RELEASES", "VARIANTS")
    items = [
        row(card, "id", "title", "license", "tasks", "releases", catalog=name, variants=found)
        for card, found in zip(cards, names, strict=True)
    ]
    return listing(headers, rows, items, "the catalog is empty")


@command.verb(
    "add",
    "Use another catalog: a folder, URL, git repository or gallery.",
    "modelpm catalog add mine ~/models/catalog",
    "modelpm catalog add acme https://models.example.org --root root.json",
    "modelpm catalog add team git@git.example.org:catalog.git",
    "modelpm catalog add localai https://example.org/index.yaml",
)
@click.argument("name")
@click.argument("place", metavar="URL|PATH", shell_complete=folders)
@click.option("--root", metavar="FILE", type=click.Path(dir_okay=False), help="The root of trust that signs it.")
@click.option("--sha256", metavar="HEX", default="", help="Take the one index that has this digest, and no other.")
@click.option("--trust-on-first-use", is_flag=True, help="Believe the root of trust that the server offers now.")
@click.option("--trust", is_flag=True, help="Let names without `NAME/` mean its models, too; see `catalog trust`.")
def add(session: Session, *, name: str, place: str, root: str | None, trust: bool, **given: Any) -> Outcome:
    """Look at it, and write it to config.toml where it is a catalog."""
    with session.manager() as manager:
        result = manager.catalog_list.add(name, place, root=root, trusted=trust, **given)
    (added,) = result.rows
    notes = [line(f"Added {added.name}: {count(added.models, 'model')}, {_short(added)}", (_titled(added), "dim"))]
    notes += [] if added.trusted else [line((_full_names(added.name), "dim"))]
    return Outcome(notes=notes, items=_rows([added]), warnings=result.warnings)


@command.verb(
    "update",
    "Refresh remote catalogs now.",
    "modelpm catalog update",
    "modelpm catalog update acme",
)
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=catalogs)
def update(session: Session, *, names: tuple[str, ...]) -> Outcome:
    """Ask each; where one fails, its last good copy stays."""
    with session.manager() as manager:
        result = manager.catalog_list.update(names)
    lines = [line(f"{r.name}: {r.state}, {count(r.models, 'model')}") for r in result.rows]
    nothing = [] if lines or result.errors else [line(("no catalog is remote", "dim"))]
    return Outcome(notes=lines or nothing, items=_rows(result.rows), errors=result.errors, warnings=result.warnings)


@command.verb("remove", "Remove a catalog; its installed models stay.", "modelpm catalog remove acme")
@click.argument("name", shell_complete=catalogs)
def remove(session: Session, *, name: str) -> Outcome:
    """Take it out of config.toml, with its copy."""
    with session.manager() as manager:
        manager.catalog_list.remove(name)
    return Outcome(notes=[line(f"Removed {name}")], items=[{"name": name}])


@command.verb(
    "trust",
    "Let names without `NAME/` mean its models, too.",
    "modelpm catalog trust acme",
)
@click.argument("name", shell_complete=catalogs)
def trust(session: Session, *, name: str) -> Outcome:
    """Write it to config.toml."""
    with session.manager() as manager:
        trusted = manager.catalog_list.trust(name)
    return Outcome(notes=[line(f"Names without `{name}/` may mean its models now")], items=_rows([trusted]))


@command.verb(
    "audit",
    "Check a catalog, or the folder you write; exit 3 for errors.",
    "modelpm catalog audit core",
    "modelpm catalog audit ./my-catalog",
    "modelpm catalog audit --online --strict models/tiny.toml",
)
@click.argument("catalogs", metavar="[NAME|FOLDER|FILE]...", nargs=-1, shell_complete=catalogs)
@click.option("--online", is_flag=True, help="Ask the sources whether they have each file, with that size and digest.")
@click.option("--strict", is_flag=True, help="Take warnings as errors.")
def audit(session: Session, *, catalogs: tuple[str, ...], online: bool, strict: bool) -> Outcome:
    """Look over whole catalogs; without a name, over all."""
    with session.manager() as manager:
        found = [
            (name, finding)
            for name in catalogs or manager.catalogs.catalogs
            for finding in manager.audit_catalog(name, online=online)
        ]
    wrong = {"reject", "warn"} if strict else {"reject"}
    rejected = sum(finding.severity.value in wrong for _, finding in found)
    return Outcome(
        lines=[_finding_line(name, finding) for name, finding in found],
        notes=[line(f"Found {count(len(found), 'thing')} to look at, {count(rejected, 'error')}")],
        items=[{"catalog": name, **row(finding)} for name, finding in found],
        errors=[CheckFailedError(f"{count(rejected, 'error')} in the catalogs")] if rejected else [],
    )


def _finding_line(name: str, finding: "Finding") -> Line:
    severity = finding.severity.value
    return line((severity, _STYLES[severity]), f": {name}: {finding.message}", (f" [{finding.code}]", "dim"))


def _rows(found: "Iterable[CatalogRow]") -> list[dict[str, Any]]:
    return [row(each, origin=redact_urls(each.origin)) for each in found]


def _short(found: "CatalogRow") -> str:
    return found.guarantee if found.trusted else f"{found.guarantee}, full names"


def _titled(found: "CatalogRow") -> str:
    return f" ({found.title})" if found.title else ""


def _full_names(name: str) -> str:
    return f"Its models are {name}/ID; `modelpm catalog trust {name}` lets ID alone mean them, too"
