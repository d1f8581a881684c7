"""Repair: the price of the damage, and nothing lost on the way."""

import hashlib
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

import modelpm
from modelpm.environment.environment import Environment
from modelpm.environment.view import View
from modelpm.errors import ModelpmError
from modelpm.results.installed import InstalledModel
from tests.support.hub import Hub
from tests.support.models import PIECE, folder_of, manager_in
from tests.support.projects import project_with
from tests.support.stores import damage

DATA = os.urandom(2 * PIECE + 12_345)


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> modelpm.Manager:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return manager_in(tmp_path)


@pytest.fixture
def installed(manager: modelpm.Manager, tmp_path: Path) -> InstalledModel:
    return manager.install(folder_of(tmp_path / "m", {"m.bin": DATA}))


def blob_of(manager: modelpm.Manager, model: InstalledModel) -> Path:
    return manager.store.blob(model.files[0].sha256)


def mended(manager: modelpm.Manager, model: InstalledModel) -> int:
    """Repair; return the bytes that were fetched, after all is good again."""
    (row,) = manager.verify(repair=True).rows
    assert (row.ok, row.repaired) == (True, True)
    assert model.path.read_bytes() == DATA
    assert blob_of(manager, model).samefile(model.path)
    assert [row.ok for row in manager.verify().rows] == [True]
    assert not list((manager.store.root / "partial").iterdir())
    return row.downloaded


@pytest.mark.parametrize("offset", [0, PIECE - 1, PIECE, len(DATA) - 1])
def test_one_flipped_bit_costs_at_most_two_pieces(
    manager: modelpm.Manager, installed: InstalledModel, offset: int
) -> None:
    damage(blob_of(manager, installed), offset)
    assert "digest" in manager.verify().rows[0].problem
    assert 0 < mended(manager, installed) <= (2 * PIECE if offset < 2 * PIECE else 2 * 12_345)


def test_scattered_damage_costs_its_pieces(manager: modelpm.Manager, installed: InstalledModel) -> None:
    for piece in (0, 2):
        damage(blob_of(manager, installed), piece * PIECE + 11)
    assert mended(manager, installed) < PIECE + (4 << 20)


@pytest.mark.parametrize("size", [0, PIECE + 1, len(DATA) - 1])
def test_a_truncated_blob_costs_what_is_missing(manager: modelpm.Manager, installed: InstalledModel, size: int) -> None:
    blob = blob_of(manager, installed)
    blob.chmod(0o644)
    os.truncate(blob, size)
    assert "size" in manager.verify().rows[0].problem
    assert mended(manager, installed) <= len(DATA) - size + PIECE


def test_a_grown_blob_is_cut(manager: modelpm.Manager, installed: InstalledModel) -> None:
    blob = blob_of(manager, installed)
    blob.chmod(0o644)
    with blob.open("ab") as file:
        file.write(b"more")
    assert mended(manager, installed) == 0


