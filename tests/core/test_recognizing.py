"""Bytes that are here are believed after one hash: copied views, lost stores, images, restored modes."""

import hashlib
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from modelpm.store import Store
from tests.conftest import Ran
from tests.support.stores import damage, fixed, tmpfs

Modelpm = Callable[..., Ran]
QUIET = (("path", "m"), ("list",), ("sync", "--frozen"), ("sync", "--locked"), ("sync", "--frozen", "--check"))
CHECKS = (("sync", "--frozen", "--offline"), ("verify", "--quick"), ("verify",), ("path", "m", "--ensure"))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a home and a project whose model's source is gone."""
    folder = tmp_path / "place"
    (folder / "app").mkdir(parents=True)
    return folder


def env(folder: Path) -> dict[str, str]:
    return {"MODELPM_HOME": str(folder / "home")}


def project(modelpm: Modelpm, folder: Path, *options: str) -> Path:
    source = folder.parent / "source"
    source.mkdir()
    for name in ("a.bin", "b.json"):
        (source / name).write_bytes(name.encode() * 9000)
    app = folder / "app"
    assert modelpm("init", cwd=app, env=env(folder)).code == 0
    ran = modelpm("add", f"file://{source}", "--as", "m", *options, cwd=app, env=env(folder))
    assert ran.code == 0, ran.stderr
    shutil.rmtree(source)
    return app


def copied(source: Path, target: Path) -> Path:
    """Copy a folder as an image does that is built here and run there: all is the same but for the inodes."""
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)
    return target


def every(modelpm: Modelpm, app: Path, folder: Path) -> None:
    for words in (*QUIET, *CHECKS):
        ran = modelpm(*words, cwd=app, env=env(folder))
        assert ran.code == 0, (words, ran.stderr)
        if words[0] == "sync" and "--check" not in words:
            assert "Nothing to do" in ran.stderr + ran.stdout


@pytest.mark.parametrize("kind", ["hardlink", "copy"])
@pytest.mark.parametrize("ledger", [True, False])
def test_a_view_that_was_copied_without_its_store_is_complete(
    modelpm: Modelpm, place: Path, tmp_path: Path, kind: str, ledger: bool
) -> None:
    built = project(modelpm, place) if kind == "hardlink" else project(modelpm, place, "--link-mode", "copy")
    stage = tmp_path / "stage"
    stage.mkdir()
    app = copied(built, stage / "app")
    if not ledger:
        (app / "models" / ".modelpm.json").unlink()
    shutil.rmtree(place)
    every(modelpm, app, stage)
    assert not list(Store(stage / "home" / "store").blobs())


def test_a_view_without_a_store_is_hashed_once(modelpm: Modelpm, place: Path) -> None:
    app = project(modelpm, place)
    shutil.rmtree(place / "home" / "store")
    ran = modelpm("sync", "--frozen", cwd=app, env=env(place))
    assert ran.code == 0, ran.stderr
    damage(app / "models" / "m" / "a.bin")  # only reading would tell
    assert modelpm("sync", "--frozen", cwd=app, env=env(place)).code == 0
    assert modelpm("verify", "--quick", cwd=app, env=env(place)).code == 0
    assert modelpm("verify", cwd=app, env=env(place)).code == 4


@pytest.mark.parametrize("victim", ["a.bin", "b.json"])
def test_a_view_without_a_store_that_differs_is_not_complete(modelpm: Modelpm, place: Path, victim: str) -> None:
    app = project(modelpm, place)
    shutil.rmtree(place / "home" / "store")
    damage(app / "models" / "m" / victim)
    assert modelpm("verify", "--quick", cwd=app, env=env(place)).code == 4
    assert modelpm("sync", "--frozen", "--check", cwd=app, env=env(place)).code == 3
    assert modelpm("path", "m", cwd=app, env=env(place)).code == 5
    assert modelpm("sync", "--frozen", "--offline", cwd=app, env=env(place)).code != 0


