"""Prune: what nobody holds goes, what anybody may hold stays, and nothing is guessed."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import modelpm
from modelpm.environment.environment import Environment
from modelpm.environment.view import View
from modelpm.errors import StoreError, UsageError
from modelpm.lockfile.file import Lock
from modelpm.operations.prune import Limits
from modelpm.store.blobs import records
from modelpm.store.gc import registry
from tests.support.models import folder_of, manager_in, names
from tests.support.stores import put, sha256

DAY = 86_400


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> modelpm.Manager:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return manager_in(tmp_path)


def aged(manager: modelpm.Manager, data: bytes, days: float) -> str:
    """Store bytes that nobody needs, committed so long ago."""
    name = put(manager.store, data)
    record = manager.store.layout.record(name)
    known = json.loads(record.read_text())
    record.write_text(json.dumps({**known, "committed_at": int(time.time() - days * DAY)}))
    return name


def project_of(manager: modelpm.Manager, folder: Path, name: str) -> Environment:
    """Make a project that synced a model of the user's."""
    folder.mkdir()
    made = Environment("project", folder / "models.lock", View(folder / "models", manager.store), manager.store)
    model = manager.environment.read().get(name)
    assert model is not None
    made.put(model)
    made.register()
    return made


def test_what_is_installed_stays_and_the_rest_goes(manager: modelpm.Manager, tmp_path: Path) -> None:
    model = manager.install(folder_of(tmp_path / "m", {"a.bin": b"a" * 5000, "config.json": b"{}"}))
    stray = put(manager.store, b"nobody's" * 1000)
    before = manager.maintenance.prune(dry_run=True)
    assert [item.path.name for item in before.removed] == [stray]
    assert stray in names(manager.store)
    done = manager.maintenance.prune()
    assert (done.freed, before.freed) == (8192, 8192)
    assert names(manager.store) == {f.sha256 for f in model.files}
    assert manager.verify().rows[0].ok


def test_a_project_that_synced_holds_its_blobs(manager: modelpm.Manager, tmp_path: Path) -> None:
    model = manager.install(folder_of(tmp_path / "m", {"a.bin": b"a" * 5000}))
    project = project_of(manager, tmp_path / "p", model.name)
    change = manager.uninstall(model.name).changes[0]
    assert str(project.lock_path) in change.note
    assert change.freed == 0
    manager.maintenance.prune()
    assert names(manager.store) == {f.sha256 for f in model.files}
    assert (tmp_path / "p/models" / model.name / "a.bin").read_bytes() == b"a" * 5000


def test_a_vanished_project_is_told_and_kept_until_it_was_not_seen_for_long(
    manager: modelpm.Manager, tmp_path: Path
) -> None:
    model = manager.install(folder_of(tmp_path / "m", {"a.bin": b"a" * 5000}))
    project = project_of(manager, tmp_path / "p", model.name)
    manager.uninstall(model.name)
    project.lock_path.unlink()
    (note,) = manager.maintenance.prune().notes
    assert str(project.lock_path) in note
    assert "90 days more" in note
    assert names(manager.store)
    (record,) = [r for r in registry.listing(manager.store.layout) if r.root.kind == "project"]
    registry.save(manager.store.layout, replace(record, seen=int(time.time() - 89 * DAY)))
    assert "1 day more" in manager.maintenance.prune().notes[0]
    registry.save(manager.store.layout, replace(record, seen=int(time.time() - 91 * DAY)))
    (note,) = manager.maintenance.prune().notes
    assert "no longer counts" in note
    assert str(project.lock_path) in note
    assert not names(manager.store)
    assert [r.root.kind for r in registry.listing(manager.store.layout)] == ["user"]


def test_a_project_that_came_back_counts_again(manager: modelpm.Manager, tmp_path: Path) -> None:
    model = manager.install(folder_of(tmp_path / "m", {"a.bin": b"a" * 5000}))
    project = project_of(manager, tmp_path / "p", model.name)
    manager.uninstall(model.name)
    project.lock_path.rename(tmp_path / "away")
    manager.maintenance.prune()
    (tmp_path / "away").rename(project.lock_path)
    assert manager.maintenance.prune().notes == ()
    assert names(manager.store)


