import os
import stat
from pathlib import Path

import pytest

from modelpm.errors import StoreError, UsageError
from modelpm.store import Store
from modelpm.store.blobs.linker import ORDER
from tests.support.stores import put, read_only, sha256, tmpfs

DATA = os.urandom(100_000)
NAME = sha256(DATA)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    put(made, DATA)
    return made


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("kind", ["auto", "hardlink", "symlink", "copy"])
def test_a_blob_appears_under_its_name(store: Store, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "view" / "model.gguf"
    made = store.link(NAME, target, kind)
    assert made in ORDER
    assert kind in {"auto", made}
    assert target.read_bytes() == DATA
    assert not target.stat().st_mode & 0o222
    assert names(target.parent) == ["model.gguf"]
    assert store.has(NAME, len(DATA))


def test_a_symlink_leads_to_the_absolute_place(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Store(Path("store")).link(NAME, Path("view/model"), "symlink")
    assert Path("view/model").readlink() == store.blob(NAME)


def test_a_copy_is_a_file_of_its_own(store: Store, tmp_path: Path) -> None:
    store.link(NAME, tmp_path / "copy", "copy")
    assert not (tmp_path / "copy").samefile(store.blob(NAME))
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == stat.S_IMODE(store.blob(NAME).stat().st_mode)


@pytest.mark.parametrize("kind", ["hardlink", "symlink", "copy"])
@pytest.mark.parametrize("before", ["file", "hardlink", "symlink", "dangling"])
def test_what_had_the_name_is_replaced_and_never_written_through(
    store: Store, tmp_path: Path, kind: str, before: str
) -> None:
    folder = tmp_path / "view"
    folder.mkdir()
    target, victim = folder / "model", tmp_path / "victim"
    victim.write_bytes(b"precious")
    if before == "file":
        target.write_bytes(b"old")
    elif before == "hardlink":
        store.link(NAME, target, "hardlink")
    else:
        target.symlink_to(victim if before == "symlink" else tmp_path / "nowhere")
    assert store.link(NAME, target, kind) == kind
    assert target.is_symlink() == (kind == "symlink")
    assert target.read_bytes() == DATA
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "nowhere").exists()
    assert names(folder) == ["model"]


def test_where_no_symlink_is_followed_auto_copies(store: Store, tmp_path: Path) -> None:
    with tmpfs(tmp_path / "other", "1m", "nosymfollow") as folder:
        assert store.link(NAME, folder / "a") == "copy"
        assert (folder / "a").read_bytes() == DATA
        with pytest.raises(StoreError, match="no symlink"):
            store.link(NAME, folder / "b", "symlink")
        assert names(folder) == ["a"]


def test_between_file_systems_a_link_becomes_a_symlink_and_that_is_remembered(store: Store, tmp_path: Path) -> None:
    with tmpfs(tmp_path / "other", "1m") as folder:
        assert store.link(NAME, folder / "a") == "symlink"
        assert store.link(NAME, folder / "b") == "symlink"
        with pytest.raises(StoreError, match="no hardlink"):
            store.link(NAME, folder / "c", "hardlink")
        assert store.link(NAME, folder / "d", "copy") == "copy"
        assert names(folder) == ["a", "b", "d"]
    assert store.link(NAME, tmp_path / "e", "hardlink") == "hardlink"


def test_a_copy_that_does_not_fit_leaves_nothing_and_names_the_disk(store: Store, tmp_path: Path) -> None:
    with tmpfs(tmp_path / "other", "64k") as folder:
        with pytest.raises(StoreError) as caught:
            store.link(NAME, folder / "copy", "copy")
        assert caught.value.code == "no_space"
        assert caught.value.details["mount"] == str(folder)
        assert names(folder) == []


@pytest.mark.marathon
def test_a_file_with_more_names_than_the_file_system_allows_is_linked_otherwise(store: Store, tmp_path: Path) -> None:
    if os.pathconf(tmp_path, "PC_LINK_MAX") > 70_000:
        pytest.skip("too many names are allowed here")
    folder = tmp_path / "names"
    folder.mkdir()
    for i in range(os.pathconf(tmp_path, "PC_LINK_MAX") - 1):
        os.link(store.blob(NAME), folder / str(i))
    assert store.link(NAME, tmp_path / "more") in {"reflink", "symlink"}
    put(store, b"other")
    assert store.link(sha256(b"other"), tmp_path / "other") in {"reflink", "hardlink"}


def test_below_a_root_no_folder_may_be_a_symlink(store: Store, tmp_path: Path) -> None:
    view = tmp_path / "view"
    store.link(NAME, view / "a" / "b" / "model", below=view)
    assert (view / "a" / "b" / "model").read_bytes() == DATA
    (tmp_path / "elsewhere").mkdir()
    (view / "link").symlink_to(tmp_path / "elsewhere")
    for target in (view / "link" / "model", view / "link" / "sub" / "model"):
        with pytest.raises(StoreError, match="symbolic link"):
            store.link(NAME, target, below=view)
    assert names(tmp_path / "elsewhere") == []


def test_a_folder_with_the_name_is_not_replaced(store: Store, tmp_path: Path) -> None:
    (tmp_path / "view" / "model").mkdir(parents=True)
    with pytest.raises(StoreError, match="cannot link"):
        store.link(NAME, tmp_path / "view" / "model")
    assert names(tmp_path / "view") == ["model"]


def test_a_view_that_cannot_be_written_is_named(store: Store, tmp_path: Path) -> None:
    with read_only(tmp_path / "fixed") as folder, pytest.raises(StoreError) as caught:
        store.link(NAME, folder / "model")
    assert caught.value.code == "no_permission"
    assert str(folder / "model") in caught.value.message


def test_a_missing_blob_and_an_unknown_kind_are_errors(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="has no blob"):
        store.link("0" * 64, tmp_path / "view")
    with pytest.raises(UsageError, match="unknown kind of link 'junction'"):
        store.link(NAME, tmp_path / "view", "junction")
    store.blob("0" * 64).parent.mkdir()
    store.blob("0" * 64).symlink_to(tmp_path)
    with pytest.raises(StoreError, match="has no blob"):
        store.link("0" * 64, tmp_path / "view")