def test_a_view_without_a_store_can_be_taken_out(modelpm: Modelpm, place: Path, tmp_path: Path) -> None:
    built = project(modelpm, place)
    (tmp_path / "stage").mkdir()
    app = copied(built, tmp_path / "stage" / "app")
    assert modelpm("sync", cwd=app, env=env(tmp_path / "stage")).code == 0
    assert modelpm("remove", "m", cwd=app, env=env(tmp_path / "stage")).code == 0
    assert not (app / "models" / "m").exists()


def test_a_copied_view_moves_on_to_another_lock(modelpm: Modelpm, place: Path, tmp_path: Path) -> None:
    source = place.parent / "one.bin"
    source.write_bytes(b"old" * 5000)
    app = place / "app"
    assert modelpm("init", cwd=app, env=env(place)).code == 0
    assert modelpm("add", f"file://{source}", "--as", "m", cwd=app, env=env(place)).code == 0
    stage = tmp_path / "stage"
    stage.mkdir()
    there = copied(app, stage / "app")
    source.write_bytes(b"new" * 5000)
    assert modelpm("upgrade", cwd=app, env=env(place)).code == 0
    shutil.copy(app / "models.lock", there)
    ran = modelpm("sync", "--frozen", cwd=there, env=env(stage))
    assert ran.code == 0, ran.stderr
    assert (there / "models" / "m" / "one.bin").read_bytes() == b"new" * 5000
    # A file of the user's own is never replaced, whatever the ledger says.
    (there / "models" / "m" / "one.bin").unlink()
    (there / "models" / "m" / "one.bin").write_bytes(b"mine")
    assert modelpm("sync", "--frozen", cwd=there, env=env(stage)).code == 8


def test_an_image_with_new_inodes_on_a_read_only_root_needs_no_write(modelpm: Modelpm, tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "16m") as disk:
        (disk / "built" / "app").mkdir(parents=True)
        project(modelpm, disk / "built")
        assert modelpm("install", "tiny", env=env(disk / "built")).code == 0
        pulled = copied(disk / "built", disk / "pulled")
        shutil.rmtree(disk / "built")
        pulled.rename(disk / "built")
        home = disk / "built"
        with fixed(disk):
            every(modelpm, home / "app", home)
            for words in (("install", "tiny"), ("path", "--ensure", "tiny"), ("install", "tiny", "--offline")):
                ran = modelpm(*words, env=env(home))
                assert ran.code == 0, (words, ran.stderr)
            ran = modelpm("sync", "--frozen", cwd=home / "app", env=env(home))
            assert "cannot be kept" in ran.stderr
            assert modelpm("install", "tiny", "--as", "more", env=env(home)).code == 8


def test_a_store_that_was_restored_with_other_modes_is_sealed_again(modelpm: Modelpm, place: Path) -> None:
    app = project(modelpm, place)
    store = Store(place / "home" / "store")
    blobs = [store.blob(sha256) for sha256, _ in store.blobs()]
    for blob in blobs:
        blob.chmod(0o644)
    assert modelpm("sync", "--frozen", "--offline", cwd=app, env=env(place)).code == 0
    assert {stat.S_IMODE(blob.stat().st_mode) for blob in blobs} == {0o444}
    assert modelpm("doctor", "--offline", env=env(place)).code == 0


def records(folder: Path) -> dict[str, int]:
    """Return when each record was last written: a hash renews it."""
    found = (folder / "home" / "store" / "meta").rglob("*.json")
    return {path.name: path.stat().st_mtime_ns for path in found}


