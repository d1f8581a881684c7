"""Upgrade and outdated, where nobody promises a digest: only the bytes can tell whether they are others now."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import modelpm
from modelpm.library.project import Project
from modelpm.testing import FaultServer
from tests.support.hub import Hub

OLD, NEW = b"the first bytes " * 4096, b"the other bytes " * 4096


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer({"/dir/voice.bin": OLD}) as running:
        yield running


@pytest.fixture
def manager(tmp_path: Path) -> modelpm.Manager:
    return modelpm.Manager(home=tmp_path / "home", user="tester")


@pytest.fixture
def project(manager: modelpm.Manager, tmp_path: Path, server: FaultServer) -> Project:
    (tmp_path / "p").mkdir()
    made = manager.init(tmp_path / "p")
    made.add([server.url("/dir/voice.bin")])
    return made


def test_outdated_says_that_it_cannot_tell(manager: modelpm.Manager, server: FaultServer, project: Project) -> None:
    manager.install(server.url("/dir/voice.bin"))
    manager.install(server.url("/dir/voice.bin") + "#sha256=" + hashlib.sha256(OLD).hexdigest(), name="promised")
    manager._services.warnings.taken()  # noqa: SLF001 - told and forgotten
    server.files["/dir/voice.bin"] = NEW
    server.sent = 0
    for report in (manager.outdated(), project.outdated()):
        assert (report.rows, report.errors) == ((), ())
        (warning,) = report.warnings
        assert "cannot tell whether `voice` changed" in warning
        assert "`modelpm upgrade voice` fetches and compares" in warning
    assert server.sent < 100  # it looked, and fetched nothing
    server.files["/dir/voice.bin"] = NEW + b"!"  # that can be told
    manager._services.__dict__.pop("registry", None)  # noqa: SLF001 - as a new process
    (row,) = manager.outdated(["voice"]).rows
    assert (row.name, row.newest) == ("voice", "changed")


def test_an_upgrade_by_name_fetches_and_compares(manager: modelpm.Manager, server: FaultServer) -> None:
    made = manager.install(server.url("/dir/voice.bin"))
    manager._services.warnings.taken()  # noqa: SLF001 - told and forgotten
    report = manager.upgrade()
    assert (report.changes, len(report.warnings)) == ((), 1)
    report = manager.upgrade(["voice"])
    assert (report.changes, report.errors, report.warnings) == ((), (), ())
    assert server.sent >= 2 * len(OLD)

    server.files["/dir/voice.bin"] = NEW
    assert manager.upgrade().changes == ()
    (would,) = manager.upgrade(["voice"], dry_run=True).changes
    assert (would.action, would.digest, would.downloaded) == ("compare", None, len(NEW))
    assert made.path.read_bytes() == OLD
    report = manager.upgrade(["voice"])
    (change,) = report.changes
    assert (change.action, change.before, change.downloaded) == ("upgrade", made.digest, len(NEW))
    assert f"sha256={hashlib.sha256(NEW).hexdigest()}" in report.warnings[0]
    assert manager.path("voice").read_bytes() == NEW
    assert [row.ok for row in manager.verify().rows] == [True]


def test_a_project_upgrades_by_name_in_the_same_way(project: Project, server: FaultServer) -> None:
    lock = project.site.lock.read_text()
    report = project.upgrade(["voice"])
    assert (report.lock_action, report.errors, report.warnings) == ("unchanged", (), ())
    server.files["/dir/voice.bin"] = NEW
    report = project.upgrade()
    assert report.lock_action == "unchanged"
    assert "cannot tell whether" in report.warnings[0]
    report = project.upgrade(["voice"], dry_run=True)
    assert [(c.action, c.digest, c.bytes) for c in report.changes] == [("compare", None, len(NEW))]
    assert project.site.lock.read_text() == lock
    report = project.upgrade(["voice"])
    assert [c.action for c in report.changes] == ["lock-update", "install"]
    assert project.path("voice").read_bytes() == NEW
    assert hashlib.sha256(NEW).hexdigest() in project.site.lock.read_text()
    assert project.sync(locked=True).lock_action == "unchanged"


def test_an_upgrade_tells_both_revisions(manager: modelpm.Manager, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    old = hub.add("acme/c", {"w.gguf": OLD}).commit
    with modelpm.Manager(home=manager.config.paths.store.parent) as own:
        own.install("hf://acme/c")
    new = hub.add("acme/c", {"w.gguf": NEW}).commit
    with modelpm.Manager(home=manager.config.paths.store.parent) as own:
        (planned,) = own.upgrade(dry_run=True).changes
        (change,) = own.upgrade().changes
    assert (change.before, change.after) == (planned.before, planned.after) == (old[:12], new[:12])