@pytest.mark.parametrize(
    "text", ["", "version = 1\n[[model]]\nname =", "<<<<<<< ours\n", "version = 99\n", "\x00" * 300]
)
def test_a_lock_that_says_less_than_it_did_holds_what_it_held_and_stops_nothing(
    manager: modelpm.Manager, tmp_path: Path, text: str
) -> None:
    model = manager.install(folder_of(tmp_path / "m", {"a.bin": b"a" * 5000}))
    project = project_of(manager, tmp_path / "p", model.name)
    stray = put(manager.store, b"nobody's")
    project.lock_path.write_text(text)
    for _ in range(2):  # pruning remembers what it finds
        manager.maintenance.prune()
        assert names(manager.store) == {model.files[0].sha256}
    assert stray not in names(manager.store)
    assert str(project.lock_path) in manager.uninstall(model.name).changes[0].note
    assert names(manager.store) == {model.files[0].sha256}
    assert manager.warnings == ()


def test_a_registry_entry_that_was_damaged_stops_it_too(manager: modelpm.Manager, tmp_path: Path) -> None:
    manager.install(folder_of(tmp_path / "m", {"a.bin": b"a" * 5000}))
    (entry,) = manager.store.layout.projects.glob("*.json")
    entry.write_bytes(b"")
    with pytest.raises(StoreError) as caught:
        manager.maintenance.prune()
    assert str(entry) in str(caught.value)


def test_a_hand_edited_lock_holds_what_it_says(manager: modelpm.Manager, tmp_path: Path) -> None:
    model = manager.install(folder_of(tmp_path / "m", {"a.bin": b"a" * 5000}))
    project = project_of(manager, tmp_path / "p", model.name)
    project.lock_path.write_text("# mine\n" + project.lock_path.read_text().replace('"', "'"))
    manager.uninstall(model.name)
    manager.maintenance.prune()
    assert names(manager.store)


def test_an_age_spares_what_is_younger(manager: modelpm.Manager) -> None:
    old, new = aged(manager, b"old", 100), aged(manager, b"new", 10)
    assert {i.path.name for i in manager.maintenance.prune(older_than="90d").removed} == {old}
    assert names(manager.store) == {new}


def test_a_size_frees_the_longest_unused_first_and_no_more(manager: modelpm.Manager) -> None:
    old, middle, new = (aged(manager, bytes([n]) * 10_000, 30 - n) for n in range(3))
    done = manager.maintenance.prune(max_size="24K")
    assert [i.path.name for i in done.removed] == [old]
    assert names(manager.store) == {middle, new}


def test_a_size_that_cannot_be_reached_is_said(manager: modelpm.Manager, tmp_path: Path) -> None:
    manager.install(folder_of(tmp_path / "m", {"a.bin": b"a" * 50_000}))
    done = manager.maintenance.prune(max_size="1K")
    assert not done.removed
    assert "stays above" in done.notes[-1]


def test_a_clock_that_was_set_back_makes_nothing_old(manager: modelpm.Manager) -> None:
    name = aged(manager, b"from the future", -4000)
    assert not manager.maintenance.prune(older_than="1d").removed
    assert names(manager.store) == {name}


def test_unfinished_downloads_go_by_age(manager: modelpm.Manager) -> None:
    manager.store.open()
    for name, days in (("a" * 64, 20), ("b" * 64, 2)):
        folder = manager.store.partial(name)
        folder.mkdir()
        (folder / "data").write_bytes(b"x" * 9000)
        for path in (folder / "data", folder):
            os.utime(path, (time.time() - days * DAY,) * 2)
    done = manager.maintenance.prune()
    assert [(i.kind, i.path.name, i.bytes) for i in done.removed] == [("partial", "a" * 64, 12288)]
    assert [i.path.name for i in manager.maintenance.prune(older_than="1d").removed] == ["b" * 64]


