"""``modelpm catalog new-entry``, ``import`` and ``build``: for who writes a catalog."""

import click

from modelpm.cli.completion import folders
from modelpm.cli.context import Session
from modelpm.cli.terminal.format import count, line
from modelpm.cli.terminal.output import Outcome
from modelpm.cli.verbs import Group
from modelpm.text.plain import row

_FEW = 5


def register(command: Group) -> None:
    """Add the verbs to ``modelpm catalog``."""

    @command.verb(
        "new-entry",
        "Write the entry of a model from its source and its files.",
        "modelpm catalog new-entry hf://Qwen/Qwen3-8B-GGUF",
        "modelpm catalog new-entry hf://Qwen/Qwen3-8B-GGUF --id qwen3-8b --out .",
    )
    @click.argument("spec", metavar="REFERENCE")
    @click.option("--id", "id_", metavar="ID", default="", help="Its id; by default made of the repository's name.")
    @click.option(
        "--out", metavar="PATH", type=click.Path(), help="Write this file, or into this catalog; by default print it."
    )
    def new_entry(session: Session, *, spec: str, id_: str, out: str | None) -> Outcome:
        """Read listing and headers; no file is fetched."""
        with session.manager() as manager:
            meant = session.meant(manager, [spec])[0]
            made = manager.catalog_list.new_entry(meant, id=id_, out=out)
        raw = b"" if made.path else made.toml.encode()
        notes = [line(f"Wrote {made.path}"), line(f"Check it: modelpm catalog audit {made.path}")] if made.path else []
        item = {"id": made.id, "toml": made.toml, "path": str(made.path) if made.path else None}
        return Outcome(raw=raw, notes=notes, items=[item], warnings=made.warnings)

    @command.verb(
        "import",
        "Write a LocalAI gallery as a catalog's folder.",
        "modelpm catalog import index.yaml ./catalog",
    )
    @click.argument("gallery", metavar="FILE|URL")
    @click.argument("folder", metavar="DIR", type=click.Path(file_okay=False), shell_complete=folders)
    def import_(session: Session, *, gallery: str, folder: str) -> Outcome:
        """Import what can be a model of a catalog, and say by reason what cannot."""
        with session.manager() as manager:
            result = manager.catalog_list.import_gallery(gallery, folder)
        left_out: dict[str, list[str]] = {}
        for each in result.rows:
            if each.reason:
                left_out.setdefault(each.reason, []).append(each.name)
        lines = [line(f"{len(names)} left out: {why}: ", (_few(names), "dim")) for why, names in left_out.items()]
        imported = [each for each in result.rows if not each.reason]
        clean = sum(not each.findings for each in imported)
        total = count(len(result.rows), "model")
        notes = [line(f"Imported {len(imported)} of {total} into {folder}; audit finds {clean} clean")]
        items = [row(each) for each in result.rows]
        return Outcome(lines=lines, notes=notes, items=items, warnings=result.warnings)

    @command.verb(
        "build",
        "Write the index of a catalog that a web server serves.",
        "modelpm catalog build ./catalog",
    )
    @click.argument("folder", metavar="DIR", type=click.Path(file_okay=False), shell_complete=folders)
    def build(session: Session, *, folder: str) -> Outcome:
        """Read every entry; one that is not valid is an error, and the index stays as it was."""
        with session.manager() as manager:
            path = manager.catalog_list.build(folder)
        return Outcome(notes=[line(f"Wrote {path}")], items=[{"path": str(path)}])


def _few(names: list[str]) -> str:
    more = f", and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return ", ".join(names[:_FEW]) + more
