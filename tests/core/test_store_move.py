"""A store moves: verified, resumable, and every view still works."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest

from modelpm.errors import Interrupted, ModelpmError, UsageError
from modelpm.store import Store
from tests.support.codes import coded
from tests.support.models import folder_of, manager_in, names
from tests.support.projects import project_with
from tests.support.stores import damage, put, tmpfs

FILES = {"m.bin": os.urandom(70_000), "config.json": b"{}"}


@pytest.fixture(autouse=True)
def _no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


def check(folder: Path, target: Path) -> None:
    """Hold what stands against what should be after a move."""
    with manager_in(folder, offline=True) as manager:
        assert manager.config.paths.store == target
        assert all(row.ok for row in manager.verify().rows)
        for name, data in FILES.items():
            assert manager.path("m", name).read_bytes() == data
        assert not (target / "MOVING").exists()
        assert not list((folder / "home" / "store").rglob("*.json"))
        manager.uninstall("m")
        assert not names(manager.store)


@pytest.mark.parametrize("mode", ["auto", "symlink", "copy"])
def test_every_view_works_after_a_move(tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELPM_LINK_MODE", mode)
    with manager_in(tmp_path) as manager:
        manager.install(folder_of(tmp_path / "m", FILES))
        moved = manager.maintenance.move_store(tmp_path / "new")
        assert (moved.blobs, moved.bytes, moved.damaged) == (2, 70_002, ())
    assert sorted(p.name for p in (tmp_path / "home" / "store").iterdir()) == ["VERSION", "locks"]
    check(tmp_path, tmp_path / "new")


def test_it_moves_to_another_disk_and_back(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "4m") as disk:
        with manager_in(tmp_path) as manager:
            manager.install(folder_of(tmp_path / "m", FILES))
            manager.maintenance.move_store(disk / "store")
        with manager_in(tmp_path) as manager:
            assert manager.verify().rows[0].ok
            assert manager.path("m", "m.bin").read_bytes() == FILES["m.bin"]
            manager.maintenance.move_store(tmp_path / "back")
        assert sorted(p.name for p in (disk / "store").iterdir()) == ["VERSION", "locks"]
        check(tmp_path, tmp_path / "back")


def test_a_disk_that_is_too_small_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "512k") as disk, manager_in(tmp_path) as manager:
        manager.install(folder_of(tmp_path / "m", {"m.bin": os.urandom(900_000)}))
        with pytest.raises(ModelpmError) as caught:
            manager.maintenance.move_store(disk / "store")
        assert caught.value.code == "no_space"
        assert caught.value.details["needed"] == 900_000
        assert not names(Store(disk / "store"))
        assert not list((disk / "store" / "partial").iterdir())
        assert manager.verify().rows[0].ok


def test_a_move_is_followed_by_those_that_saw_the_store_before_it(tmp_path: Path) -> None:
    with manager_in(tmp_path) as manager:
        manager.install(folder_of(tmp_path / "m", FILES))
        old = manager.store.root
        early = Store(old)
        early.look()
        manager.maintenance.move_store(tmp_path / "new")
    late = Store(old)
    for store in (early, late):
        store.look()
    assert (early.root, late.root) == (tmp_path / "new", old)


def test_whoever_still_waits_for_the_old_store_is_told(tmp_path: Path) -> None:
    with manager_in(tmp_path) as waiting, manager_in(tmp_path) as manager:
        waiting.install(folder_of(tmp_path / "m", FILES))
        manager.maintenance.move_store(tmp_path / "new")
        with pytest.raises(UsageError, match=str(tmp_path / "new")) as caught, waiting.store.lock("store"):
            pass
        assert caught.value.code == "store_moved"


def test_a_damaged_blob_is_left_behind_and_named(tmp_path: Path) -> None:
    with manager_in(tmp_path) as manager:
        model = manager.install(folder_of(tmp_path / "m", FILES))
        bad = next(f.sha256 for f in model.files if f.path == "m.bin")
        damage(manager.store.blob(bad))
        assert manager.maintenance.move_store(tmp_path / "new").damaged == (bad,)
    with manager_in(tmp_path) as manager:
        assert [r.ok for r in manager.verify(repair=True).rows] == [True, True]


def test_unfinished_downloads_and_projects_come_along(tmp_path: Path) -> None:
    with manager_in(tmp_path) as manager:
        manager.install(folder_of(tmp_path / "m", FILES))
        folder = manager.store.partial("a" * 64)
        folder.mkdir()
        (folder / "data").write_bytes(b"half")
        lock = project_with(manager, tmp_path / "p").lock_path
        manager.maintenance.move_store(tmp_path / "new")
    with manager_in(tmp_path) as manager:
        assert (manager.store.partial("a" * 64) / "data").read_bytes() == b"half"
        assert str(lock) in manager.uninstall("m").changes[0].note


@pytest.mark.parametrize("where", ["home/store", "home/store/inside", "home", "m"])
def test_a_folder_that_cannot_be_it_is_refused(tmp_path: Path, where: str) -> None:
    with manager_in(tmp_path) as manager:
        manager.install(folder_of(tmp_path / "m", FILES))
        with pytest.raises(UsageError, check=coded("usage")):
            manager.maintenance.move_store(tmp_path / where)
        assert all(row.ok for row in manager.verify().rows)


def test_a_variable_that_names_the_store_is_for_the_user_to_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELPM_STORE", str(tmp_path / "mine"))
    with manager_in(tmp_path) as manager:
        manager.install(folder_of(tmp_path / "m", FILES))
        manager.maintenance.move_store(tmp_path / "new")
        assert "MODELPM_STORE" in manager.warnings[0]
    assert not (tmp_path / "home" / "config.toml").exists()


_SCRIPT = """
import os, signal, sys
from pathlib import Path
import modelpm
from modelpm.disk import system
left = int(sys.argv[3])
real = {n: getattr(system, n) for n in ("replace", "fsync", "unlink", "fsync_folder")}
def counted(name):
    def call(*a):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real[name](*a)
    return call