def test_a_download_under_way_is_left_alone(manager: modelpm.Manager) -> None:
    manager.store.open()
    folder = manager.store.partial("a" * 64)
    folder.mkdir()
    os.utime(folder, (0, 0))
    with manager.store.lock("a" * 64):
        assert not manager.maintenance.prune(older_than="0d").removed
    assert manager.maintenance.prune(older_than="0d").removed


def test_what_was_set_aside_goes_by_age(manager: modelpm.Manager) -> None:
    name = put(manager.store, b"wrong")
    path = manager.store.quarantine(manager.store.blob(name), "0" * 64, name)
    assert not manager.maintenance.prune().removed
    os.utime(path, (0, 0))
    assert [i.kind for i in manager.maintenance.prune().removed] == ["quarantine"]


def test_it_waits_for_nobody_for_ever_and_says_who_is_at_work(manager: modelpm.Manager) -> None:
    stray = put(manager.store, b"nobody's")
    with manager.store.lock("store", shared=True), pytest.raises(StoreError) as caught:
        manager.maintenance.prune(waiting=lambda _holder: False)
    assert caught.value.code == "lock_timeout"
    assert f"process {os.getpid()}" in str(caught.value)
    assert stray in names(manager.store)


def test_a_running_install_holds_its_blobs_where_locks_keep_nobody_out(manager: modelpm.Manager) -> None:
    held, free = aged(manager, b"held", 1), aged(manager, b"free", 1)
    manager.store.locks_work = False
    with manager.store.lease([held]):
        late = put(manager.store, b"came while it runs")
        manager.maintenance.prune()
        assert names(manager.store) == {held, late}
    assert free not in names(manager.store)
    manager.maintenance.prune()
    assert not names(manager.store)


