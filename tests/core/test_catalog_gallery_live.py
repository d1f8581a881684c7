"""A gallery of LocalAI as a catalog: read from its address, asked for with a condition, never lost to a bad answer."""

import json
import shutil
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from modelpm import Manager
from modelpm.api import FolderCatalog
from modelpm.catalog.gallery.folder import ConvertedGallery
from modelpm.catalog.opened import Opened
from modelpm.catalog.place import Medium, Place
from modelpm.errors import Code, Denied, IntegrityError, ModelpmError, NotFound, UsageError
from tests.conftest import Ran
from tests.support.codes import coded
from tests.support.galleries import gallery
from tests.support.hub import Hub
from tests.support.models import holding
from tests.support.published import Site, aged, serving, state_of

HUB = "huggingface://acme/m/m-Q4_K_M.gguf"


def entry(name: str, **values: Any) -> dict[str, Any]:
    files = [{"filename": "m-Q4_K_M.gguf", "sha256": sha256(name.encode()).hexdigest(), "uri": HUB}]
    return {"name": name, "files": files, **values}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    folder = tmp_path / "gallery"
    folder.mkdir()
    with serving(folder) as running:
        publish(running, entry("Alpha"), entry("beta:8b"))
        yield running


@pytest.fixture
def home(tmp_path: Path, site: Site) -> Path:
    """Return a home that has the gallery, trusted."""
    folder = tmp_path / "home"
    with Manager(home=folder) as manager:
        manager.catalog_list.add("local", f"{site.url}/index.yaml", trusted=True)
    site.seen.clear()
    return folder


def publish(site: Site, *models: Any) -> None:
    (site.folder / "index.yaml").write_text(json.dumps(models))  # JSON is YAML


def ids(home: Path, *, offline: bool = False) -> list[str]:
    with Manager(home=home, offline=offline) as manager:
        return [card.id for card in manager.catalogs.cards("local", choosing=True)]


def test_a_gallery_is_added_by_its_address_and_used_as_any_catalog(home: Path, site: Site) -> None:
    assert ids(home) == ids(home, offline=True) == ["alpha", "beta-8b"]
    with Manager(home=home) as manager:
        assert manager.catalogs.find("beta:8b").name == "local/beta-8b"
        assert [row.id for row in manager.search("alpha").rows if row.catalog == "local"] == ["alpha"]
        (row,) = [row for row in manager.catalog_list.list() if row.name == "local"]
    assert (row.title, row.models, row.guarantee) == ("Gallery local", 2, "https")
    assert site.requests() == []


def test_it_is_asked_once_a_day_with_a_condition_and_what_changed_is_taken(home: Path, site: Site) -> None:
    aged(home, name="local")
    assert ids(home) == ids(home) == ["alpha", "beta-8b"]
    assert site.requests() == [("/index.yaml", 304)]
    publish(site, entry("Alpha", license="mit"), entry("gamma"))
    aged(home, name="local")
    assert ids(home) == ["alpha", "gamma"]
    assert site.requests() == [("/index.yaml", 200)]
    assert state_of(home, "local")["gone"] == ["beta-8b", "beta:8b"]
    with Manager(home=home) as manager:
        assert manager.catalogs.find("alpha").license == "MIT"
        assert [row.state for row in manager.catalog_list.update().rows] == ["unchanged"]


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>Welcome to the hotel</html>",
        b"",
        b"[]",
        b"- name: cut\n  files: [",
        json.dumps([{"name": "nothing"}]).encode(),
    ],
    ids=["a captive portal", "nothing", "an empty list", "cut", "no model"],
)
def test_an_answer_that_is_no_gallery_leaves_the_good_copy(home: Path, site: Site, answer: bytes) -> None:
    (site.folder / "index.yaml").write_bytes(answer)
    aged(home, name="local")
    with Manager(home=home) as manager:
        result = manager.search("alpha")
        (error,) = manager.catalog_list.update().errors
    assert [row.id for row in result.rows if row.catalog == "local"] == ["alpha"]
    assert "the catalog `local` could not be refreshed" in result.warnings[0]
    assert error.code in {Code.INVALID_CATALOG, Code.NOT_A_CATALOG}


def test_what_is_left_out_is_told_in_one_line_when_it_came(tmp_path: Path, site: Site) -> None:
    publish(site, entry("Alpha"), {"name": "x"}, {"name": "y"}, entry("z", files=[{"filename": "a", "uri": "oci://a"}]))
    with Manager(home=tmp_path / "h") as manager:
        (warning,) = manager.catalog_list.add("local", f"{site.url}/index.yaml").warnings
    url = f"{site.url}/index.yaml"
    assert warning == (
        "3 of the 4 models of the gallery `local` are left out (2: it names no files and no repository; "
        f"1: it has a file with the scheme `oci`); `modelpm catalog import {url} DIR` names them"
    )
    assert "left out" not in " ".join(Manager(home=tmp_path / "h").search("alpha").warnings)


