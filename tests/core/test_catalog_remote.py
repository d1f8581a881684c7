"""Catalogs on a web server: when they are asked, and what an answer must be to take the place of the last good copy."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelpm import Manager
from modelpm.catalog.opened import refuse_private
from modelpm.catalog.parse import parse_entry
from modelpm.errors import Code, Denied, IntegrityError, ModelpmError, NotFound, UsageError
from tests.support.catalogs import file, model, release, text, variant, write_catalog
from tests.support.codes import coded
from tests.support.published import Site, aged, serving, state_of


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    folder = write_catalog(tmp_path / "acme", [model("a", title="Alpha"), model("b")], {"aliases": {"al": "a"}})
    with serving(folder) as running:
        running.publish()
        yield running


@pytest.fixture
def home(tmp_path: Path, site: Site) -> Path:
    """Return a home that has the catalog, trusted."""
    folder = tmp_path / "home"
    with Manager(home=folder) as manager:
        manager.catalog_list.add("acme", site.url, trusted=True)
    site.seen.clear()
    return folder


def titles(home: Path, words: str = "", *, offline: bool = False) -> list[str]:
    with Manager(home=home, offline=offline) as manager:
        return [row.title for row in manager.search(words).rows if row.catalog == "acme"]


def changed(site: Site, title: str = "New") -> None:
    write_catalog_model(site, model("a", title=title))
    site.publish()


def write_catalog_model(site: Site, values: dict[str, object]) -> None:
    import tomli_w

    (site.folder / "models" / f"{values['id']}.toml").write_text(tomli_w.dumps(values))


def test_adding_looks_first_and_says_what_it_is(tmp_path: Path, site: Site) -> None:
    with Manager(home=tmp_path / "h") as manager:
        (row,) = manager.catalog_list.add("acme", f"{site.url}/index.json").rows
    assert (row.name, row.models, row.guarantee, row.trusted, row.origin) == ("acme", 2, "https", False, site.url)
    assert site.requests() == [("/metadata/1.root.json", 404), ("/index.json", 200)]
    with Manager(home=tmp_path / "h") as manager:
        assert [each.name for each in manager.catalog_list.list()] == ["core", "acme"]
        assert manager.catalogs.cards("acme")[0].title == "Alpha"
    assert site.requests() == []


def test_a_fresh_copy_is_asked_for_nothing_and_an_entry_is_fetched_once(home: Path, site: Site) -> None:
    assert titles(home, "alpha") == ["Alpha"]
    assert site.requests() == []
    for _ in range(2):
        with Manager(home=home) as manager:
            assert manager.show("acme/a").rows[0].title == "Alpha"
    assert site.requests() == [("/models/a.toml", 200)]


def test_after_a_day_the_verbs_that_choose_ask_once_with_a_condition(home: Path, site: Site) -> None:
    aged(home)
    assert titles(home) == titles(home) == ["Alpha", "b"]
    assert site.requests() == [("/index.json", 304)]
    aged(home)
    with Manager(home=home) as manager:
        manager.list()
        manager.catalog_list.list()
        manager.maintenance.doctor()
        manager.available()
    assert site.requests() == []


def test_a_change_is_taken_within_a_day_and_at_once_by_update(home: Path, site: Site) -> None:
    changed(site)
    assert titles(home, "alpha") == ["Alpha"]
    with Manager(home=home) as manager:
        assert [(row.name, row.state) for row in manager.catalog_list.update().rows] == [("acme", "updated")]
        assert [row.state for row in manager.catalog_list.update(["acme"]).rows] == ["unchanged"]
    assert titles(home, "new") == ["New"]


def test_an_entry_that_was_published_anew_brings_the_new_index(home: Path, site: Site) -> None:
    changed(site)
    with Manager(home=home) as manager:
        assert manager.show("acme/a").rows[0].title == "New"
    assert ("/index.json", 200) in site.requests()


def test_an_entry_that_no_index_names_is_refused(home: Path, site: Site) -> None:
    write_catalog_model(site, model("a", title="Changed without the index"))
    with Manager(home=home) as manager, pytest.raises(IntegrityError, check=coded(Code.DIGEST_MISMATCH)):
        manager.show("acme/a")
    (site.folder / "models" / "a.toml").unlink()
    with Manager(home=home) as manager, pytest.raises(IntegrityError, match="the index of the catalog names it"):
        manager.show("acme/a")


GOOD = {"schema": 1, "about": "schema = 1", "models": {}}
BAD: dict[str, tuple[bytes, str]] = {
    "a captive portal": (b"<html>Welcome to the hotel</html>", "text/html"),
    "nothing": (b"", "application/json"),
    "something else in JSON": (b'{"message": "sign in"}', "application/json"),
    "cut": (json.dumps(GOOD).encode()[:-2], "application/json"),
    "a newer schema": (json.dumps(GOOD | {"schema": 2}).encode(), "application/json"),
    "a bad id": (json.dumps(GOOD | {"models": {"../x": {}}}).encode(), "application/json"),
}


@pytest.mark.parametrize("fault", BAD)
def test_an_answer_that_is_not_a_catalog_never_takes_the_place_of_the_good_copy(
    home: Path, site: Site, fault: str
) -> None:
    aged(home, days=3)
    site.server.answer("index.json", *BAD[fault], times=1)
    with Manager(home=home) as manager:
        result = manager.search("alpha")
    assert [row.title for row in result.rows] == ["Alpha"]
    (warning,) = result.warnings
    assert "`acme` could not be refreshed" in warning
    assert warning.endswith("its copy of 3 days ago is used")
    assert site.requests() == [("/index.json", 200)]
    assert titles(home, "alpha") == ["Alpha"]  # it rests: nothing is asked for ten minutes
    assert site.requests() == []
    aged(home)
    assert titles(home, "alpha") == ["Alpha"]
    assert site.requests() == [("/index.json", 304)]


def test_a_server_that_is_away_is_said_once_and_the_copy_used(home: Path, site: Site) -> None:
    aged(home)
    site.server.http.stop()
    with Manager(home=home) as manager:
        warnings = [*manager.search("alpha").warnings, *manager.search("alpha").warnings]
    assert len([w for w in warnings if "2 days ago" in w]) == 1
    with Manager(home=home, retries=0) as manager:
        (error,) = manager.catalog_list.update().errors
        assert [check.state for check in manager.maintenance.doctor() if "could not be refreshed" in check.text] == [
            "warn"
        ]
    assert (error.exit_code, error.details["catalog"]) == (6, "acme")
    with Manager(home=home, offline=True) as manager:
        assert manager.search("alpha").warnings == ()
        with pytest.raises(ModelpmError, check=coded(Code.OFFLINE)):
            manager.show("acme/a")


def test_what_is_not_a_catalog_is_not_added(tmp_path: Path, site: Site) -> None:
    (site.folder / "index.json").unlink()
    with Manager(home=tmp_path / "h") as manager:
        with pytest.raises(UsageError, check=coded(Code.NOT_A_CATALOG)):
            manager.catalog_list.add("acme", site.url)
        with pytest.raises(UsageError, check=coded(Code.NOT_A_CATALOG)):
            manager.catalog_list.add("acme", str(tmp_path))
        assert not manager.config.paths.config.exists()
        assert not (tmp_path / "h" / "cache" / "catalogs" / "acme").exists()


@pytest.mark.parametrize(
    "place",
    ["http://models.example.org/c", "https://user:secret@example.org/c", "ftp://example.org/c", "https://a b/c"],
)
def test_addresses_that_cannot_be_trusted_are_refused_before_anything_is_asked(tmp_path: Path, place: str) -> None:
    with Manager(home=tmp_path / "h", offline=True) as manager:
        with pytest.raises(UsageError) as refused:
            manager.catalog_list.add("acme", place)
        assert "secret" not in str(refused.value)


def test_names_are_taken_once(home: Path, site: Site) -> None:
    with Manager(home=home) as manager:
        for name, code in {"acme": Code.NAME_TAKEN, "core": Code.NAME_TAKEN, "A/B": Code.USAGE}.items():
            with pytest.raises(UsageError, check=coded(code)):
                manager.catalog_list.add(name, site.url)
        with pytest.raises(UsageError, match="exclude"):
            manager.catalog_list.add("x", site.url, sha256="0" * 64, trust_on_first_use=True)
        with pytest.raises(NotFound, match="no catalog `nope` is configured"):
            manager.catalog_list.remove("nope")
        with pytest.raises(UsageError, match="comes with a plugin"):
            manager.catalog_list.remove("core")


def test_a_pinned_index_is_taken_and_no_other(tmp_path: Path, site: Site) -> None:
    from hashlib import sha256

    digest, home = sha256((site.folder / "index.json").read_bytes()).hexdigest(), tmp_path / "h"
    with Manager(home=home) as manager:
        with pytest.raises(IntegrityError, check=coded(Code.DIGEST_MISMATCH)):
            manager.catalog_list.add("acme", site.url, sha256="0" * 64)
        manager.catalog_list.add("acme", site.url, sha256=digest.upper())
    changed(site)
    site.seen.clear()
    with Manager(home=home) as manager:
        assert [row.state for row in manager.catalog_list.update().rows] == ["unchanged"]
        with pytest.raises(IntegrityError, check=coded(Code.DIGEST_MISMATCH)):
            manager.show("acme/a")  # the entry is another one by now
    assert ("/index.json", 200) not in site.requests()


def test_removing_takes_out_the_copy_and_lets_the_name_be_used_again(home: Path, site: Site) -> None:
    with Manager(home=home) as manager:
        manager.catalog_list.remove("acme")
    assert not (home / "cache" / "catalogs" / "acme").exists()
    with Manager(home=home) as manager:
        assert "acme" not in manager.catalogs.catalogs
        manager.catalog_list.add("acme", str(site.folder))
    with Manager(home=home) as manager:
        assert manager.catalogs.catalogs == ("acme", "core")


def test_a_copy_of_another_address_does_not_count(home: Path, tmp_path: Path) -> None:
    other = write_catalog(tmp_path / "other", [model("z")])
    with serving(other) as there:
        there.publish()
        config = home / "config.toml"
        config.write_text(f'[catalogs]\nacme = {{url = "{there.url}", trusted = true}}\n')
        with Manager(home=home) as manager:
            assert [card.id for card in manager.catalogs.cards("acme", choosing=True)] == ["z"]


def test_short_names_mean_a_catalog_elsewhere_only_once_it_is_trusted(tmp_path: Path, site: Site) -> None:
    home = tmp_path / "h"
    with Manager(home=home) as manager:
        manager.catalog_list.add("acme", site.url)
    with Manager(home=home) as manager:
        with pytest.raises(NotFound) as unknown:
            manager.show("a")
        assert unknown.value.hints[0].startswith("`acme/a` is there: write it so, or `modelpm catalog trust acme`")
        assert manager.show("acme/a").rows[0].title == "Alpha"
        assert manager.catalog_list.trust("acme").trusted
    with Manager(home=home) as manager:
        assert manager.show("al").rows[0].model == "acme/a"


def test_nothing_elsewhere_answers_for_a_catalog_before_it(home: Path, site: Site, tmp_path: Path) -> None:
    later = write_catalog(tmp_path / "later", [model("a", title="Squatter"), model("tiny", title="Squatter")])
    with serving(later) as there:
        there.publish()
        with Manager(home=home) as manager:
            manager.catalog_list.add("later", there.url, trusted=True)
        with Manager(home=home) as manager:
            assert manager.catalogs.catalogs == ("core", "acme", "later")
            assert manager.catalogs.find("tiny").name == "core/tiny"
        (site.folder / "models" / "a.toml").unlink()
        (site.folder / "catalog.toml").write_text('schema = 1\nname = "acme"\n')
        site.publish()
        with Manager(home=home) as manager:
            manager.catalog_list.update()
        assert state_of(home)["gone"] == ["a", "al"]
        with Manager(home=home) as manager:
            with pytest.raises(NotFound, match="`acme` no longer has that model") as gone:
                manager.show("a")
            assert "`later/a`" in gone.value.hints[0]
            assert manager.show("later/a").rows[0].title == "Squatter"
        (home / "cache" / "catalogs" / "acme" / "index.json").unlink()
        site.server.fail("index.json", 404, times=9)
        with Manager(home=home) as manager, pytest.raises(UsageError, check=coded(Code.UNREADABLE_CATALOG)):
            manager.show("a")


@pytest.mark.parametrize("place", ["file:///etc/passwd", "http://127.0.0.1:1/x.gguf", "https://10.0.0.8/x.gguf"])
def test_an_entry_from_elsewhere_names_nothing_private(place: str) -> None:
    private = variant(upstream=None, file=[file(sources=[place])])
    entry = parse_entry("acme", text(model("a", release=[release(variant=[private])])))
    with pytest.raises(Denied, check=coded(Code.PRIVATE_SOURCE)):
        refuse_private(entry, "https://models.example.org")
    refuse_private(entry, "http://192.168.1.5/catalog")


def test_one_bad_entry_costs_one_line_once(tmp_path: Path) -> None:
    folder = write_catalog(tmp_path / "c", [model(f"m{n}") for n in range(50)])
    (folder / "models" / "m7.toml").write_text("id = ")
    (folder / "models" / "m8.toml").write_bytes(b"\xff\xfe")
    home = tmp_path / "h"
    with Manager(home=home) as manager:
        manager.catalog_list.add("mine", str(folder))
    seen = []
    for _ in range(2):
        with Manager(home=home) as manager:
            result = manager.search("m")
            seen.append([w for w in result.warnings if "mine" in w])
            assert sum(row.catalog == "mine" for row in result.rows) == 48
    assert len(seen[0]) == 1
    assert "`mine/m7` cannot be read and is left out, and so is 1 more: " in seen[0][0]
    assert seen[1] == []
    with Manager(home=home) as manager:
        assert sum(c.state == "fail" and "m7" in c.text for c in manager.maintenance.doctor()) == 1
    (folder / "models" / "m7.toml").write_text('schema = 1\nid = "m7"\n[[release]]\nversion = "1"\n')
    with Manager(home=home) as manager:
        assert any("m7" in w for w in manager.search("m").warnings)
