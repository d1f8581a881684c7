"""Roots: what a root counts on is kept, wherever it went, whatever the store remembers, and whoever else is there."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import modelpm
from modelpm.errors import ModelpmError
from modelpm.library.project import Project
from modelpm.store.gc import registry
from modelpm.store.gc.marks import FRESH, MARK, read_id
from modelpm.store.gc.roots import RootRecord, digest_of
from tests.core.test_store_machine import counting, wait_for
from tests.support.codes import coded
from tests.support.models import folder_of, manager_in, names
from tests.support.stores import read_only, tmpfs, umask

DATA = Path(__file__).with_name("data")
DAY = 86_400
BYTES = b"a" * 5000


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> modelpm.Manager:
    """Return a manager whose views are symlinks, as on two disks: what is freed is gone."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return manager_in(tmp_path, link_mode="symlink")


@pytest.fixture
def spec(tmp_path: Path) -> str:
    return folder_of(tmp_path / "m", {"a.bin": BYTES})


def project_in(manager: modelpm.Manager, folder: Path, *specs: str) -> Project:
    made = manager.init(folder)
    report = made.add(list(specs))
    assert report.errors == ()
    return made


def records(manager: modelpm.Manager, kind: str = "project") -> list[RootRecord]:
    return [record for record in registry.listing(manager.store.layout) if record.root.kind == kind]


def let_age(manager: modelpm.Manager, days: float) -> None:
    """Let all that is remembered be so many days older."""
    for record in list(registry.listing(manager.store.layout)):
        assert record.seen is not None
        registry.save(manager.store.layout, replace(record, seen=int(record.seen - days * DAY)))
    for mark in manager.store.root.parents[1].rglob(MARK):
        os.utime(mark, (0, 0))


def shown(folder: Path) -> bytes:
    return (folder / "models" / "m" / "a.bin").read_bytes()


# ---------------------------------------------------------------------- moved, copied, somewhere else


def test_every_root_has_an_id_of_its_own(manager: modelpm.Manager, tmp_path: Path, spec: str) -> None:
    for name in ("a", "b"):
        project_in(manager, tmp_path / name, spec)
    known = {record.id for record in records(manager)}
    assert known == {read_id(tmp_path / name / "models") for name in ("a", "b")}
    assert len(known - {""}) == 2


def test_the_id_of_a_root_is_as_open_as_the_umask_leaves(manager: modelpm.Manager, tmp_path: Path, spec: str) -> None:
    with umask(0o002):
        project_in(manager, tmp_path / "app", spec)
    assert stat.S_IMODE((tmp_path / "app" / "models" / MARK).stat().st_mode) == 0o664


def test_a_moved_project_is_found_by_a_sync_with_nothing_to_do(
    manager: modelpm.Manager, tmp_path: Path, spec: str
) -> None:
    project_in(manager, tmp_path / "old", spec)
    (tmp_path / "old").rename(tmp_path / "new")
    manager.project(tmp_path / "new").sync()
    let_age(manager, 91)
    manager.project(tmp_path / "new").sync()
    (note,) = manager.maintenance.prune().notes
    assert "no longer counts" in note
    assert str(tmp_path / "old") in note
    assert shown(tmp_path / "new") == BYTES
    assert [r.root.lock.parent for r in records(manager)] == [tmp_path / "new"]


def test_a_moved_project_that_no_run_found_keeps_its_blobs_for_a_time(
    manager: modelpm.Manager, tmp_path: Path, spec: str
) -> None:
    project_in(manager, tmp_path / "old", spec)
    (tmp_path / "old").rename(tmp_path / "new")
    let_age(manager, 89)
    manager.maintenance.prune()
    assert shown(tmp_path / "new") == BYTES


def test_a_prune_takes_note_of_every_root_that_is_there(manager: modelpm.Manager, tmp_path: Path, spec: str) -> None:
    manager.install(spec, dir=tmp_path / "out")
    project_in(manager, tmp_path / "app", spec)
    let_age(manager, 2)
    manager.maintenance.prune()
    seen = {record.root.kind: record.age(time.time()) < DAY for record in registry.listing(manager.store.layout)}
    assert seen == {"user": True, "project": True, "dir": True}


