"""Write a gallery as the folder of a catalog, and say for each model what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from modelpm.api.types import CatalogText, Severity
from modelpm.catalog.gallery.convert import CannotBeImportedError, entry_of
from modelpm.catalog.lint import ABOUT, audit
from modelpm.catalog.parse import SCHEMA
from modelpm.disk import make_folder
from modelpm.disk.atomic import write_atomic
from modelpm.results.catalogs import ImportedModel
from modelpm.text.untrusted import ALIAS


@dataclass(frozen=True, slots=True)
class ConvertedGallery:
    """A gallery as a catalog.

    Attributes:
        about: The TOML of ``catalog.toml``.
        entries: The TOML of each model, by id.
        rows: What became of each model of the gallery, in its order.
    """

    about: str
    entries: Mapping[str, str]
    rows: tuple[ImportedModel, ...]

    @classmethod
    def of(cls, models: Sequence[Mapping[str, Any]], name: str) -> "ConvertedGallery":
        """Convert a gallery.

        Args:
            models: The models of the gallery.
            name: What the catalog is called.
        """
        entries: dict[str, str] = {}
        aliases: dict[str, str] = {}
        rows: list[ImportedModel] = []
        for raw in models:
            row, toml = _imported(raw)
            if not row.reason and row.id in entries:
                row = ImportedModel(row.name, row.id, "another model of the gallery has its id")
            rows.append(row)
            if row.reason:
                continue
            entries[row.id] = toml
            alias = row.name.lower()
            if ALIAS.fullmatch(alias):
                aliases[alias] = row.id
        kept = {alias: id_ for alias, id_ in aliases.items() if alias not in entries}
        about = {"schema": SCHEMA, "name": name, "title": f"Gallery {name}", "aliases": kept}
        return cls(tomli_w.dumps(about), entries, tuple(rows))

    @property
    def left_out(self) -> Mapping[str, Sequence[str]]:
        """The names of the models that were left out, by reason; the reason of the most models first."""
        names: dict[str, list[str]] = {}
        for row in self.rows:
            if row.reason:
                names.setdefault(row.reason, []).append(row.name)
        return dict(sorted(names.items(), key=lambda item: -len(item[1])))

    def write(self, folder: Path) -> None:
        """Write ``catalog.toml`` and ``models/<id>.toml`` into a new or empty folder.

        Raises:
            StoreError: The system refuses.
        """
        make_folder(folder / "models", below=folder.parent)
        for id_, toml in self.entries.items():
            write_atomic(folder / "models" / f"{id_}.toml", toml.encode(), durable=False)
        write_atomic(folder / ABOUT, self.about.encode(), durable=False)


def _imported(raw: Mapping[str, Any]) -> tuple[ImportedModel, str]:
    """Return what becomes of a model, and its entry where it becomes one."""
    name = str(raw.get("name") or "")
    try:
        values = entry_of(raw)
    except CannotBeImportedError as error:
        return ImportedModel(name, "", str(error)), ""
    toml, id_ = tomli_w.dumps(values), values["id"]
    findings = audit(CatalogText(id_, toml), id=id_)
    rejected = next((finding for finding in findings if finding.severity is Severity.REJECT), None)
    if rejected is not None:
        return ImportedModel(name, id_, f"its entry would be wrong: {rejected.code}", (rejected.message,)), ""
    weak = tuple(f"{f.message} [{f.code}]" for f in findings if f.severity is Severity.WARN)
    return ImportedModel(name, id_, findings=weak), toml
