"""What a catalog elsewhere may hold and must not harm: cycles, cuts, odd bytes, too much; and what is missing here."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelpm import Manager
from modelpm.catalog import index
from modelpm.errors import ModelpmError, NotFound, UsageError
from tests.support.catalogs import model, write_catalog
from tests.support.published import Site, aged, serving

ALIASES = {"aliases": {"x": "y", "y": "x", "z": "z", "good": "a"}}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(write_catalog(tmp_path / "acme", [model("a", title="Alpha")], ALIASES)) as running:
        running.publish()
        yield running


@pytest.fixture
def home(tmp_path: Path, site: Site) -> Path:
    with Manager(home=tmp_path / "home") as manager:
        manager.catalog_list.add("acme", site.url, trusted=True)
    return tmp_path / "home"


def test_aliases_in_a_circle_name_nothing_and_end(home: Path) -> None:
    with Manager(home=home) as manager:
        assert manager.show("acme/good").rows[0].model == "acme/a"
        for name in ("x", "y", "z"):
            with pytest.raises(NotFound):
                manager.show(f"acme/{name}")


def replaced(site: Site, text: bytes) -> None:
    """Publish other bytes as the entry, as a careless publisher would: with an index that names them."""
    from hashlib import sha256

    (site.folder / "models" / "a.toml").write_bytes(text)
    made = json.loads((site.folder / "index.json").read_bytes())
    made["models"]["a"]["sha256"] = sha256(text).hexdigest()
    (site.folder / "index.json").write_text(json.dumps(made))


@pytest.mark.parametrize(
    "text",
    [b"", b"id = ", b"\xff\xfe", b'id = "a\x00"', b"a." * 100_000 + b"a = 1", b'schema = 1\nid = "b"\n', b"schema = 9"],
)
def test_an_entry_that_is_signed_for_and_wrong_is_an_error_of_the_catalog(home: Path, site: Site, text: bytes) -> None:
    replaced(site, text)
    aged(home)
    with Manager(home=home) as manager:
        assert [row.title for row in manager.search("alpha").rows] == ["Alpha"]
        with pytest.raises(UsageError) as refused:
            manager.show("acme/a")
    assert refused.value.code in {"invalid_catalog", "newer_schema"}


def test_a_byte_order_mark_costs_nothing(home: Path, site: Site) -> None:
    replaced(site, b"\xef\xbb\xbf" + (site.folder / "models" / "a.toml").read_bytes())
    aged(home)
    with Manager(home=home) as manager:
        assert manager.show("acme/a").rows[0].title == "Alpha"


def test_an_entry_and_an_index_that_do_not_end_are_cut_off(
    home: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced(site, b"# " + b"x" * (1 << 20))
    aged(home)
    with Manager(home=home) as manager, pytest.raises(ModelpmError) as large:
        manager.show("acme/a")
    assert large.value.code == "too_big"
    monkeypatch.setattr("modelpm.catalog.remote.server.MAX_INDEX", 100)
    (site.folder / "index.json").write_bytes(b"{" + b" " * 10_000)
    with Manager(home=home) as manager:
        (error,) = manager.catalog_list.update().errors
    assert error.code == "too_big"
    assert index.MAX_INDEX == 1 << 26


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 2}', '{"schema": 1, "at": "elsewhere"}', "\x00"])
def test_a_state_that_was_damaged_is_as_none(home: Path, site: Site, text: str) -> None:
    (home / "cache" / "catalogs" / "acme" / "state.json").write_text(text)
    with Manager(home=home) as manager:
        assert [row.title for row in manager.search("alpha").rows] == ["Alpha"]
    assert ("/index.json", 200) in site.requests()


def test_a_search_index_that_was_damaged_is_made_again(home: Path) -> None:
    path = home / "cache" / "catalogs" / "acme" / "search"
    for text in (b"", b"1\x1fx\x1ea\x1fb", b"\xff", b"2\x1fx"):
        path.write_bytes(text)
        with Manager(home=home) as manager:
            assert [row.title for row in manager.search("alpha").rows] == ["Alpha"]


def test_a_catalog_that_needs_what_is_not_installed_says_how_to_get_it(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root.json"
    root.write_text("{}")
    for name in [name for name in sys.modules if name.startswith("modelpm.catalog.remote.")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [*(name for name in sys.modules if name.partition(".")[0] == "tuf"), "tuf"]:
        monkeypatch.setitem(sys.modules, name, None)
    with Manager(home=tmp_path / "h") as manager:
        with pytest.raises(UsageError, match="python-tuf, which is not installed"):
            manager.catalog_list.add("signed", site.url, root=root)
        with pytest.raises(UsageError, match="python-tuf, which is not installed"):
            manager.catalog_list.begin(site.folder)


def test_a_root_that_is_not_one_is_refused(tmp_path: Path, site: Site) -> None:
    pytest.importorskip("tuf")
    root = tmp_path / "root.json"
    with Manager(home=tmp_path / "h") as manager:
        with pytest.raises(UsageError, match="cannot be read"):
            manager.catalog_list.add("signed", site.url, root=root)
        root.write_text("{}")
        with pytest.raises(ModelpmError, match="break the rules of TUF"):
            manager.catalog_list.add("signed", site.url, root=root)
        with pytest.raises(NotFound, match="is not signed"):
            manager.catalog_list.add("signed", site.url, trust_on_first_use=True)
        with pytest.raises(UsageError, match="must be 64 hexadecimal digits"):
            manager.catalog_list.add("signed", site.url, sha256="abc")
        with pytest.raises(UsageError, match="this is a folder"):
            manager.catalog_list.add("mine", str(site.folder), sha256="0" * 64)


def test_a_configured_address_that_cannot_be_used_costs_only_itself(tmp_path: Path) -> None:
    (tmp_path / "h").mkdir()
    (tmp_path / "h" / "config.toml").write_text(
        '[catalogs]\nbad = {url = "gopher://x"}\nworse = {url = "http://h.example"}'
    )
    with Manager(home=tmp_path / "h", offline=True) as manager:
        result = manager.search("tiny")
        assert result.rows[0].spec == "core/tiny"
        assert sum("is left out" in warning for warning in result.warnings) == 2