def test_a_lease_ends_with_its_process(manager: modelpm.Manager) -> None:
    held = put(manager.store, b"held")
    script = (
        "import os, sys; from pathlib import Path; from modelpm.store import Store\n"
        f"with Store(Path({str(manager.store.root)!r})).lease([{held!r}]): os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script], check=False)
    assert len(list(manager.store.layout.leases.iterdir())) == 1
    manager.maintenance.prune()
    assert not names(manager.store)
    assert not list(manager.store.layout.leases.iterdir())


def test_a_blob_that_a_folder_elsewhere_shows_frees_nothing(manager: modelpm.Manager, tmp_path: Path) -> None:
    name = put(manager.store, b"x" * 9000)
    os.link(manager.store.blob(name), tmp_path / "mine")
    done = manager.maintenance.prune()
    assert (len(done.removed), done.freed) == (1, 0)
    assert (tmp_path / "mine").read_bytes() == b"x" * 9000


@pytest.mark.parametrize(("age", "size"), [("90x", ""), ("", "12Q"), ("-1d", ""), ("", "all"), ("1" * 30, "")])
def test_limits_that_are_none_are_refused(age: str, size: str) -> None:
    with pytest.raises(UsageError, match=r"is not (an age|a size) like|has no unit"):
        Limits.parse(age, size)


def test_limits_are_read() -> None:
    assert Limits.parse("12h", "1.5G") == Limits(43_200.0, 3 << 29)
    assert Limits.parse("2d", "100") == Limits(2.0 * DAY, 100)
    assert Limits.parse() == Limits()


def test_an_empty_lock_holds_nothing(manager: modelpm.Manager, tmp_path: Path) -> None:
    model = manager.install(folder_of(tmp_path / "m", {"a.bin": b"a" * 5000}))
    change = manager.uninstall(model.name).changes[0]
    assert (change.freed, change.note) == (8192, "")
    assert manager.environment.read() == Lock(texts={}) or not manager.environment.read().models
    assert not names(manager.store)
    assert records.read(manager.store.layout.record(sha256(b"a" * 5000))) is None


def test_an_install_on_another_machine_holds_its_blobs_for_a_time(manager: modelpm.Manager) -> None:
    held = put(manager.store, b"held")
    with manager.store.lease([held]):
        (path,) = manager.store.layout.leases.iterdir()
        lease = json.loads(path.read_text())
        path.write_text(json.dumps({**lease, "host": "elsewhere", "pid": 1, "start": ""}))
        manager.maintenance.prune()
        assert names(manager.store) == {held}
        path.write_text(json.dumps({**lease, "host": "elsewhere", "since": lease["since"] - 365 * DAY}))
        manager.maintenance.prune()
        assert not names(manager.store)


def test_where_locks_keep_nobody_out_only_old_downloads_are_let_go(manager: modelpm.Manager) -> None:
    manager.store.open()
    for name, age in (("a" * 64, 0.5), ("b" * 64, 3)):
        folder = manager.store.partial(name)
        folder.mkdir()
        (folder / "data").write_bytes(b"x")
        for path in (folder / "data", folder):
            os.utime(path, (time.time() - age * DAY,) * 2)
    manager.store.locks_work = False
    manager.maintenance.prune(older_than="1h")
    left = {p.name for p in manager.store.layout.partials.iterdir()}
    assert left == {"a" * 64}


def test_what_takes_the_space_is_told_with_what_is_unfinished(manager: modelpm.Manager, tmp_path: Path) -> None:
    manager.install(folder_of(tmp_path / "m", {"m.bin": b"m" * 5000}))
    project = project_of(manager, tmp_path / "p", "m")
    folder = manager.store.partial("a" * 64)
    folder.mkdir()
    (folder / "data").write_bytes(b"x" * 300)
    found = {(s.kind, s.name): s.files for s in manager.maintenance.sizes()}
    assert found == {("shared", ""): 1, ("partial", ""): 1}
    project.lock_path.write_text("<<<<<<< ours\n")  # a sum needs less than what frees
    assert {(s.kind, s.name) for s in manager.maintenance.sizes()} == {("model", "m"), ("partial", "")}


def killed_in(folder: Path) -> Path:
    """Leave in a folder what a process that is killed while it copies leaves there."""
    script = (
        "import sys, os, signal; from pathlib import Path; from modelpm.disk.atomic import temporary\n"
        "draft = temporary(Path(sys.argv[1])); draft.write_bytes(b'x' * 50_000); print(draft, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    ran = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=False)
    return Path(ran.stdout.strip())


def test_drafts_of_killed_processes_go_with_the_next_prune(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with manager_in(tmp_path) as manager:
        model = manager.install(folder_of(tmp_path / "m", {"a.bin": b"a" * 5000}))
        project = project_of(manager, tmp_path / "p", model.name)
        view = manager.environment.view.folder(model.name)
        partials = manager.store.layout.partials
    drafts = [killed_in(folder) for folder in (view, partials)]
    (view / ".modelpm-mine.txt").write_bytes(b"somebody's")
    (view / ".modelpm-link.tmp").symlink_to(tmp_path / "m" / "a.bin")
    command = "import sys, modelpm; h = modelpm.Manager(home=sys.argv[1]).maintenance\n"
    size = "print(sum(s.bytes for s in h.sizes() if s.kind == 'draft'))\n"
    prune = "print(len(h.prune(dry_run=True).removed), len(h.prune().removed))"
    ran = subprocess.run(
        [sys.executable, "-c", command + size + prune, str(home)], capture_output=True, text=True, check=True
    )
    assert int(ran.stdout.split()[0]) >= 50_000
    assert ran.stdout.split()[1:] == ["2", "2"]
    assert not any(draft.exists() for draft in drafts)
    assert sorted(p.name for p in view.iterdir()) == [".modelpm-link.tmp", ".modelpm-mine.txt", "a.bin"]
    assert project.lock_path.exists()


def test_the_model_that_is_brought_again_takes_its_dead_drafts_along(tmp_path: Path) -> None:
    with manager_in(tmp_path) as manager:
        spec = folder_of(tmp_path / "m", {"a.bin": b"a" * 5000})
        model = manager.install(spec)
        view = manager.environment.view.folder(model.name)
    draft = killed_in(view)
    (view / "a.bin").unlink()
    script = "import sys, modelpm; modelpm.Manager(home=sys.argv[1]).install(sys.argv[2])"
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "home"), spec], check=True)
    assert not draft.exists()
    assert [p.name for p in view.iterdir()] == ["a.bin"]
