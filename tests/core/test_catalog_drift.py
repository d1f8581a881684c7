"""The ways in which what is locked and its catalog differ by now: each its own code and words, wherever it is said."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import modelpm
from modelpm.catalog import parse_entry
from modelpm.catalog.drift import drifts
from modelpm.errors import Code, Denied
from modelpm.library.project import Project
from modelpm.lockfile.model import LockedFile, LockedModel
from modelpm.lockfile.requirement import Requirement
from tests.support import catalogs
from tests.support.codes import coded
from tests.support.hub import Hub
from tests.support.projects import Shop, reopened, stocked_shop


def locked(**changes: Any) -> LockedModel:
    files = (LockedFile("a.gguf", 5, catalogs.SHA256, ("hf://acme/a@" + "c" * 40 + "/a.gguf",)),)
    facts = {"release": "1.0", "variant": "q4_k_m", "upstream": "hf://acme/a@" + "c" * 40, "license": "mit"} | changes
    return LockedModel("chat", Requirement("acme/a"), files, **facts)


def kinds(entry: dict[str, Any], model: LockedModel) -> list[str]:
    return [str(drift.kind) for drift in drifts(parse_entry("acme", catalogs.text(entry)), model)]


VARIANT = catalogs.variant
CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "the same": ({}, []),
    "a digest that is left open": (
        {"release": [catalogs.release(variant=[VARIANT(file=[catalogs.file(sha256=None)])])]},
        [],
    ),
    "a new release": ({"release": [catalogs.release("2.0"), catalogs.release()]}, []),
    "blocked": ({"release": [catalogs.release(blocked="malware")]}, ["blocked"]),
    "yanked": ({"release": [catalogs.release(yanked="broken")]}, ["yanked"]),
    "gone": ({"release": [catalogs.release("2.0")]}, ["release_gone"]),
    "another digest": (
        {"release": [catalogs.release(variant=[VARIANT(file=[catalogs.file(sha256="0" * 64)])])]},
        ["entry_changed"],
    ),
    "another commit": (
        {"release": [catalogs.release(variant=[VARIANT(upstream="hf://acme/a@" + "d" * 40)])]},
        ["entry_changed"],
    ),
    "another repository": (
        {"release": [catalogs.release(variant=[VARIANT(upstream="hf://other/a@" + "c" * 40)])]},
        ["entry_changed"],
    ),
    "one more file": (
        {"release": [catalogs.release(variant=[VARIANT(file=[catalogs.file(), catalogs.file("b.gguf")])])]},
        ["entry_changed"],
    ),
    "one file less": (
        {"release": [catalogs.release(variant=[VARIANT(file=[catalogs.file("b.gguf")])])]},
        ["entry_changed"],
    ),
    "another license": ({"license": "apache-2.0"}, ["entry_changed"]),
    "deprecated": ({"deprecated": {"reason": "old", "replacement": "b"}}, ["deprecated"]),
    "all at once": (
        {"license": "gpl-3.0", "deprecated": {"reason": "old"}, "release": [catalogs.release(yanked="broken")]},
        ["yanked", "entry_changed", "deprecated"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_way_has_a_code(case: str) -> None:
    changes, expected = CASES[case]
    assert kinds(catalogs.model("a", license="mit") | changes, locked()) == expected


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return stocked_shop(tmp_path / "home", tmp_path / "shop")


@pytest.fixture
def project(tmp_path: Path, shop: Shop) -> Project:  # noqa: ARG001 - is offered there
    (tmp_path / "p").mkdir()
    project = modelpm.Manager(home=tmp_path / "home", offline=True).init(tmp_path / "p")
    project.add(["chat@1"])
    return project


def fresh(project: Project, tmp_path: Path) -> Project:
    return reopened(modelpm.Manager(home=tmp_path / "home", offline=True), project.root)


OFFERS: dict[str, Callable[[Shop], None]] = {
    "yanked": lambda shop: shop.offer("chat", "1.0", "1.1", v1_1={"yanked": "broken"}),
    "release_gone": lambda shop: shop.offer("chat", "1.0"),
    "entry_changed": lambda shop: shop.offer("chat", "1.0", "1.1", license="apache-2.0"),
    "new_release": lambda shop: shop.offer("chat", "1.0", "1.1", "1.2"),
}


def deprecate(shop: Shop) -> None:
    path = shop.folder / "models" / "chat.toml"
    shop.offer("chat", "1.0", "1.1")
    text = path.read_text()
    path.write_text(f'deprecated = {{reason = "old", replacement = "embed"}}\n{text}')


@pytest.mark.parametrize("kind", [*OFFERS, "deprecated"])
def test_outdated_lock_sync_and_doctor_say_it_in_the_same_words(
    project: Project, shop: Shop, tmp_path: Path, kind: str
) -> None:
    OFFERS.get(kind, deprecate)(shop)
    (row,) = fresh(project, tmp_path).outdated().rows
    assert row.kind == kind
    if kind == "new_release":
        assert (row.allowed, row.newest) == ("1.2", "1.2")
        return
    said = [warning for warning in fresh(project, tmp_path).lock().warnings if f"[{kind}]" in warning]
    assert len(said) == 1
    assert row.note in said[0]
    if kind == "release_gone":
        return  # its file stands nowhere in the catalog any more: sync refuses such a source
    shutil.rmtree(project.root / "models")
    shutil.rmtree(tmp_path / "home" / "store")
    result = fresh(project, tmp_path).sync()
    assert [warning for warning in result.warnings if f"[{kind}]" in warning] == said
    if kind == "deprecated":
        assert "use `acme/embed`" in said[0]


def test_what_is_blocked_is_refused_also_where_it_is_locked(project: Project, shop: Shop, tmp_path: Path) -> None:
    shop.offer("chat", "1.0", "1.1", v1_1={"blocked": "malware"})
    assert [row.kind for row in fresh(project, tmp_path).outdated().rows] == ["blocked"]
    with pytest.raises(Denied, match="blocked by its catalog: malware", check=coded(Code.BLOCKED)):
        fresh(project, tmp_path).lock()
    shutil.rmtree(project.root / "models")
    shutil.rmtree(tmp_path / "home" / "store")
    with pytest.raises(Denied, check=coded(Code.BLOCKED)):
        fresh(project, tmp_path).sync()


def test_doctor_says_it_of_the_users_models(shop: Shop, tmp_path: Path) -> None:
    with modelpm.Manager(home=tmp_path / "home", offline=True) as manager:
        manager.install("chat@1")
        shop.offer("chat", "1.0", "1.1", v1_1={"blocked": "malware"})
        (check,) = [check for check in manager.maintenance.doctor() if check.name == "blocked"]
    assert (check.state, "malware" in check.text, bool(check.cure)) == ("fail", True, True)


def test_a_branch_that_moved_is_told_from_an_entry_that_changed(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    hub.add("acme/a", {"a.gguf": b"1" * 3000})
    variant = catalogs.variant(upstream="hf://acme/a", file=[catalogs.file(size=None, sha256=None)])
    entry = catalogs.model("a", release=[catalogs.release(variant=[variant])])
    folder = catalogs.write_catalog(tmp_path / "cat", [entry])
    with modelpm.Manager(home=tmp_path / "home") as manager:
        manager.catalog_list.add("acme", str(folder))
    with modelpm.Manager(home=tmp_path / "home") as manager:
        manager.install(["acme/a", "hf://acme/a"])
        assert manager.outdated().rows == ()
    hub.add("acme/a", {"a.gguf": b"2" * 3000})
    with modelpm.Manager(home=tmp_path / "home") as manager:
        rows = manager.outdated().rows
        assert [row.kind for row in rows] == ["upstream_moved", "upstream_moved"]
        assert all("another commit" in row.note for row in rows)


def test_a_digest_that_contradicts_the_source_is_an_integrity_error(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    repo = hub.add("acme/a", {"a.gguf": b"1" * 3000})
    wrong = catalogs.variant(upstream=f"hf://acme/a@{repo.commit}", file=[catalogs.file(size=None, sha256="0" * 64)])
    folder = catalogs.write_catalog(
        tmp_path / "cat", [catalogs.model("a", release=[catalogs.release(variant=[wrong])])]
    )
    with modelpm.Manager(home=tmp_path / "home") as manager:
        manager.catalog_list.add("acme", str(folder))
    with modelpm.Manager(home=tmp_path / "home") as manager:
        (error,) = manager.install(["acme/a"]).errors
        (tmp_path / "p").mkdir()
        (locking,) = manager.init(tmp_path / "p").add(["acme/a"]).errors
    assert (error.code, error.exit_code, locking.code) == (Code.ENTRY_CONTRADICTED, 4, Code.ENTRY_CONTRADICTED)
    assert "the entry acme/a contradicts its source" in error.message
