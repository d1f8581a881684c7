"""Catalogs name files that are found by their digest: a broken one costs nothing, and import says what it has."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import modelpm_catalogs
from modelpm.api import Catalog, KnownFile, UsageError
from modelpm.catalog import Catalogs
from modelpm.errors import PluginError
from modelpm.plugins.discovery import Entry
from modelpm.plugins.kinds.catalog import GuardedCatalog
from tests.support.catalogs import DictCatalog, model

TINY = Path(modelpm_catalogs.__file__).parent / "tiny" / "tiny.gguf"
FILE = KnownFile("core/a:q4_k_m", "a.gguf", "mit")


class Knowing(DictCatalog):
    """A catalog that gives the same answer for every digest."""

    def __init__(self, answer: Any) -> None:
        super().__init__([model("a")])
        self.answer = answer

    def recognize(self, sha256: str) -> Iterable[KnownFile]:
        if isinstance(self.answer, Exception):
            raise self.answer
        assert len(sha256) == 64
        return self.answer  # type: ignore[no-any-return]


def catalogs(**named: Catalog) -> Catalogs:
    return Catalogs([(name, lambda catalog=catalog: catalog) for name, catalog in named.items()])  # type: ignore[misc]


def guarded(answer: Any) -> GuardedCatalog:
    return GuardedCatalog.of(Entry("catalog", 1, "x", "x", "dist", "1"), Knowing(answer))


def test_every_catalog_is_asked_and_a_broken_one_passed_over() -> None:
    published = KnownFile("hf://o/r", "x/a.gguf")
    some = catalogs(
        plain=DictCatalog([]),
        broken=Knowing(RuntimeError("boom")),
        one=Knowing([FILE]),
        two=Knowing([FILE, published]),
    )
    assert some.recognize("a" * 64) == (FILE, published)
    assert list(map(str, some.recognize("a" * 64))) == ["core/a:q4_k_m", "hf://o/r/x/a.gguf"]
    assert [error.message for error in some.problems] == ["the catalog `broken` failed: RuntimeError: boom"]


def test_what_a_plugin_answers_is_checked() -> None:
    assert guarded([FILE]).recognize("a" * 64) == (FILE,)
    with pytest.raises(PluginError, match="a str as known file"):
        guarded(["hf://o/r"]).recognize("a" * 64)

    def endless() -> Iterator[KnownFile]:
        while True:
            yield FILE

    with pytest.raises(UsageError, match="more than 250,000"):
        guarded(endless()).recognize("a" * 64)


def test_a_plugin_that_knows_no_digests_recognizes_nothing() -> None:
    entry = Entry("catalog", 1, "x", "x", "dist", "1")
    assert GuardedCatalog.of(entry, DictCatalog([])).recognize("a" * 64) == ()


def test_import_names_the_files_of_a_folder_and_install_takes_them(modelpm: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "downloads"
    folder.mkdir()
    (folder / "renamed.bin").write_bytes(TINY.read_bytes())
    (folder / "mine.txt").write_bytes(b"my own")
    ran = modelpm("import", str(folder), "--json")
    known = {item["file"]: item["known"] for item in json.loads(ran.stdout)["items"]}
    assert known == {"renamed.bin": ["core/tiny"], "mine.txt": []}
    again = modelpm("import", str(folder))
    assert "renamed.bin is core/tiny\n" in again.stderr
    assert "mine.txt is" not in again.stderr
    (change,) = json.loads(modelpm("install", "tiny", "--json").stdout)["changes"]
    assert change["downloaded"] == 0
