"""A catalog that a team keeps in a spreadsheet: ``modelpm config set catalog.sheet.file ~/models.csv``.

Its columns are id, title, license, format, url, size, sha256.
"""

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from modelpm.api import Catalog, CatalogText, Context, NotFound, Setting, UsageError, hookimpl


@hookimpl
def modelpm_settings(kind: str, name: str) -> Sequence[Setting]:
    return [Setting("file", "", "path of the spreadsheet, as CSV")]


@hookimpl
def modelpm_catalog(name: str, context: Context) -> Catalog | None:
    return Sheet(str(context.settings["file"])) if name == "sheet" else None


class Sheet:
    def __init__(self, file: str) -> None:
        self.is_set, self.path = bool(file), Path(file).expanduser()

    def rows(self) -> dict[str, dict[str, str]]:
        if not self.is_set:
            return {}
        if not self.path.is_file():
            raise UsageError(f"{self.path} is not a file", hints=["modelpm config set catalog.sheet.file PATH"])
        with self.path.open(newline="", encoding="utf-8") as sheet:
            return {row["id"]: row for row in csv.DictReader(sheet)}

    def ids(self) -> Iterable[str]:
        return list(self.rows())

    def get(self, id: str) -> CatalogText:
        row = self.rows().get(id)
        if row is None:
            raise NotFound(f"{self.path} has no model {id}")
        text = {key: json.dumps(value) for key, value in row.items()}  # a text of JSON is one of TOML, too
        return CatalogText(
            f"{self.path}:{id}",
            f"""
schema = 1
id = {text["id"]}
title = {text["title"]}
license = {text["license"]}
[[release]]
version = "1"
[[release.variant]]
name = "only"
format = {text["format"]}
[[release.variant.file]]
path = {json.dumps(row["url"].rpartition("/")[2])}
size = {row["size"]}
sha256 = {text["sha256"]}
sources = [{text["url"]}]
""",
        )

    def about(self) -> CatalogText:
        return CatalogText(str(self.path), 'schema = 1\nname = "sheet"\n')
