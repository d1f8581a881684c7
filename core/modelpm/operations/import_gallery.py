"""Write a gallery of another program as the folder of a catalog; what cannot be imported is told by reason."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelpm.api.types import CatalogText, Severity
from modelpm.catalog.gallery.convert import CannotBeImportedError, entry_of
from modelpm.catalog.gallery.read import MAX_GALLERY
from modelpm.catalog.lint import ABOUT, audit
from modelpm.catalog.parse import SCHEMA
from modelpm.catalog.remote.web import Server
from modelpm.disk import make_folder
from modelpm.disk.atomic import write_atomic
from modelpm.disk.reading import read_bytes
from modelpm.errors import Code, ModelpmError, NotFound
from modelpm.operations.new_entry import toml_of
from modelpm.plugins.registry import Registry
from modelpm.results.catalogs import ImportedModel
from modelpm.text.untrusted import ALIAS, printable, to_model_name


def import_gallery(entries: Sequence[Mapping[str, Any]], folder: Path) -> list[ImportedModel]:
    """Write every entry that can be one, and ``catalog.toml``; return what became of each.

    Args:
        entries: The models of the gallery.
        folder: A new or empty folder.

    Raises:
        ModelpmError: Code ``exists``: the folder has files.
    """
    if folder.exists() and any(folder.iterdir()):
        hints = ["name a new folder; compare the two with `git diff --no-index`"]
        raise ModelpmError(f"{folder} has files already; nothing was changed", code=Code.EXISTS, hints=hints)
    models = folder / "models"
    make_folder(models, below=folder.parent)
    done: dict[str, ImportedModel] = {}
    aliases: dict[str, str] = {}
    rows: list[ImportedModel] = []
    for raw in entries:
        row, toml = _imported(raw)
        if not row.reason and row.id in done:
            row = ImportedModel(row.name, row.id, "another model of the gallery has its id")
        if not row.reason:
            write_atomic(models / f"{row.id}.toml", toml.encode(), durable=False)
            done[row.id] = row
            alias = row.name.lower()
            if alias != row.id and ALIAS.fullmatch(alias):
                aliases[alias] = row.id
        rows.append(row)
    kept = {alias: id_ for alias, id_ in aliases.items() if alias not in done}
    name = to_model_name(folder.name)
    about = {"schema": SCHEMA, "name": name, "title": f"Imported gallery {name}", "aliases": kept}
    write_atomic(folder / ABOUT, toml_of(about).encode())
    return rows


def gallery_bytes(gallery: str, registry: Registry) -> bytes:
    """Return the bytes of a gallery, given by its file or its address.

    Raises:
        ModelpmError: They cannot be had.
    """
    if not gallery.startswith(("https://", "http://")):
        path = Path(gallery).expanduser()
        try:
            return read_bytes(path, MAX_GALLERY, follow=True)
        except OSError as error:
            raise NotFound(f"{printable(gallery)} cannot be read: {error.strerror}") from None
    server = Server(registry.context("catalog", "gallery"))
    try:
        return server.get(gallery, cap=MAX_GALLERY).body
    finally:
        server.close()


def _imported(raw: Mapping[str, Any]) -> tuple[ImportedModel, str]:
    """Return what becomes of a model, and its entry where it becomes one."""
    name = str(raw.get("name") or "")
    try:
        values = entry_of(raw)
    except CannotBeImportedError as error:
        return ImportedModel(name, "", str(error)), ""
    toml, id_ = toml_of(values), values["id"]
    findings = audit(CatalogText(id_, toml), id=id_)
    rejected = next((finding for finding in findings if finding.severity is Severity.REJECT), None)
    if rejected is not None:
        return ImportedModel(name, id_, f"its entry would be wrong: {rejected.code}", (rejected.message,)), ""
    weak = tuple(f"{f.message} [{f.code}]" for f in findings if f.severity is Severity.WARN)
    return ImportedModel(name, id_, findings=weak), toml