def test_a_lock_that_was_cut_short_holds_what_it_held_before(
    manager: modelpm.Manager, tmp_path: Path, spec: str
) -> None:
    project_in(manager, tmp_path / "app", spec)
    lock = tmp_path / "app" / "models.lock"
    lock.write_text(lock.read_text().partition("digest")[0])
    manager.maintenance.prune()
    assert shown(tmp_path / "app") == BYTES
    (tmp_path / "app" / "models" / "m" / "a.bin").unlink()  # a view holds what it shows, whatever the lock names
    manager.maintenance.prune()
    assert names(manager.store)


def test_a_link_that_a_sync_left_in_the_view_holds_until_it_is_taken_out(tmp_path: Path, spec: str) -> None:
    """As after the checkout of a branch that has other models."""
    manager = manager_in(tmp_path, link_mode="symlink")
    project = project_in(manager, tmp_path / "work", spec)
    (tmp_path / "work" / "models.toml").write_text("schema = 1\n")
    project = manager.project(tmp_path / "work")
    project.sync()
    manager.maintenance.prune()
    assert shown(tmp_path / "work") == BYTES
    project.sync(exact=True)
    manager.maintenance.prune()
    assert not names(manager.store)


def test_a_copy_never_shrinks_what_the_original_needs(manager: modelpm.Manager, tmp_path: Path, spec: str) -> None:
    project_in(manager, tmp_path / "one", spec)
    shutil.copytree(tmp_path / "one", tmp_path / "two", symlinks=True)
    copy = manager.project(tmp_path / "two")
    copy.sync()
    assert len(records(manager)) == 2
    (tmp_path / "one").rename(tmp_path / "away")
    copy.remove(["m"])
    manager.maintenance.prune()
    assert shown(tmp_path / "away") == BYTES


