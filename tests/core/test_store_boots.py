"""After a boot that did not end cleanly the last commits are looked at once more, by verbs that change something."""

import struct
import time
from pathlib import Path

import pytest

import modelpm
from modelpm.disk import system
from modelpm.store.gc import crash
from tests.support.models import folder_of, manager_in
from tests.support.stores import damage

ENTRY = struct.Struct("<h42x32s308x")
SHUTDOWN, BOOT, LOGIN = (1, b"shutdown"), (2, b"reboot"), (7, b"me")


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> modelpm.Manager:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr(crash, "_WTMP", tmp_path / "wtmp")
    made = manager_in(tmp_path)
    made.install(folder_of(tmp_path / "m", {"m.gguf": b"m" * 5000}))
    made.install(folder_of(tmp_path / "n", {"n.gguf": b"n" * 5000}))
    return made


@pytest.fixture
def crashed(manager: modelpm.Manager, monkeypatch: pytest.MonkeyPatch) -> modelpm.Manager:
    monkeypatch.setattr(system, "boot_id", lambda: "another boot")
    return manager


def suspects(manager: modelpm.Manager) -> set[str]:
    return {sha256 for sha256, _ in crash.suspects(manager.store.layout)}


def blob(manager: modelpm.Manager, name: str) -> str:
    return next(m for m in manager.installed() if m.name == name).files[0].sha256


def test_in_the_same_boot_nothing_is_doubted(manager: modelpm.Manager) -> None:
    assert suspects(manager) == set()


def test_what_the_crash_cost_is_found_once_and_mended(crashed: modelpm.Manager, tmp_path: Path) -> None:
    damage(crashed.store.blob(blob(crashed, "m")))
    assert crashed.path("m").exists()
    assert len(crashed.installed()) == 2
    assert suspects(crashed) == {blob(crashed, "m"), blob(crashed, "n")}
    crashed.install(folder_of(tmp_path / "o", {"o.gguf": b"o"}))
    assert not crashed.is_installed("m")
    assert crashed.is_installed("n")
    assert suspects(crashed) == set()
    (change,) = crashed.install([f"file://{tmp_path / 'm'}"]).changes
    assert change.action == "install"
    assert crashed.path("m").read_bytes() == b"m" * 5000


def test_it_is_said(crashed: modelpm.Manager, tmp_path: Path) -> None:
    damage(crashed.store.blob(blob(crashed, "m")))
    report = crashed.install([folder_of(tmp_path / "o", {"o.gguf": b"o"})])
    assert any("verify --repair" in warning for warning in report.warnings)


def test_a_commit_that_the_boot_outlived_by_ten_minutes_is_not_doubted(crashed: modelpm.Manager) -> None:
    path = crashed.store.layout.boot
    boot, _ = path.read_text().split()
    path.write_text(f"{boot} {int(time.time()) + 601}\n")
    assert suspects(crashed) == set()


@pytest.mark.parametrize("text", ["", "nonsense", "a b c", "\x00" * 40])
def test_a_damaged_note_doubts_nothing_and_stops_nobody(crashed: modelpm.Manager, text: str) -> None:
    crashed.store.layout.boot.write_text(text)
    assert suspects(crashed) == set()


@pytest.mark.parametrize(
    ("events", "clean"),
    [
        ([BOOT, LOGIN, SHUTDOWN, BOOT, LOGIN], True),
        ([BOOT, LOGIN, BOOT, LOGIN], False),
        ([BOOT, SHUTDOWN, BOOT, LOGIN, BOOT], False),
        ([BOOT, LOGIN], False),
        ([], False),
    ],
)
def test_the_systems_log_says_how_a_boot_ended(tmp_path: Path, events: list[tuple[int, bytes]], clean: bool) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"".join(ENTRY.pack(*event) for event in events))
    assert crash.ended_cleanly(path) is clean
    assert crash.ended_cleanly(tmp_path / "none") is False


def test_after_a_clean_end_nothing_is_doubted(crashed: modelpm.Manager, tmp_path: Path) -> None:
    (tmp_path / "wtmp").write_bytes(b"".join(ENTRY.pack(*event) for event in (BOOT, SHUTDOWN, BOOT)))
    assert suspects(crashed) == set()