def test_one_bad_entry_costs_only_itself(tmp_path: Path, site: Site) -> None:
    publish(site, entry("Alpha"), "a text", None, {"name": ["odd"], "files": 5}, entry("alpha"))
    with Manager(home=tmp_path / "h") as manager:
        result = manager.catalog_list.add("local", f"{site.url}/index.yaml")
    assert [row.models for row in result.rows] == [1]
    assert "4 of the 5 models of the gallery `local` are left out (2: it has no name; " in result.warnings[0]


def test_it_may_not_name_what_is_on_this_machine(tmp_path: Path) -> None:
    near = [{"filename": "a.gguf", "uri": "https://192.168.0.4/a.gguf", "sha256": "ab" * 32}]
    place = Place.of("local", {"url": "https://gallery.example/index.yaml"})

    ConvertedGallery.of([entry("a", files=near)], "local").write(tmp_path / "copy")
    with pytest.raises(Denied, check=coded(Code.PRIVATE_SOURCE)):
        Opened("local", lambda: FolderCatalog(tmp_path / "copy"), place).entry("a")


def test_a_pinned_gallery_is_taken_only_as_it_was(tmp_path: Path, site: Site) -> None:
    home, url = tmp_path / "h", f"{site.url}/index.yaml"
    digest = sha256((site.folder / "index.yaml").read_bytes()).hexdigest()
    with Manager(home=home) as manager:
        with pytest.raises(IntegrityError, check=coded(Code.DIGEST_MISMATCH)):
            manager.catalog_list.add("local", url, sha256="0" * 64)
        (row,) = manager.catalog_list.add("local", url, sha256=digest).rows
        assert row.guarantee == "pinned"
    publish(site, entry("other"))
    aged(home, name="local")
    site.seen.clear()
    assert ids(home) == ["alpha", "beta-8b"]
    assert site.requests() == []


def test_what_cannot_be_a_gallery_is_not_added(tmp_path: Path, site: Site) -> None:
    with Manager(home=tmp_path / "h") as manager:
        with pytest.raises(UsageError, check=coded(Code.NOT_A_CATALOG)):
            manager.catalog_list.add("local", f"{site.url}/gone.yml")
        with pytest.raises(UsageError, match="use --sha256"):
            manager.catalog_list.add("local", f"{site.url}/index.yaml", trust_on_first_use=True)
        with pytest.raises(UsageError, check=lambda error: "catalog import" in error.hints[0]):
            manager.catalog_list.add("local", str(site.folder / "index.yaml"))
        with pytest.raises(UsageError, match="plain http"):
            manager.catalog_list.add("local", "http://gallery.example/index.yaml")
    with Manager(home=tmp_path / "h", offline=True) as manager, pytest.raises(ModelpmError, check=coded(Code.OFFLINE)):
        manager.catalog_list.add("local", f"{site.url}/index.yaml")


def test_a_copy_that_was_removed_is_brought_again(home: Path, site: Site) -> None:

    shutil.rmtree(home / "cache" / "catalogs" / "local" / state_of(home, "local")["digest"])
    with Manager(home=home, offline=True) as manager, pytest.raises(NotFound, match="not on this machine"):
        manager.catalogs.cards("local")
    aged(home, name="local")
    assert ids(home) == ["alpha", "beta-8b"]
    assert site.requests() == [("/index.yaml", 200)]


@pytest.mark.parametrize(
    ("url", "medium"),
    [
        ("https://h.example/index.yaml", Medium.GALLERY),
        ("https://h.example/g.yml?ref=main", Medium.GALLERY),
        ("https://h.example/index.yaml/", Medium.WEB),
        ("https://h.example/yaml", Medium.WEB),
        ("git+https://h.example/index.yaml", Medium.GIT),
    ],
)
def test_a_gallery_is_known_by_its_address(url: str, medium: Medium) -> None:
    assert Place.of("x", {"url": url}).medium is medium


def test_a_model_of_a_gallery_installs(modelpm: Callable[..., Ran], hub: Hub, site: Site) -> None:
    hub.add("acme/m", {"m-Q4_K_M.gguf": holding("m.gguf", b"m" * 64)})
    digest = hub.repos["acme/m"].files["m-Q4_K_M.gguf"].sha256
    publish(site, entry("m", files=[{"filename": "m-Q4_K_M.gguf", "sha256": digest, "uri": HUB}]))
    environ = {"HF_ENDPOINT": hub.endpoint}
    added = modelpm("catalog", "add", "local", f"{site.url}/index.yaml", "--trust")
    assert added.stderr.startswith("Added local: 1 model, https")
    done = modelpm("install", "m", env=environ)
    assert done.code == 0, done.stderr
    assert sha256(Path(modelpm("path", "m").stdout.strip()).read_bytes()).hexdigest() == digest
    wrong = modelpm("catalog", "add", "other", f"{site.url}/gone.yaml")
    assert (wrong.code, "hint: check the address" in wrong.stderr) == (2, True)


@pytest.mark.marathon
def test_a_gallery_of_1700_models_is_read_live(tmp_path: Path, site: Site) -> None:
    (site.folder / "index.yaml").write_bytes(gallery(1700))
    with Manager(home=tmp_path / "h") as manager:
        (row,) = manager.catalog_list.add("local", f"{site.url}/index.yaml").rows
    assert row.models >= 0.95 * 1700
