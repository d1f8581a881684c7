"""Files from outside become blobs without being changed, and without being shared with whoever can write them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from modelpm.store import Store
from modelpm.store.reuse import obtain, offers
from tests.conftest import Ran
from tests.support.hub import Hub
from tests.support.models import folder_of, manager_in, names
from tests.support.stores import sha256

Modelpm = Callable[..., Ran]
DATA = os.urandom(50_000)
NAME = sha256(DATA)
COMMIT = "a" * 40


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", notes=tmp_path / "notes", caches=[tmp_path / "hub"])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.bin"
    path.write_bytes(DATA)
    return path


@pytest.mark.parametrize("mode", [0o644, 0o664, 0o600, 0o446, 0o777])
def test_a_file_that_can_be_written_keeps_its_inode_and_mode_to_itself(store: Store, file: Path, mode: int) -> None:
    file.chmod(mode)
    before = file.stat()
    assert store.take(file) == NAME
    after, blob = file.stat(), store.blob(NAME).stat()
    assert (after.st_ino, after.st_mode, after.st_nlink, after.st_ctime_ns) == (
        before.st_ino,
        before.st_mode,
        1,
        before.st_ctime_ns,
    )
    assert blob.st_ino != after.st_ino
    assert not blob.st_mode & 0o222
    with file.open("r+b") as opened:
        opened.write(b"x")
    assert store.check(NAME, len(DATA)) is None


def test_a_read_only_file_of_ours_is_shared(store: Store, file: Path) -> None:
    file.chmod(0o444)
    assert store.take(file) == NAME
    assert store.blob(NAME).samefile(file)
    assert store.has(NAME, len(DATA), exact=True)


def test_a_read_only_file_of_another_user_is_not_shared(store: Store, file: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("giving a file to another user needs root")
    file.chmod(0o444)
    os.chown(file, 4242, 4242)
    assert store.take(file) == NAME
    assert not store.blob(NAME).samefile(file)
    assert store.blob(NAME).stat().st_uid == 0
    assert store.has(NAME, len(DATA), exact=True)


def test_an_import_leaves_the_files_as_they_were(tmp_path: Path, file: Path) -> None:
    before = file.stat()
    with manager_in(tmp_path) as manager:
        manager.import_(file)
        file.write_bytes(b"another work of mine")
        assert manager.store.check(NAME, len(DATA)) is None
    assert file.stat().st_mode == before.st_mode


def snapshot(hub: Path, *, links: bool, path: str = "sub/c.bin", data: bytes = DATA) -> Path:
    """Lay out a repository as huggingface_hub does, on a disk with symlinks or without; return the snapshot."""
    repository = hub / "models--acme--c"
    file = repository / "snapshots" / COMMIT / path
    file.parent.mkdir(parents=True)
    if links:
        blob = repository / "blobs" / sha256(data)
        blob.parent.mkdir()
        blob.write_bytes(data)
        file.symlink_to(os.path.relpath(blob, file.parent))
    else:
        file.write_bytes(data)
    return repository / "snapshots" / COMMIT


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("below", ["", "sub"])
def test_a_snapshot_of_a_cache_is_imported(modelpm: Modelpm, tmp_path: Path, links: bool, below: str) -> None:
    folder = snapshot(tmp_path / "hub", links=links) / below
    ran = modelpm("import", str(folder))
    assert ran.code == 0, ran.stderr
    ran = modelpm("install", f"file://{folder}", "--as", "c")
    assert ran.code == 0, ran.stderr
    assert Path(modelpm("path", "c").stdout.strip()).read_bytes() == DATA


@pytest.mark.parametrize("place", ["elsewhere", "hub/models--acme--other/blobs", "hub"])
def test_links_out_of_a_repository_of_a_cache_are_not_followed(modelpm: Modelpm, tmp_path: Path, place: str) -> None:
    folder = snapshot(tmp_path / "hub", links=True)
    secret = tmp_path / place / "id_rsa"
    secret.parent.mkdir(parents=True, exist_ok=True)
    secret.write_bytes(b"secret")
    (folder / "w.bin").symlink_to(secret)
    ran = modelpm("import", str(folder), "--json")
    assert ran.code == 0
    assert "w.bin" not in ran.stdout
    assert "c.bin" in ran.stdout


def test_a_folder_that_only_looks_like_a_cache_opens_nothing(modelpm: Modelpm, tmp_path: Path) -> None:
    folder = tmp_path / "snapshots" / "x"
    folder.mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "w.bin").symlink_to(tmp_path / "secret")
    assert modelpm("import", str(folder)).code == 5


@pytest.mark.parametrize("links", [True, False])
def test_what_a_cache_has_is_obtained_by_its_path_where_it_has_no_blobs(
    store: Store, tmp_path: Path, links: bool
) -> None:
    snapshot(tmp_path / "hub", links=links)
    assert offers(store, NAME, len(DATA), path="sub/c.bin")
    assert obtain(store, NAME, len(DATA), path="sub/c.bin")
    assert store.blob(NAME).stat().st_nlink == 1


@pytest.mark.parametrize("links", [True, False])
def test_other_bytes_of_the_same_size_are_not_obtained(store: Store, tmp_path: Path, links: bool) -> None:
    folder = snapshot(tmp_path / "hub", links=links)
    (folder / "sub" / "c.bin").resolve().write_bytes(bytes(len(DATA)))
    assert not obtain(store, NAME, len(DATA), path="sub/c.bin")
    assert not list(store.blobs())


def test_a_link_of_a_cache_that_leaves_it_is_not_followed(store: Store, tmp_path: Path, file: Path) -> None:
    folder = snapshot(tmp_path / "hub", links=True)
    for link in (folder / "sub" / "c.bin", tmp_path / "hub" / "models--acme--c" / "blobs" / NAME):
        link.unlink()
        link.symlink_to(file)
    assert not offers(store, NAME, len(DATA), path="sub/c.bin")


@pytest.mark.parametrize("path", ["../../../../mine.bin", "/etc/passwd", "a\0b", "x" * 5000])
def test_a_hostile_path_leads_nowhere(store: Store, tmp_path: Path, file: Path, path: str) -> None:
    snapshot(tmp_path / "hub", links=False)
    assert file.exists()
    assert not offers(store, NAME, len(DATA), path=path)


def test_a_cache_without_symlinks_saves_the_download(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = hub.add("acme/c", {"w.bin": DATA}).commit
    folder = tmp_path / "hub" / "models--acme--c" / "snapshots" / commit
    folder.mkdir(parents=True)
    (folder / "w.bin").write_bytes(DATA)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    with manager_in(tmp_path) as manager:
        (change,) = manager.install(["hf://acme/c"]).changes
        assert change.downloaded == 0
        assert names(manager.store) == {NAME}


def test_what_a_view_has_is_taken_before_the_network(tmp_path: Path) -> None:
    with manager_in(tmp_path) as manager:
        spec = folder_of(tmp_path / "m", {"a.bin": DATA, "b.json": b"{}"})
        model = manager.install(spec)
        for name in names(manager.store):
            manager.store.blob(name).unlink()
        (model.folder / "b.json").unlink()
        (change,) = manager.install([spec]).changes
        assert change.downloaded == 2
        assert (model.folder / "b.json").read_bytes() == b"{}"
        assert (model.folder / "a.bin").read_bytes() == DATA


def test_a_bundle_is_written_from_a_view_whose_store_is_gone(tmp_path: Path) -> None:
    with manager_in(tmp_path) as manager:
        manager.install(folder_of(tmp_path / "m", {"a.bin": DATA}))
        manager.store.blob(NAME).unlink()
        (bundle,) = manager.bundle(tmp_path / "b.tar")
        assert bundle.stat().st_size > len(DATA)