def test_views_that_come_and_go_cost_no_hash(modelpm: Modelpm, place: Path, tmp_path: Path) -> None:
    app = project(modelpm, place)
    other = tmp_path / "other"
    shutil.copytree(app, other, ignore=shutil.ignore_patterns("models"))
    store = Store(place / "home" / "store")
    assert modelpm("sync", "--frozen", "--offline", cwd=other, env=env(place)).code == 0
    assert modelpm("remove", "m", cwd=other, env=env(place)).code == 0
    assert all(store.has(sha256, size, exact=True) for sha256, size in store.blobs())
    assert modelpm("sync", "--frozen", "--offline", cwd=app, env=env(place)).code == 0
    shutil.rmtree(other)
    shutil.copytree(app, other, ignore=shutil.ignore_patterns("models"))
    assert modelpm("sync", "--frozen", "--offline", cwd=other, env=env(place)).code == 0
    shutil.rmtree(other)  # behind our back
    before = records(place)
    assert not any(store.has(sha256, size, exact=True) for sha256, size in store.blobs())
    for words in (("list",), ("path", "m"), ("sync", "--frozen"), ("verify", "--quick")):
        assert modelpm(*words, cwd=app, env=env(place)).code == 0
    assert records(place) == before


def test_an_edit_through_the_view_that_keeps_the_time_goes_to_no_other_project(
    modelpm: Modelpm, place: Path, tmp_path: Path
) -> None:
    assert modelpm("install", "tiny", env=env(place)).code == 0
    shown = Path(modelpm("path", "tiny", env=env(place)).stdout.strip())
    before = shown.read_bytes()
    damage(shown)
    assert modelpm("verify", "--quick", env=env(place)).code == 0
    other = tmp_path / "other"
    other.mkdir()
    (other / "models.toml").write_text('schema = 1\n[models]\nm = "core/tiny"\n')
    ran = modelpm("sync", cwd=other, env=env(place))
    assert ran.code == 0, ran.stderr
    assert (other / "models" / "m" / shown.name).read_bytes() == before
    assert shown.read_bytes() == before


def plant(path: Path) -> bytes:
    data = b"E" * path.stat().st_size
    path.unlink()
    path.write_bytes(data)
    return data


def vouching(path: Path, sha256: str, kind: str) -> None:
    """Write a ledger that says of a planted file what it would of one of ours."""
    facts = path.stat()
    entries = {f"m/{path.name}": [sha256, kind, facts.st_mtime_ns, facts.st_ino]}
    ledger = path.parent.parent / ".modelpm.json"
    ledger.write_text(json.dumps({"version": 1, "entries": entries}))


@pytest.mark.parametrize("what", ["replaced", "copy", "hardlink", "link elsewhere", "folder elsewhere", "gone"])
def test_path_gives_nothing_that_is_not_what_is_locked(
    modelpm: Modelpm, place: Path, tmp_path: Path, what: str
) -> None:
    app = project(modelpm, place)
    shown = app / "models" / "m" / "a.bin"
    facts = shown.stat()
    sha256 = hashlib.sha256(shown.read_bytes()).hexdigest()
    if what == "gone":
        shown.unlink()
    elif what == "folder elsewhere":
        shown.parent.rename(tmp_path / "elsewhere")
        plant(tmp_path / "elsewhere" / "a.bin")
        shown.parent.symlink_to(tmp_path / "elsewhere")
    elif what == "link elsewhere":
        shown.rename(tmp_path / "elsewhere")
        plant(tmp_path / "elsewhere")
        shown.symlink_to(tmp_path / "elsewhere")
    else:
        plant(shown)
        os.utime(shown, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        if what != "replaced":
            vouching(shown, sha256, what)
    for words in (("path", "m"), ("path", "m", "a.bin"), ("path", "m", "--dir")):
        ran = modelpm(*words, cwd=app, env=env(place))
        assert (ran.code, ran.stdout) == (5, ""), words
        assert "modelpm sync" in ran.stderr
    if what != "folder elsewhere":
        assert modelpm("path", "m", "b.json", cwd=app, env=env(place)).code == 0


def test_path_reads_nothing_where_the_view_links_to_the_store(modelpm: Modelpm, place: Path) -> None:
    app = project(modelpm, place)
    damage(app / "models" / "m" / "a.bin")  # only reading would tell
    assert modelpm("path", "m", cwd=app, env=env(place)).code == 0