def test_another_folder_at_the_same_path_never_shrinks_what_the_first_needs(
    manager: modelpm.Manager, tmp_path: Path, spec: str
) -> None:
    """As of two containers whose working folder is ``/app``, with one store."""
    app = tmp_path / "app"
    project_in(manager, app, spec)
    app.rename(tmp_path / "first")
    other = folder_of(tmp_path / "n", {"n.bin": b"n" * 100})
    project_in(manager, app, other)
    manager.maintenance.prune()
    assert shown(tmp_path / "first") == BYTES
    assert len(names(manager.store)) == 2


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="another host name needs root")
def test_the_same_image_on_another_host_is_a_root_of_its_own(
    tmp_path: Path, spec: str, clean_environ: dict[str, str]
) -> None:
    """Id, path, device and inode are the same: only the host name tells two containers of one image apart."""
    environ = {**clean_environ, "MODELPM_LINK_MODE": "symlink"}
    command = [str(Path(sys.executable).with_name("modelpm"))]
    folder = tmp_path / "app"
    folder.mkdir()
    for arguments in (["init"], ["add", spec]):
        subprocess.run([*command, *arguments], cwd=folder, env=environ, check=True, capture_output=True)
    script = f"hostname other && {command[0]} sync && {command[0]} remove m && {command[0]} prune -y"
    ran = subprocess.run(["unshare", "-u", "sh", "-ec", script], cwd=folder, env=environ, check=False)
    if ran.returncode == 1:
        pytest.skip("no namespaces here")
    assert ran.returncode == 0
    store = Path(environ["MODELPM_HOME"], "store")
    assert len(list(store.glob("projects/*.json"))) == 2
    assert len(list(store.glob("blobs/sha256/*/*"))) == 1


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounting needs root")
def test_two_users_at_one_path_keep_what_each_has(tmp_path: Path, spec: str, clean_environ: dict[str, str]) -> None:
    """Two containers, both root, with the same home and one store volume."""
    for name in ("A", "B", "root"):
        (tmp_path / name).mkdir()
    environ = {**clean_environ, "MODELPM_LINK_MODE": "symlink", "MODELPM_STORE": str(tmp_path / "store")}
    environ["MODELPM_HOME"] = str(tmp_path / "root")
    command = Path(sys.executable).with_name("modelpm")

    def within(which: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        line = f"mount --bind {tmp_path / which} {tmp_path / 'root'} && exec {command} {' '.join(arguments)}"
        return subprocess.run(
            ["unshare", "-m", "sh", "-c", line], env=environ, capture_output=True, text=True, check=False
        )

    if within("A", "install", spec).returncode:
        pytest.skip("no namespaces here")
    assert within("B", "install", spec).returncode == 0
    ran = within("B", "uninstall", "m")
    assert "last seen on" in ran.stderr
    assert within("B", "prune", "-y").returncode == 0
    assert len(list((tmp_path / "store").glob("blobs/sha256/*/*"))) == 1
    assert within("A", "uninstall", "m").returncode == 0


# ---------------------------------------------------------------------- recorded by every run, before the first link


def verbs(spec: str) -> dict[str, Callable[[Project], object]]:
    return {
        "sync": lambda project: project.sync(),
        "frozen": lambda project: project.sync(frozen=True),
        "add": lambda project: project.add([spec]),
        "lock": lambda project: project.lock(),
        "path": lambda project: project.path("m"),
        "list": lambda project: project.installed(),
    }


@pytest.mark.parametrize("verb", ["sync", "frozen", "add", "lock", "path", "list"])
def test_every_run_makes_up_for_a_record_that_is_not_there(
    manager: modelpm.Manager, tmp_path: Path, spec: str, verb: str
) -> None:
    project = project_in(manager, tmp_path / "p", spec)
    for path in manager.store.layout.projects.glob("*.json"):
        path.unlink()
    verbs(spec)[verb](project)
    (record,) = records(manager)
    assert record.digests >= {sha256 for sha256, _ in manager.store.blobs()}
    manager.maintenance.prune()
    assert shown(tmp_path / "p") == BYTES


@pytest.mark.parametrize("verb", ["path", "list"])
def test_a_look_at_a_folder_that_was_just_moved_or_copied_records_it(
    manager: modelpm.Manager, tmp_path: Path, spec: str, verb: str
) -> None:
    project_in(manager, tmp_path / "p", spec)
    shutil.copytree(tmp_path / "p", tmp_path / "copied", symlinks=True)
    (tmp_path / "p").rename(tmp_path / "moved")
    for name in ("copied", "moved"):
        verbs(spec)[verb](manager.project(tmp_path / name))
    assert {r.root.lock.parent.name for r in records(manager)} == {"p", "copied", "moved"}


def test_an_install_of_what_is_there_makes_up_for_the_record(manager: modelpm.Manager, spec: str) -> None:
    manager.install(spec)
    for path in manager.store.layout.projects.glob("*.json"):
        path.unlink()
    manager.install(spec)
    assert len(records(manager, "user")) == 1


@pytest.mark.parametrize("verb", ["sync", "add", "lock", "path", "list"])
def test_a_fresh_record_costs_no_write(manager: modelpm.Manager, tmp_path: Path, spec: str, verb: str) -> None:
    project = project_in(manager, tmp_path / "p", spec)

    def times() -> dict[Path, int]:
        return {path: path.stat().st_ino for path in manager.store.layout.projects.iterdir()}

    before = times()
    verbs(spec)[verb](project)
    assert times() == before
    let_age(manager, (FRESH + 1) / DAY)
    before = times()
    verbs(spec)[verb](project)
    assert len(set(times().values()) - set(before.values())) == 1
    assert records(manager)[0].age(time.time()) < 60


def test_a_root_that_cannot_be_written_needs_no_write(manager: modelpm.Manager, tmp_path: Path, spec: str) -> None:
    with tmpfs(tmp_path / "disk", "1m") as disk:
        project = project_in(manager, disk / "p", spec)
        let_age(manager, 2)
        (disk / "p" / "models" / MARK).unlink()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert project.sync().changes == ()
        project.path("m")
        manager.maintenance.prune()
        assert shown(disk / "p") == BYTES
        assert manager.warnings == ()


def test_a_store_that_cannot_be_written_needs_no_write(
    tmp_path: Path, spec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tmpfs(tmp_path / "disk", "1m") as disk:
        monkeypatch.setenv("MODELPM_STORE", str(disk / "store"))
        manager = manager_in(tmp_path, link_mode="symlink")
        project = project_in(manager, tmp_path / "p", spec)
        manager.install(spec)
        for path in [*(disk / "store" / "projects").iterdir(), tmp_path / "p" / "models" / MARK]:
            path.unlink()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        manager = manager_in(tmp_path, link_mode="symlink")
        project = manager.project(tmp_path / "p")
        assert project.sync().changes == ()
        assert project.path("m").exists()
        assert manager.path("m").exists()
        assert manager.install(spec, dir=tmp_path / "out").name == "m"
        assert (tmp_path / "out" / "a.bin").read_bytes() == BYTES
        assert not (tmp_path / "p" / "models" / MARK).exists()


@pytest.mark.skipif(os.name != "posix", reason="dying at a chosen call needs fork")
@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.marathon)])
@pytest.mark.parametrize("verb", ["add", "dir"])
def test_whoever_is_killed_at_any_call_has_linked_nothing_that_is_not_recorded(
    tmp_path: Path, spec: str, monkeypatch: pytest.MonkeyPatch, verb: str, every: int
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    linked, calls = 0, 0
    while True:
        place = tmp_path / f"{verb}-{calls}"
        place.mkdir()
        pid = os.fork()
        if pid == 0:
            undo = counting(calls, lambda: os.kill(os.getpid(), signal.SIGKILL))
            try:
                manager = manager_in(place, link_mode="symlink")
                if verb == "add":
                    manager.init(place / "p").add([spec])
                else:
                    manager.install(spec, dir=place / "out")
                undo()
            finally:
                os._exit(0)
        finished = ended_well(pid)
        manager = manager_in(place, link_mode="symlink")
        links = [path for path in place.rglob("a.bin") if path.is_symlink()]
        kinds = {Path(r.root.view): r.digests for r in registry.listing(manager.store.layout)}
        for link in links:
            linked += 1
            view = next(above for above in link.parents if above in kinds)
            assert link.readlink().name in kinds[view], (calls, link)
        if finished:
            break
        calls += every
    assert linked > 3
    assert calls > 10


def ended_well(pid: int) -> bool:
    """Wait for a child; return whether it came to its end."""
    deadline = time.monotonic() + 60
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.WIFEXITED(status)
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            wait_for(pid)
            raise AssertionError("the child hung")
        time.sleep(0.002)


def test_many_processes_that_record_one_root_at_once_leave_one_record(
    manager: modelpm.Manager, tmp_path: Path, spec: str
) -> None:
    project_in(manager, tmp_path / "p", spec)
    for path in [*manager.store.layout.projects.glob("*.json"), tmp_path / "p" / "models" / MARK]:
        path.unlink()
    script = "import sys, modelpm; modelpm.Manager(home=sys.argv[1], offline=True).project(sys.argv[2]).sync()"
    command = [sys.executable, "-c", script, str(tmp_path / "home"), str(tmp_path / "p")]
    running = [subprocess.Popen(command) for _ in range(6)]
    assert [process.wait(60) for process in running] == [0] * 6
    (record,) = records(manager)
    assert record.id == read_id(tmp_path / "p" / "models")


# ---------------------------------------------------------------------- prune and uninstall inside of a project


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("conflict", [True, False])
def test_what_is_asked_inside_of_a_project_never_frees_what_that_project_has(
    manager: modelpm.Manager, tmp_path: Path, spec: str, dry_run: bool, conflict: bool
) -> None:
    manager.install(spec)
    project = project_in(manager, tmp_path / "p", spec)
    for record in records(manager):
        registry.forget(manager.store.layout, record)
    if conflict:
        lock = tmp_path / "p" / "models.lock"
        lock.write_text(lock.read_text() + "<<<<<<< ours\n=======\n>>>>>>> theirs\n")
    (change,) = manager.uninstall(["m"], dry_run=dry_run, project=project).changes
    assert str(tmp_path / "p") in change.note
    found = manager.maintenance.prune(project=project.as_root, dry_run=dry_run)
    assert found.removed == ()
    assert shown(tmp_path / "p") == BYTES


def test_the_command_inside_of_a_project_frees_nothing_of_it(
    modelpm: Callable[..., object], tmp_path: Path, spec: str, clean_environ: dict[str, str]
) -> None:
    from tests.conftest import Ran

    def run(*arguments: str) -> Ran:
        ran = modelpm(*arguments, cwd=tmp_path / "p", env={"MODELPM_LINK_MODE": "symlink"})
        assert isinstance(ran, Ran)
        assert ran.code == 0, ran.stderr
        return ran

    (tmp_path / "p").mkdir()
    run("init")
    run("add", spec)
    for path in Path(clean_environ["MODELPM_HOME"], "store", "projects").glob("*.json"):
        path.unlink()
    run("-g", "prune", "-y")
    assert shown(tmp_path / "p") == BYTES


# ---------------------------------------------------------------------- folders of the user's own


def test_a_folder_holds_what_it_shows_and_uninstall_says_so(
    manager: modelpm.Manager, tmp_path: Path, spec: str
) -> None:
    out = tmp_path / "out"
    manager.install(spec, dir=out)
    assert [path.name for path in out.iterdir()] == ["a.bin"]
    would = manager.uninstall(["m"], dry_run=True).changes[0]
    change = manager.uninstall("m").changes[0]
    for note in (would.note, change.note):
        assert f"1 file stays in {out}: `modelpm uninstall m --with-dir` removes them" in note
    assert change.freed == would.freed == 0
    manager.maintenance.prune()
    assert (out / "a.bin").read_bytes() == BYTES
    (holder,) = manager.why("m").rows
    assert (holder.environment, holder.lock) == ("dir", out)
    (holder,) = manager.why(str(out / "a.bin")).rows
    assert (holder.environment, holder.name, holder.file) == ("dir", "m", "a.bin")
    change = manager.uninstall("m", with_dir=True).changes[0]  # the command that was named works
    assert change.freed > 0
    assert list(out.iterdir()) == []
    assert not names(manager.store)
    assert records(manager, "dir") == []


def test_an_uninstall_with_the_folders_frees_what_only_they_showed(
    manager: modelpm.Manager, tmp_path: Path, spec: str
) -> None:
    manager.install(spec, dir=tmp_path / "out")
    would = manager.uninstall(["m"], dry_run=True, with_dir=True).changes[0]
    assert (tmp_path / "out" / "a.bin").exists()
    change = manager.uninstall("m", with_dir=True).changes[0]
    assert change.freed == would.freed > 0
    assert f"1 file removed from {tmp_path / 'out'}" in change.note
    assert list((tmp_path / "out").iterdir()) == []


def test_an_uninstall_names_the_folders_of_that_model_only(manager: modelpm.Manager, tmp_path: Path, spec: str) -> None:
    other = folder_of(tmp_path / "n", {"b.bin": b"b" * 500})
    manager.install(spec, dir=tmp_path / "one")
    manager.install(other, dir=tmp_path / "two")
    note = manager.uninstall("m").changes[0].note
    assert str(tmp_path / "one") in note
    assert str(tmp_path / "two") not in note
    assert (tmp_path / "two" / "b.bin").exists()


def test_nothing_is_removed_from_a_folder_that_modelpm_did_not_put_there(tmp_path: Path) -> None:
    manager = manager_in(tmp_path, link_mode="hardlink")
    mine = tmp_path / "mine"
    spec = folder_of(mine, {"a.bin": BYTES, "sub/b.bin": b"b" * 100, "c.bin": b"c" * 100}) + ":all"
    manager.install(spec, name="m", dir=mine)  # the user's own files, which the store may share
    out = tmp_path / "out"
    manager.install(spec, name="m", dir=out)
    (out / "sub" / "note.txt").write_text("mine")
    (out / "c.bin").unlink()
    (out / "c.bin").write_text("changed")
    change = manager.uninstall("m", with_dir=True).changes[0]
    assert sorted(p.name for p in mine.rglob("*.bin")) == ["a.bin", "b.bin", "c.bin"]
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()) == ["c.bin", "sub/note.txt"]
    assert str(out / "c.bin") in change.note


