"""After a reboot the last commits are hashed once more, by verbs that change something."""

import time
from pathlib import Path

import pytest

import modelpm
from modelpm.disk import system
from modelpm.store.gc import crash
from tests.support.models import folder_of, manager_in
from tests.support.stores import damage


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> modelpm.Manager:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    made = manager_in(tmp_path)
    made.install(folder_of(tmp_path / "m", {"m.bin": b"m" * 5000}))
    made.install(folder_of(tmp_path / "n", {"n.bin": b"n" * 5000}))
    return made


@pytest.fixture
def rebooted(manager: modelpm.Manager, monkeypatch: pytest.MonkeyPatch) -> modelpm.Manager:
    monkeypatch.setattr(system, "boot_id", lambda: "another boot")
    return manager


def suspects(manager: modelpm.Manager) -> set[str]:
    return {sha256 for sha256, _ in crash.suspects(manager.store.layout)}


def blob(manager: modelpm.Manager, name: str) -> str:
    return next(m for m in manager.installed() if m.name == name).files[0].sha256


def test_in_the_same_boot_nothing_is_doubted(manager: modelpm.Manager) -> None:
    assert suspects(manager) == set()


def test_what_the_reboot_cost_is_found_once_and_repaired(rebooted: modelpm.Manager, tmp_path: Path) -> None:
    damage(rebooted.store.blob(blob(rebooted, "m")))
    assert rebooted.path("m").exists()
    assert len(rebooted.installed()) == 2
    assert suspects(rebooted) == {blob(rebooted, "m"), blob(rebooted, "n")}
    rebooted.install(folder_of(tmp_path / "o", {"o.bin": b"o"}))
    assert not rebooted.is_installed("m")
    assert rebooted.is_installed("n")
    assert suspects(rebooted) == set()
    (change,) = rebooted.install([f"file://{tmp_path / 'm'}"]).changes
    assert change.action == "install"
    assert rebooted.path("m").read_bytes() == b"m" * 5000


def test_it_is_said(rebooted: modelpm.Manager, tmp_path: Path) -> None:
    damage(rebooted.store.blob(blob(rebooted, "m")))
    report = rebooted.install([folder_of(tmp_path / "o", {"o.bin": b"o"})])
    assert any("verify --repair" in warning for warning in report.warnings)


def test_a_commit_that_the_boot_outlived_by_ten_minutes_is_not_doubted(rebooted: modelpm.Manager) -> None:
    path = rebooted.store.layout.boot
    boot, _ = path.read_text().split()
    path.write_text(f"{boot} {int(time.time()) + 601}\n")
    assert suspects(rebooted) == set()
    assert path.read_text().startswith("another boot ")  # the store is listed once, not by every verb


@pytest.mark.parametrize("text", ["", "nonsense", "a b c", "\x00" * 40])
def test_a_damaged_note_doubts_nothing_and_stops_nobody(rebooted: modelpm.Manager, text: str) -> None:
    rebooted.store.layout.boot.write_text(text)
    assert suspects(rebooted) == set()


def test_after_a_reboot_the_last_commits_are_hashed_once(rebooted: modelpm.Manager, tmp_path: Path) -> None:
    assert suspects(rebooted) == {blob(rebooted, "m"), blob(rebooted, "n")}
    report = rebooted.install([folder_of(tmp_path / "o", {"o.bin": b"o"})])
    assert not report.warnings
    assert suspects(rebooted) == set()
