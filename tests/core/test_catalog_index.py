import json
from pathlib import Path

import pytest

from modelpm.api import CatalogText, FolderCatalog
from modelpm.catalog import parse_entry
from modelpm.catalog.card import Card, Offer
from modelpm.catalog.index import Index, published
from modelpm.errors import Code, UsageError
from tests.support.catalogs import DictCatalog, file, model, release, text, variant, write_catalog
from tests.support.codes import coded

SMALL = variant("q4_k_m", file=[file(size=5)], **{"min-memory": "1 KiB"})
BIG = variant("q8_0", file=[file(size=9)])


def test_an_index_names_each_entry_by_its_digest_and_says_what_a_search_needs(tmp_path: Path) -> None:
    described = model("a", title="A", tasks=["chat"], tags=["x"], release=[release(variant=[SMALL, BIG])])
    described["release"][0]["default-variant"] = "q8_0"
    folder = write_catalog(tmp_path / "acme", [described, model("b")], {"aliases": {"aa": "a"}})
    index = Index.parse(published(FolderCatalog(folder)), "acme")
    assert index.check().aliases == {"aa": "a"}
    assert list(index.models) == ["a", "b"]
    card = index.card("a")
    assert card == Card.of(parse_entry("", text(described)))
    assert card.variants == (Offer("q8_0", "gguf", 9), Offer("q4_k_m", "gguf", 5, 1024))
    assert (card.title, card.tasks, card.schemes, card.releases) == ("A", ("chat",), ("hf",), ("1.0",))


def test_the_same_files_give_the_same_index_with_a_line_a_model(tmp_path: Path) -> None:
    folder = write_catalog(tmp_path / "acme", [model("b"), model("a")])
    made = published(FolderCatalog(folder))
    assert made == published(FolderCatalog(folder))
    assert [line[:4] for line in made.splitlines()[1:3]] == [b'"a":', b'"b":']


def test_a_withdrawn_model_is_listed_with_what_it_has() -> None:
    gone = model("a", release=[release(yanked="bad", variant=[SMALL])])
    assert Card.of(parse_entry("", text(gone))).variants == (Offer("q4_k_m", "gguf", 5, 1024),)


GOOD = json.loads(published(DictCatalog([model("a")])))


def changed(**changes: object) -> bytes:
    return json.dumps(GOOD | changes).encode()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"<html>sign in</html>", Code.NOT_A_CATALOG),
        (b"", Code.NOT_A_CATALOG),
        (b"[]", Code.NOT_A_CATALOG),
        (b'{"error": "not found"}', Code.NOT_A_CATALOG),
        (json.dumps(GOOD).encode()[:-9], Code.NOT_A_CATALOG),
        (b"\xff\xfe{}", Code.NOT_A_CATALOG),
        (b"[" * 100_000, Code.NOT_A_CATALOG),
        (b'{"schema": 1, "about": "schema = 1", "models": {"a": {}, "a": {}}}', Code.NOT_A_CATALOG),
        (changed(schema=2), Code.NEWER_SCHEMA),
        (changed(schema="1"), Code.NOT_A_CATALOG),
        (changed(models=[]), Code.NOT_A_CATALOG),
        (changed(about=None), Code.NOT_A_CATALOG),
        (changed(about="x" * (1 << 21)), Code.NOT_A_CATALOG),
        (changed(about="schema = 9"), Code.NEWER_SCHEMA),
        (changed(about="schema = "), Code.INVALID_CATALOG),
        (changed(models={"../a": GOOD["models"]["a"]}), Code.NOT_A_CATALOG),
        (changed(models={"A": GOOD["models"]["a"]}), Code.NOT_A_CATALOG),
        (changed(models={"a": 5}), Code.NOT_A_CATALOG),
        (changed(models={"a": GOOD["models"]["a"] | {"sha256": "no"}}), Code.NOT_A_CATALOG),
        (changed(models={"a": GOOD["models"]["a"] | {"variants": [{"name": "x"}]}}), Code.NOT_A_CATALOG),
        (changed(models={"a": GOOD["models"]["a"] | {"tags": "x"}}), Code.NOT_A_CATALOG),
    ],
)
def test_what_is_not_an_index_is_refused_as_such(data: bytes, code: Code) -> None:
    with pytest.raises(UsageError, match="acme", check=coded(code)):
        Index.parse(data, "https://acme.example/index.json").check()


def test_keys_of_a_newer_modelpm_are_ignored() -> None:
    newer = GOOD["models"]["a"] | {"stars": 5}
    assert Index.parse(changed(models={"a": newer}, news="x"), "x").card("a").id == "a"


def test_an_entry_that_is_not_valid_is_not_published() -> None:
    class Bad(DictCatalog):
        def get(self, id: str) -> CatalogText:  # noqa: A002 - the contract's name
            return CatalogText(f"{id}.toml", "id = 5")

    with pytest.raises(UsageError):
        published(Bad([model("a")]))
