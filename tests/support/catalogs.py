"""Catalog files for tests: a valid one, to be changed where a test wants it otherwise."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tomli_w

from modelpm.api import CatalogText, NotFound

SHA256 = "ab" * 32


def file(path: str = "a.gguf", **changes: Any) -> dict[str, Any]:
    return _without_none({"path": path, "size": 5, "sha256": SHA256} | changes)


def variant(name: str = "q4_k_m", **changes: Any) -> dict[str, Any]:
    return _without_none(
        {"name": name, "format": "gguf", "upstream": "hf://acme/a@" + "c" * 40, "file": [file()]} | changes
    )


def release(version: str = "1.0", **changes: Any) -> dict[str, Any]:
    return _without_none({"version": version, "variant": [variant()]} | changes)


def model(id_: str = "a", **changes: Any) -> dict[str, Any]:
    return _without_none({"schema": 1, "id": id_, "release": [release()]} | changes)


def text(values: Mapping[str, Any], origin: str = "a.toml") -> CatalogText:
    return CatalogText(origin, tomli_w.dumps(values))


def write_catalog(folder: Path, models: Iterable[Mapping[str, Any]], about: Mapping[str, Any] | None = None) -> Path:
    (folder / "models").mkdir(parents=True)
    (folder / "catalog.toml").write_text(tomli_w.dumps({"schema": 1, "name": folder.name} | dict(about or {})))
    for values in models:
        (folder / "models" / f"{values['id']}.toml").write_text(tomli_w.dumps(values), encoding="utf-8")
    return folder


class DictCatalog:
    """A catalog plugin that keeps its texts in memory."""

    def __init__(self, models: Iterable[Mapping[str, Any]], about: str = "schema = 1") -> None:
        self._models = {str(values["id"]): text(values, f"{values['id']}.toml") for values in models}
        self._about = about

    def ids(self) -> Iterable[str]:
        return list(self._models)

    def get(self, id: str) -> CatalogText:  # noqa: A002 - the contract's name
        if id not in self._models:
            raise NotFound(f"no {id}")
        return self._models[id]

    def about(self) -> CatalogText:
        return CatalogText("catalog.toml", self._about)


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