def test_zeros_are_found_and_fetched(manager: modelpm.Manager, installed: InstalledModel) -> None:
    blob = blob_of(manager, installed)
    facts = blob.stat()
    blob.chmod(0o644)
    with blob.open("r+b") as file:
        file.write(bytes(PIECE))
    os.utime(blob, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert mended(manager, installed) <= 2 * PIECE


def test_a_missing_blob_is_fetched_whole(manager: modelpm.Manager, installed: InstalledModel) -> None:
    blob_of(manager, installed).unlink()
    installed.path.unlink()
    assert manager.verify().rows[0].problem == "missing"
    assert len(DATA) <= mended(manager, installed) < len(DATA) + PIECE


def test_a_broken_view_costs_nothing(manager: modelpm.Manager, installed: InstalledModel) -> None:
    installed.path.unlink()
    (row,) = manager.verify().rows
    assert row.only_shown_badly
    assert "not in the view" in row.problem
    assert mended(manager, installed) == 0


def test_a_blob_without_prefix_digests_is_fetched_again(manager: modelpm.Manager, installed: InstalledModel) -> None:
    damage(blob_of(manager, installed))
    manager.store.layout.record(installed.files[0].sha256).unlink()
    assert mended(manager, installed) < len(DATA) + PIECE


def test_where_nothing_can_be_fetched_the_damaged_bytes_stay(
    manager: modelpm.Manager, installed: InstalledModel, tmp_path: Path
) -> None:
    blob = blob_of(manager, installed)
    damage(blob, PIECE)
    before = blob.read_bytes()
    source = tmp_path / "m" / "m.bin"
    source.rename(tmp_path / "away")
    (row,) = manager.verify(repair=True).rows
    assert not row.ok
    assert "could not be repaired" in row.problem
    assert blob.read_bytes() == before
    assert not manager.store.has(installed.files[0].sha256, len(DATA))
    (tmp_path / "away").rename(source)
    assert mended(manager, installed) <= 2 * PIECE


def test_what_is_interrupted_is_gone_on_with(manager: modelpm.Manager, installed: InstalledModel) -> None:
    for piece in range(3):
        damage(blob_of(manager, installed), piece * PIECE)
    cancelled = threading.Event()
    with pytest.raises(ModelpmError) as caught:
        manager.verify(repair=True, cancelled=cancelled, on_progress=lambda _: cancelled.set())
    assert caught.value.code == "interrupted"
    assert mended(manager, installed) <= 5 * PIECE


def test_install_mends_what_its_quick_look_finds_damaged(
    manager: modelpm.Manager, installed: InstalledModel, tmp_path: Path
) -> None:
    blob = blob_of(manager, installed)
    blob.chmod(0o644)
    with blob.open("r+b") as file:
        file.seek(PIECE)
        file.write(b"somebody was here")
    report = manager.install([f"file://{tmp_path / 'm'}"])
    (change,) = report.changes
    assert change.action == "install"
    assert 0 < change.downloaded <= 2 * PIECE
    assert installed.path.read_bytes() == DATA
    assert manager.verify().rows[0].ok


def test_a_restored_backup_is_hashed_and_not_fetched(
    manager: modelpm.Manager, installed: InstalledModel, tmp_path: Path
) -> None:
    os.utime(blob_of(manager, installed), ns=(1, 1))
    assert not manager.is_installed(installed.name)
    report = manager.install([f"file://{tmp_path / 'm'}"])
    assert [c.downloaded for c in report.changes] == [0]
    assert manager.is_installed(installed.name)


def test_a_project_that_shows_the_same_blob_is_mended_too(
    manager: modelpm.Manager, installed: InstalledModel, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    other = Environment("project", project / "models.lock", View(project / "models", manager.store), manager.store)
    (model,) = manager.environment.read().models
    other.put(replace(model, name="mine"))
    other.register()
    damage(blob_of(manager, installed), 9)
    mended(manager, installed)
    assert (project / "models" / "mine" / "m.bin").read_bytes() == DATA


def test_a_mirror_that_lies_is_left_for_one_that_does_not(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    data = DATA[: PIECE + 5]
    repo = hub.add("acme/m", {"m.bin": data})
    folder_of(tmp_path / "liar" / f"m@{repo.commit}", {"m.bin": bytes(len(data))})
    with manager_in(tmp_path) as manager:
        model = manager.install("hf://acme/m")
    (tmp_path / "home" / "config.toml").write_text(f'[mirrors]\n"hf://acme/" = ["file://{tmp_path / "liar"}/"]\n')
    with manager_in(tmp_path) as manager:
        damage(blob_of(manager, model), 3)
        (row,) = manager.verify(repair=True).rows
        assert row.ok, row.problem
        assert row.downloaded <= 3 * PIECE
        assert hashlib.sha256(model.path.read_bytes()).hexdigest() == model.files[0].sha256


def test_a_project_in_the_middle_of_a_merge_is_mended_too(
    manager: modelpm.Manager, installed: InstalledModel, tmp_path: Path
) -> None:
    (model,) = manager.environment.read().models
    other = project_with(manager, tmp_path / "project")
    other.put(model)
    other.lock_path.write_text("<<<<<<< ours\n")
    damage(blob_of(manager, installed), 9)
    assert manager.verify(repair=True).rows[0].ok
    assert other.view.file(model.name, "m.bin").read_bytes() == DATA
    assert manager.warnings == ()
