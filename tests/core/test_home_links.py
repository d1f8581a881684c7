"""``store/``, ``audit/`` and the home itself as symlinks to folders elsewhere: people put them on another disk so.

Such a link is where trust begins, as a configured path is; below it nothing is written through a symlink.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import modelpm
from modelpm.errors import StoreError, UsageError
from modelpm.store import Store
from tests.conftest import Ran
from tests.support.codes import coded
from tests.support.models import folder_of, manager_in, names
from tests.support.stores import put, sha256, tmpfs

Modelpm = Callable[..., Ran]
FILES = {"m.bin": os.urandom(70_000), "config.json": b"{}"}
# What somebody else may keep where the store is: names that we use, too.
FOREIGN = (
    "notes.txt",
    "blobs/theirs.bin",
    "blobs/sha256/theirs.txt",
    "blobs/sha256/ab/theirs.txt",
    "blobs/sha256/" + "ab" * 32,
    "meta/theirs.json",
    "partial/theirs/data",
    "quarantine/theirs.zip",
    "projects/thesis/chapter.tex",
    "projects/theirs.json",
    "leases/house.json",
)


@pytest.fixture(autouse=True)
def _no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """Return the folder on the other disk to which ``store`` and ``audit`` of the home are links."""
    home, big = tmp_path / "home", tmp_path / "big"
    home.mkdir()
    for name in ("store", "audit", "cache"):
        (big / name).mkdir(parents=True)
        (home / name).symlink_to(big / name)
    return big


@pytest.mark.parametrize("mode", ["auto", "hardlink", "symlink", "copy"])
def test_everything_works_where_store_and_audit_are_links(
    tmp_path: Path, big: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELPM_LINK_MODE", mode)
    with manager_in(tmp_path, offline=True) as manager:
        made = manager.install(folder_of(tmp_path / "m", FILES))
        assert all(row.ok for row in manager.verify().rows)
        assert (big / "audit" / "audit.jsonl").exists()
        assert names(manager.store) == {sha256(data) for data in FILES.values()}
        assert Store(big / "store").blob(sha256(FILES["m.bin"])).read_bytes() == FILES["m.bin"]
        assert manager.why(str(manager.path("m", "m.bin"))).rows[0].name == "m"
        assert {c.state for c in manager.maintenance.doctor()} <= {"ok", "warn"}
        put(manager.store, b"nobody's")
        assert len(manager.maintenance.prune().removed) == 1
        assert (made.folder / "m.bin").read_bytes() == FILES["m.bin"]
        manager.uninstall("m")
        assert names(manager.store) == set()


def test_on_the_command_line_and_on_another_disk(modelpm: Modelpm, home: Path, tmp_path: Path) -> None:
    place = home / "modelpm"
    place.mkdir()
    with tmpfs(tmp_path / "disk", "4m") as disk:
        for name in ("store", "audit"):
            (disk / name).mkdir()
            (place / name).symlink_to(disk / name)
        for args in (["install", "tiny"], ["verify"], ["path", "tiny"], ["audit", "verify"], ["uninstall", "tiny"]):
            ran = modelpm(*args)
            assert ran.code == 0, ran.stderr


def test_a_link_to_a_disk_that_is_not_there_is_refused_in_words(modelpm: Modelpm, home: Path, tmp_path: Path) -> None:
    place = home / "modelpm"
    place.mkdir()
    (place / "store").symlink_to(tmp_path / "not-mounted")
    ran = modelpm("install", "tiny", "--json")
    assert ran.code == 8
    (error,) = json.loads(ran.stdout)["errors"]
    assert error["code"] == "symlink"
    assert str(tmp_path / "not-mounted") in error["message"]
    assert "mount that disk" in error["hints"][0]
    assert not (tmp_path / "not-mounted").exists()


def test_below_such_a_link_nothing_is_written_through_another(tmp_path: Path, big: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    with manager_in(tmp_path, offline=True) as manager:
        manager.install(folder_of(tmp_path / "m", FILES))
        record = big / "audit" / "audit.jsonl"
        record.rename(big / "audit" / "kept")
        record.symlink_to(victim / "log")
        with pytest.raises(StoreError, check=coded("symlink")):
            manager.uninstall("m")
    for planted in ("blobs", "meta", "partial", "locks"):
        fresh = tmp_path / planted
        fresh.mkdir()
        (fresh / planted).symlink_to(victim)
        (tmp_path / f"{planted}-link").symlink_to(fresh)
        with pytest.raises(StoreError) as caught:
            Store(tmp_path / f"{planted}-link").open()
        assert caught.value.code == "symlink"
    assert list(victim.iterdir()) == []


def test_a_store_is_not_moved_to_where_it_is_by_another_name(tmp_path: Path, big: Path) -> None:
    with manager_in(tmp_path, offline=True) as manager:
        manager.install(folder_of(tmp_path / "m", FILES))
        (tmp_path / "alias").symlink_to(big)
        for target in (big / "store", tmp_path / "alias" / "store", tmp_path / "home" / "store"):
            with pytest.raises(UsageError, match="already"):
                manager.maintenance.move_store(target)
        for target in (big / "store" / "sub", tmp_path / "alias" / "store" / "sub", big):
            with pytest.raises(UsageError, match="one inside the other"):
                manager.maintenance.move_store(target)
        assert all(row.ok for row in manager.verify().rows)
        manager.maintenance.move_store(tmp_path / "elsewhere")
    with manager_in(tmp_path, offline=True) as manager:
        assert manager.config.paths.store == tmp_path / "elsewhere"
        assert all(row.ok for row in manager.verify().rows)


def test_what_others_keep_in_the_same_folder_stays(tmp_path: Path, big: Path) -> None:
    for name in FOREIGN:
        path = big / "store" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("theirs")
    with modelpm.Manager(home=tmp_path / "home", offline=True) as manager:
        manager.install(folder_of(tmp_path / "m", FILES))
        manager.maintenance.doctor(fix=True)
        manager.maintenance.prune()
        manager.maintenance.move_store(tmp_path / "elsewhere")
    left = {p.relative_to(big / "store").as_posix() for p in (big / "store").rglob("*") if p.is_file()}
    assert {name for name in left if not name.startswith("locks/")} == {*FOREIGN, "VERSION"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("audit", ("audit", "verify")),
        ("audit", ("audit", "show")),
        ("audit", ("install", "tiny", "--as", "other")),
        ("store", ("verify",)),
        ("store", ("verify", "--quick")),
    ],
)
def test_what_is_on_a_disk_that_is_not_there_is_neither_empty_nor_damaged(
    modelpm: Modelpm, home: Path, tmp_path: Path, name: str, words: tuple[str, ...]
) -> None:
    assert modelpm("install", "tiny").code == 0
    (home / "modelpm" / name).rename(tmp_path / "unplugged")
    (home / "modelpm" / name).symlink_to(tmp_path / "not-mounted")
    ran = modelpm(*words, "--json")
    assert ran.code == 8, ran.stdout
    (error,) = json.loads(ran.stdout)["errors"]
    assert error["code"] == "symlink"
    assert str(tmp_path / "not-mounted") in error["message"]
    assert "mount that disk" in error["hints"][0]
    assert not (tmp_path / "not-mounted").exists()