def test_two_models_that_share_a_file_of_a_folder_are_removed_one_by_one(
    manager: modelpm.Manager, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for name in ("one", "two"):
        spec = folder_of(tmp_path / name, {f"{name}.bin": name.encode() * 100, "config.json": b"{}"})
        manager.install(spec, dir=out)
    manager.uninstall("one", with_dir=True)
    assert sorted(p.name for p in out.iterdir()) == ["config.json", "two.bin"]
    assert (out / "config.json").read_bytes() == b"{}"
    manager.uninstall("two", with_dir=True)
    assert list(out.iterdir()) == []


def test_a_file_that_the_user_removed_from_a_folder_holds_nothing(
    manager: modelpm.Manager, tmp_path: Path, spec: str
) -> None:
    manager.install(spec, dir=tmp_path / "out")
    (tmp_path / "out" / "a.bin").unlink()
    assert manager.uninstall("m").changes[0].freed > 0


def test_a_link_that_the_user_moved_within_a_folder_holds_and_is_removed_like_the_others(
    manager: modelpm.Manager, tmp_path: Path, spec: str
) -> None:
    out = tmp_path / "out"
    manager.install(spec, dir=out)
    (out / "checkpoints").mkdir()
    moved = (out / "a.bin").rename(out / "checkpoints" / "mine.bin")
    assert manager.uninstall("m").changes[0].freed == 0
    manager.maintenance.prune()
    assert moved.read_bytes() == BYTES
    assert manager.uninstall("m", with_dir=True).changes[0].freed > 0
    assert not moved.is_symlink()
    assert out.is_dir()


def test_a_folder_on_a_disk_that_is_away_keeps_its_blobs_for_a_time(
    manager: modelpm.Manager, tmp_path: Path, spec: str
) -> None:
    manager.install(spec, dir=tmp_path / "out")
    manager.uninstall("m")
    (tmp_path / "out").rename(tmp_path / "away")
    let_age(manager, 89)
    assert str(tmp_path / "out") in manager.maintenance.prune().notes[0]
    assert (tmp_path / "away" / "a.bin").read_bytes() == BYTES
    let_age(manager, 2)
    assert "no longer counts" in manager.maintenance.prune().notes[0]
    assert not names(manager.store)


def test_a_folder_that_was_filled_by_an_earlier_version_is_taken_over(
    manager: modelpm.Manager, tmp_path: Path, spec: str
) -> None:
    model = manager.install(spec)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.bin").symlink_to(manager.store.blob(model.files[0].sha256))
    other = manager.install(folder_of(tmp_path / "n", {"n.bin": b"n" * 100}))
    (tmp_path / "out" / "n.bin").symlink_to(manager.store.blob(other.files[0].sha256))
    manager.install(spec, dir=tmp_path / "out")
    for name in ("m", "n"):
        assert manager.uninstall(name).changes[0].freed == 0
    assert (tmp_path / "out" / "a.bin").read_bytes() == BYTES
    assert (tmp_path / "out" / "n.bin").read_bytes() == b"n" * 100
    manager.uninstall("m", with_dir=True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["n.bin"]


def test_a_folder_shows_a_newer_version_in_place_of_ours(manager: modelpm.Manager, tmp_path: Path, spec: str) -> None:
    out = tmp_path / "out"
    manager.install(spec, dir=out)
    manager.uninstall("m")
    folder_of(tmp_path / "m", {"a.bin": b"newer" * 100})
    manager.install(spec, dir=out)
    assert (out / "a.bin").read_bytes() == b"newer" * 100


def test_folders_follow_a_store_that_moves_and_show_what_was_mended(tmp_path: Path, spec: str) -> None:
    for mode in ("symlink", "hardlink"):
        place = tmp_path / mode
        place.mkdir()
        manager = manager_in(place, link_mode=mode)
        model = manager.install(spec, dir=place / "out")
        blob = manager.store.blob(model.files[0].sha256)
        blob.chmod(0o644)
        blob.write_bytes(b"b" * 5000)
        assert all(row.ok for row in manager.verify(repair=True).rows)
        assert (place / "out" / "a.bin").read_bytes() == BYTES
        manager.maintenance.move_store(place / "elsewhere")
        assert (place / "out" / "a.bin").read_bytes() == BYTES
        assert manager.uninstall("m", with_dir=True).changes[0].freed > 0
        assert list((place / "out").iterdir()) == []


def test_a_record_of_a_folder_cannot_reach_out_of_it(manager: modelpm.Manager, tmp_path: Path, spec: str) -> None:
    manager.install(spec, dir=tmp_path / "out")
    (record,) = records(manager, "dir")
    path = manager.store.layout.project(record.key)
    path.write_text(path.read_text().replace("m/a.bin", "m/../victim"))
    assert registry.load(path) is None


# ---------------------------------------------------------------------- what the store remembers, or does not


def earlier(manager: modelpm.Manager, folder: Path, *, text: str | None = None) -> Path:
    """Leave a project, and the record of it, as an earlier version wrote them; return the record."""
    folder.mkdir()
    lock = folder / "models.lock"
    lock.write_text((DATA / "earlier_models.lock").read_text() if text is None else text)
    record = (DATA / "earlier_record.json").read_text().replace("/PROJECT/models.lock", str(lock))
    path = manager.store.layout.project(digest_of(os.fsencode(lock)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(record)
    return path


def stocked(manager: modelpm.Manager, spec: str) -> None:
    """Bring the blob that the earlier lock names, and leave nobody who needs it."""
    manager.install(spec)
    lock = manager.environment.lock_path
    lock.write_text("version = 1\n")
    shutil.rmtree(manager.environment.view.root)


def test_a_record_of_an_earlier_version_becomes_one_of_this(
    manager: modelpm.Manager, tmp_path: Path, spec: str
) -> None:
    stocked(manager, spec)
    path = earlier(manager, tmp_path / "p")
    manager.maintenance.prune()
    assert len(names(manager.store)) == 1
    (record,) = records(manager)
    assert record.place is not None
    assert not path.exists()


@pytest.mark.parametrize("text", [None, "version = 1\n"])
def test_a_record_of_an_earlier_version_counts_as_seen_that_day(
    manager: modelpm.Manager, tmp_path: Path, spec: str, text: str | None
) -> None:
    """Where the project is gone, or another one is at its path."""
    stocked(manager, spec)
    path = earlier(manager, tmp_path / "p", text=text)
    if text is None:
        shutil.rmtree(tmp_path / "p")
    manager.maintenance.prune(dry_run=True)
    manager.maintenance.prune()
    assert len(names(manager.store)) == 1
    let_age(manager, 89)
    manager.maintenance.prune()
    assert len(names(manager.store)) == 1
    let_age(manager, 2)
    manager.maintenance.prune()
    assert not names(manager.store)
    assert not path.exists()


def test_an_earlier_versions_own_record_does_not_keep_what_is_uninstalled(manager: modelpm.Manager, spec: str) -> None:
    manager.install(spec)
    lock = manager.environment.lock_path
    (record,) = records(manager, "user")
    fields = json.loads(manager.store.layout.project(record.key).read_text())
    registry.forget(manager.store.layout, record)
    old = {key: fields[key] for key in ("lock", "digests", "text", "last_use", "missing_since")}
    manager.store.layout.projects.joinpath(digest_of(os.fsencode(lock)) + ".json").write_text(json.dumps(old))
    (manager.environment.view.root / MARK).unlink()
    assert manager.uninstall("m").changes[0].freed > 0


def test_an_earlier_version_finds_the_keys_that_it_reads(manager: modelpm.Manager, tmp_path: Path, spec: str) -> None:
    project_in(manager, tmp_path / "p", spec)
    manager.install(spec, dir=tmp_path / "out")
    for path in manager.store.layout.projects.glob("*.json"):
        fields = json.loads(path.read_text())
        assert Path(fields["lock"]).is_absolute()
        assert len(fields["digests"]) >= 1
        assert (type(fields["text"]), type(fields["last_use"]), fields["missing_since"]) == (str, int, None)


def test_a_store_that_was_restored_without_its_records_frees_nothing_for_a_time(
    manager: modelpm.Manager, tmp_path: Path, spec: str
) -> None:
    project_in(manager, tmp_path / "p", spec)
    shutil.rmtree(manager.store.layout.projects)
    fresh = manager_in(tmp_path, link_mode="symlink")
    assert fresh.maintenance.prune(dry_run=True).removed == ()
    (note,) = fresh.maintenance.prune().notes
    assert "lost its records" in note
    assert shown(tmp_path / "p") == BYTES
    (holder,) = fresh.why(str(tmp_path / "p" / "models" / "m" / "a.bin")).rows
    assert holder.environment == "unknown"
    let_age(fresh, 91)
    fresh.maintenance.prune()
    assert not names(fresh.store)


@pytest.mark.parametrize(("age", "days"), [("10d", 10), ("2", 2), ("1w", 7)])
def test_how_long_is_a_setting(tmp_path: Path, spec: str, age: str, days: int) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "config.toml").write_text(f'[store]\nkeep-unseen = "{age}"\n')
    manager = manager_in(tmp_path, link_mode="symlink")
    project_in(manager, tmp_path / "old", spec)
    (tmp_path / "old").rename(tmp_path / "new")
    let_age(manager, days - 0.1)
    manager.maintenance.prune()
    assert shown(tmp_path / "new") == BYTES
    let_age(manager, 0.2)
    manager.maintenance.prune()
    assert not names(manager.store)


def test_an_idle_project_on_a_disk_that_has_another_number_now_is_still_counted(
    manager: modelpm.Manager, tmp_path: Path, spec: str
) -> None:
    project_in(manager, tmp_path / "p", spec)
    (record,) = records(manager)
    assert record.place is not None
    registry.forget(manager.store.layout, record)
    other = replace(record, place=record.place._replace(device=record.place.device + 1), seen=0)
    registry.save(manager.store.layout, other)
    for _ in range(2):
        manager.maintenance.prune()
        assert shown(tmp_path / "p") == BYTES
    (found,) = records(manager)
    assert found.place == record.place


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
        max_leaves=9,
    ),
    st.sampled_from(
        ["lock", "digests", "text", "last_use", "missing_since", "kind", "view", "id", "device", "host", "entries"]
    ),
)
def test_a_record_is_read_or_refused_whatever_stands_in_it(value: object, key: str) -> None:
    import tempfile

    fields = json.loads((DATA / "earlier_record.json").read_text())
    full = {**fields, "kind": "dir", "view": "/v", "id": "", "device": 1, "inode": 2, "host": "h", "entries": {}}
    with tempfile.TemporaryDirectory() as folder:
        for content in ({**full, key: value}, {**fields, key: value}, value):
            path = Path(folder, digest_of(b"/PROJECT/models.lock") + ".json")
            path.write_text(json.dumps(content))
            found = registry.load(path)
            assert found is None or found.key == path.stem


def test_a_folder_that_is_closed_is_no_reason_to_stop(manager: modelpm.Manager, tmp_path: Path, spec: str) -> None:
    with read_only(tmp_path / "closed") as closed, pytest.raises(ModelpmError, check=coded("no_permission")):
        manager.install(spec, dir=closed / "out")
    assert manager.install(spec).name == "m"