for name in real:
    setattr(system, name, counted(name))
modelpm.Manager(home=sys.argv[1]).maintenance.move_store(sys.argv[2])
"""


def killed(folder: Path, calls: int) -> bool:
    """Move, and die at a call that changes the disk; return whether it came to that."""
    command = [sys.executable, "-c", _SCRIPT, str(folder / "home"), str(folder / "new"), str(calls)]
    code = subprocess.run(command, check=False, env=dict(os.environ)).returncode
    assert code in (0, -signal.SIGKILL)
    return code != 0


@pytest.mark.parametrize("calls", [1, 7, 16, 29, 38, 47, 55])
def test_killed_at_any_point_the_same_command_goes_on(tmp_path: Path, calls: int) -> None:
    with manager_in(tmp_path) as manager:
        manager.install(folder_of(tmp_path / "m", FILES))
    killed(tmp_path, calls)
    with manager_in(tmp_path) as manager:
        for name, data in FILES.items():
            assert manager.path("m", name).read_bytes() == data
        if (tmp_path / "home" / "store" / "blobs").exists() or (tmp_path / "new" / "MOVING").exists():
            manager.maintenance.move_store(tmp_path / "new")
    check(tmp_path, tmp_path / "new")


@pytest.mark.marathon
@pytest.mark.timeout(600)
def test_killed_at_every_point_the_same_command_goes_on(tmp_path: Path) -> None:
    for calls in range(200):
        folder = tmp_path / str(calls)
        folder.mkdir()
        with manager_in(folder) as manager:
            manager.install(folder_of(folder / "m", FILES))
        died = killed(folder, calls)
        with manager_in(folder) as manager:
            if (folder / "home" / "store" / "blobs").exists() or (folder / "new" / "MOVING").exists():
                manager.maintenance.move_store(folder / "new")
        check(folder, folder / "new")
        if not died:
            return
    pytest.fail("it never came to an end")


def test_a_store_that_was_moved_can_be_put_to_new_use(tmp_path: Path) -> None:
    with manager_in(tmp_path) as manager:
        manager.install(folder_of(tmp_path / "m", FILES))
        manager.maintenance.move_store(tmp_path / "new")
    with pytest.raises(UsageError, match="was moved to"):
        put(Store(tmp_path / "home" / "store"), b"x")


def test_a_move_that_is_cancelled_leaves_the_store_where_it_was_and_goes_on_later(tmp_path: Path) -> None:
    cancelled, counted = Event(), list[int]()

    def on_bytes(count: int) -> None:
        counted.append(count)
        cancelled.set()

    with manager_in(tmp_path) as manager:
        manager.install(folder_of(tmp_path / "m", FILES))
        with pytest.raises(Interrupted, match="the store is where it was"):
            manager.maintenance.move_store(tmp_path / "new", cancelled=cancelled, on_bytes=on_bytes)
        assert all(row.ok for row in manager.verify().rows)
    counted.clear()
    with manager_in(tmp_path) as manager:
        assert manager.config.paths.store == tmp_path / "home" / "store"
        manager.maintenance.move_store(tmp_path / "new", on_bytes=counted.append)
    assert 0 < sum(counted) <= 70_002
    check(tmp_path, tmp_path / "new")


def test_a_manager_follows_its_store_wherever_it_goes(tmp_path: Path) -> None:
    lock = tmp_path / "p" / "models.lock"
    with manager_in(tmp_path) as manager:
        spec = folder_of(tmp_path / "m", FILES)
        manager.install(spec)
        project = manager.init(lock.parent)
        project.add([spec])
        keeper = manager.maintenance
        for place in ("one", "two"):
            assert keeper.move_store(tmp_path / place).blobs == 2
            assert all(row.ok for row in manager.verify(project=project).rows)
            assert manager.install(spec).name == "m"
            assert project.sync(check=True).lock_action == "unchanged"
            assert manager.store.root == tmp_path / place
        manager.install(folder_of(tmp_path / "n", {"n.bin": b"n"}))
        manager.uninstall("n")
    with manager_in(tmp_path, offline=True) as manager:
        assert manager.config.paths.store == tmp_path / "two"
        assert all(row.ok for row in manager.verify().rows)


def test_another_manager_follows_a_store_that_was_moved_meanwhile(tmp_path: Path) -> None:
    spec = folder_of(tmp_path / "m", FILES)
    with manager_in(tmp_path) as first, manager_in(tmp_path) as other, manager_in(tmp_path) as idle:
        other.install(spec)
        project = other.init(tmp_path / "p")
        project.add([spec])
        for place in ("one", "two"):
            first.maintenance.move_store(tmp_path / place)
        before = [path for path in (tmp_path / "home" / "store").rglob("*") if path.is_file()]
        assert project.sync(check=True).lock_action == "unchanged"
        for number, manager in enumerate((other, idle)):
            assert all(row.ok for row in manager.verify(project=project).rows)
            manager.install(folder_of(tmp_path / f"n{number}", {"n.bin": b"%d" % number}))
            manager.import_(tmp_path / "m" / next(iter(FILES)))
            assert manager.store.root == tmp_path / "two"
        project.add([f"file://{tmp_path / 'n0'}"])
        assert len(other.installed()) == 3
        assert [path for path in (tmp_path / "home" / "store").rglob("*") if path.is_file()] == before


def test_files_that_lead_round_in_a_circle_are_not_followed_for_ever(tmp_path: Path) -> None:
    with manager_in(tmp_path) as manager:
        manager.install(folder_of(tmp_path / "m", FILES))
        for here, there in (("home/store", "round"), ("round", "home/store")):
            (tmp_path / here).mkdir(exist_ok=True)
            (tmp_path / here / "VERSION").write_text(f"moved to {tmp_path / there}\n")
        with pytest.raises(UsageError, match="was moved to"):
            manager.install(folder_of(tmp_path / "n", {"n.bin": b"n"}))


@pytest.mark.parametrize("where", ["third", "new", "home/store/inside", "home/store"])
def test_a_store_that_was_moved_away_is_not_moved_again(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with manager_in(tmp_path) as manager:
        manager.install(folder_of(tmp_path / "m", FILES))
        manager.maintenance.move_store(tmp_path / "new")
    settings = (tmp_path / "home" / "config.toml").read_bytes()
    with (
        manager_in(tmp_path, store=tmp_path / "home" / "store") as manager,
        pytest.raises(UsageError, check=coded("store_moved", "usage")),
    ):
        manager.maintenance.move_store(tmp_path / where)
    monkeypatch.setenv("MODELPM_STORE", str(tmp_path / "home" / "store"))
    with manager_in(tmp_path) as manager, pytest.raises(UsageError, check=coded("store_moved", "usage")):
        manager.maintenance.move_store(tmp_path / where)
    monkeypatch.delenv("MODELPM_STORE")
    assert (tmp_path / "home" / "config.toml").read_bytes() == settings
    assert not (tmp_path / "third").exists()
    check(tmp_path, tmp_path / "new")
