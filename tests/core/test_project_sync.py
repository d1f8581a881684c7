"""Sync: the view shows what is locked, whatever happened to it; and nothing is done where nothing is to be done."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import modelpm
from modelpm.disk.atomic import write_atomic
from modelpm.errors import CheckFailedError, IntegrityError, NotFound, StoreError, UsageError
from modelpm.library.project import Project
from tests.conftest import Ran
from tests.support.codes import coded
from tests.support.hub import Hub
from tests.support.models import folder_of, sized
from tests.support.projects import Shop, shop_in
from tests.support.stores import read_only, tmpfs

COMMAND = Path(sys.executable).with_name("modelpm")
Run = Callable[..., Ran]


@pytest.fixture
def shop(home: Path, tmp_path: Path) -> Shop:
    made = shop_in(home / "modelpm", tmp_path / "shop")
    made.offer("chat", "1.0", "1.1")
    made.offer("embed", "1.0", files=("model.onnx", "config.json"), format="onnx")
    made.offer("style", "1.0")
    return made


@pytest.fixture
def manager(home: Path, shop: Shop) -> modelpm.Manager:  # noqa: ARG001 - is offered there
    return modelpm.Manager(home=home / "modelpm", offline=True, user="tester")


@pytest.fixture
def project(manager: modelpm.Manager, tmp_path: Path) -> Project:
    (tmp_path / "p").mkdir()
    made = manager.init(tmp_path / "p")
    made.add(["chat", "embed"])
    return made


def snapshot(*folders: Path) -> dict[str, tuple[int, int]]:
    paths = [p for folder in folders for p in folder.rglob("*")]
    return {str(p): (p.lstat().st_mtime_ns, p.lstat().st_ino) for p in paths}


def shown(project: Project) -> set[str]:
    view = project.environment.view.root
    return {p.relative_to(view).as_posix() for p in view.rglob("*") if p.is_file() and not p.name.startswith(".")}


def test_nothing_to_do_writes_nothing_at_all(project: Project, home: Path) -> None:
    before = snapshot(project.root, home)
    assert project.sync().lock_action == "unchanged"
    assert project.sync(locked=True).lock_action == "unchanged"
    assert project.sync(frozen=True).lock_action == "unchanged"
    assert project.sync(check=True).lock_action == "unchanged"
    assert snapshot(project.root, home) == before


def test_verify_means_the_projects_model_of_a_name_before_the_users(manager: modelpm.Manager, project: Project) -> None:
    manager.install(["chat", "style"])
    shutil.rmtree(project.environment.view.folder("chat"))
    assert [(row.name, row.ok) for row in manager.verify(["chat", "style"], project=project).rows] == [
        ("chat", False),
        ("style", True),
    ]
    assert [row.ok for row in manager.verify(["chat"]).rows] == [True]
    with pytest.raises(NotFound, check=coded("not_installed")):
        manager.verify(["other"], project=project)


def test_what_is_gone_or_cut_comes_back_without_the_network(project: Project) -> None:
    chat, embed = (project.environment.view.folder(n) for n in ("chat", "embed"))
    shutil.rmtree(chat)
    (embed / "config.json").unlink()
    with pytest.raises(CheckFailedError) as caught:
        project.sync(check=True)
    assert caught.value.code == "not_synced"
    report = project.sync(locked=True)
    assert {(c.action, c.name, c.downloaded) for c in report.changes} == {("link", "chat", 0), ("link", "embed", 0)}
    assert shown(project) == {"chat/model.gguf", "embed/model.onnx", "embed/config.json"}


def test_locked_fails_before_anything_is_made(project: Project) -> None:
    shutil.rmtree(project.root / "models")
    (project.root / "models.toml").write_text('[models]\nchat = "acme/chat@1.0"\n')
    before = snapshot(project.root)
    with pytest.raises(CheckFailedError) as caught:
        project.sync(locked=True)
    assert (caught.value.code, caught.value.exit_code) == ("lock_drift", 3)
    (project.root / "models.lock").unlink()
    for act in (partial(project.sync, locked=True), partial(project.sync, check=True)):
        with pytest.raises(CheckFailedError, check=coded("lock_missing")):
            act()
    assert not (project.root / "models").exists()
    assert before


def test_frozen_never_opens_the_manifest(project: Project, manager: modelpm.Manager) -> None:
    shutil.rmtree(project.root / "models")
    (project.root / "models.toml").write_text("neither TOML nor sense [")
    frozen = manager.project(project.root, frozen=True)
    frozen.sync(frozen=True)
    assert shown(frozen) == {"chat/model.gguf", "embed/model.onnx", "embed/config.json"}
    (project.root / "models.toml").unlink()
    (project.root / "models.toml").symlink_to("models.toml")  # opening it would fail
    assert manager.project(project.root / "models", frozen=True).sync(frozen=True).lock_action == "unchanged"
    (project.root / "models.lock").unlink()
    with pytest.raises(CheckFailedError, check=coded("lock_missing")):
        frozen.sync(frozen=True)
    with pytest.raises(UsageError, match="exclude each other"):
        frozen.sync(frozen=True, locked=True)


def test_groups_are_taken_when_they_are_asked_for(project: Project, manager: modelpm.Manager) -> None:
    (project.root / "models.toml").write_text(
        '[models]\nchat = "acme/chat"\nembed = "acme/embed"\nstyle = "acme/style"\n'
        '[groups]\nci = ["embed"]\ngpu = ["style"]\n[settings]\ndefault-groups = ["ci"]\ndir = "deep/weights"\n'
    )
    project.sync()
    frozen = manager.project(project.root, frozen=True)
    assert shown(frozen) == {"chat/model.gguf", "embed/model.onnx", "embed/config.json"}
    assert frozen.environment.view.root == project.root / "deep" / "weights"
    frozen.sync(frozen=True, groups=["gpu"])
    assert "style/model.gguf" in shown(frozen)
    shutil.rmtree(project.root / "deep")
    frozen.sync(frozen=True, all_groups=True)
    assert "style/model.gguf" in shown(frozen)
    with pytest.raises(UsageError, match="unknown group `gpuu`"):
        project.sync(groups=["gpuu"])


def test_what_the_view_shows_of_a_group_stays_current(project: Project, shop: Shop) -> None:
    (project.root / "models.toml").write_text('[models]\nstyle = "acme/style"\n[groups]\ngpu = ["style"]\n')
    project.sync(groups=["gpu"])
    shop.offer("style", "1.0", "1.1")
    project.upgrade(sync=False)
    with pytest.raises(CheckFailedError, match="style: not complete"):
        project.sync(check=True)
    with pytest.raises(NotFound) as caught:
        project.path("style")
    assert caught.value.hints == ("modelpm sync --group gpu",)
    project.sync()
    assert project.path("style").read_bytes() == shop.content("style", "1.1", "model.gguf")
    shop.offer("style", "1.0", "1.1", "1.2")
    project.upgrade()
    assert project.path("style").read_bytes() == shop.content("style", "1.2", "model.gguf")


def test_a_name_that_is_near_one_of_the_project_is_offered(project: Project, manager: modelpm.Manager) -> None:
    with pytest.raises(NotFound) as caught:
        manager.verify(["chta"], project=project)
    assert caught.value.hints == ("did you mean `chat`?",)


def test_a_path_of_this_machine_is_said_when_it_is_added(project: Project, tmp_path: Path) -> None:
    spec = folder_of(tmp_path / "own", {"own.gguf": b"own"})
    for expected in ([f"`own` is read from {spec}, which other machines may not have"], []):
        assert list(project.add([spec], name="own").warnings) == expected


def test_what_is_not_locked_any_more_is_named_and_taken_out_by_exact_only(project: Project) -> None:
    (project.root / "models" / "chat" / "notes.txt").write_text("mine")
    (project.root / "models.toml").write_text('[models]\nembed = "acme/embed"\n')
    report = project.sync()
    assert "`chat`" in report.warnings[0]
    assert "chat/model.gguf" in shown(project)
    assert project.sync(exact=True).changes[0].action == "unlink"
    assert shown(project) == {"embed/model.onnx", "embed/config.json", "chat/notes.txt"}


def test_nothing_is_written_through_a_symlink(project: Project, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (project.root / "away").symlink_to(outside)
    lock = (project.root / "models.lock").read_bytes()
    text = (project.root / "models.toml").read_text() + '[settings]\ndir = "away/models"\n'
    (project.root / "models.toml").write_text(text)
    with pytest.raises(StoreError) as caught:
        project.sync()
    assert caught.value.code == "symlink"
    assert list(outside.iterdir()) == []
    assert (project.root / "models.lock").read_bytes() == lock
    (project.root / "models.toml").write_text('[settings]\ndir = "../out"\n')
    with pytest.raises(IntegrityError, check=coded("hostile_name")):
        project.sync()


def test_a_file_of_somebody_elses_is_never_replaced_and_everything_is_rolled_back(project: Project) -> None:
    folder = project.root / "models" / "style"
    folder.mkdir()
    (folder / "model.gguf").write_text("mine")
    before = {n: (project.root / n).read_bytes() for n in ("models.toml", "models.lock")}
    with pytest.raises(StoreError) as caught:
        project.add(["style"])
    assert caught.value.code == "in_the_way"
    assert {n: (project.root / n).read_bytes() for n in before} == before
    assert (folder / "model.gguf").read_text() == "mine"


def test_ctrl_c_at_the_last_moment_rolls_back_both_files(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {n: (project.root / n).read_bytes() for n in ("models.toml", "models.lock")}

    def interrupted(path: Path, data: bytes, **more: Any) -> None:
        write_atomic(path, data, **more)
        if path.name == "models.lock":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("modelpm.environment.environment.write_atomic", interrupted)
        with pytest.raises(KeyboardInterrupt):
            project.add(["style"])
    assert {n: (project.root / n).read_bytes() for n in before} == before
    assert "style/model.gguf" not in shown(project)
    project.add(["style"])
    assert "style/model.gguf" in shown(project)


def test_a_read_only_project_is_used_as_it_is_and_named_where_it_must_be_written(
    project: Project, manager: modelpm.Manager, tmp_path: Path
) -> None:
    with read_only(tmp_path / "ro") as folder:
        if os.geteuid() != 0:
            pytest.skip("a file must be put there first")
        subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
        for name in ("models.toml", "models.lock"):
            shutil.copy(project.root / name, folder / name)
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        there = manager.project(folder)
        assert there.lock().lock_action == "unchanged"
        with pytest.raises(StoreError) as caught:
            there.sync()
        assert caught.value.code in {"no_permission", "local"}
        with pytest.raises(StoreError, check=coded("no_permission")):
            there.add(["style"])


def test_a_project_that_was_moved_or_belongs_to_another_home_works_after_sync(
    project: Project, shop: Shop, tmp_path: Path
) -> None:
    moved = tmp_path / "elsewhere"
    project.root.rename(moved)
    other_home = tmp_path / "other"
    shop_in(other_home, shop.folder)
    for mode in ("hardlink", "symlink", "copy"):
        with modelpm.Manager(home=other_home, offline=True, link_mode=mode) as other:
            again = other.project(moved)
            again.sync(locked=True)
            assert (moved / "models/chat/model.gguf").read_bytes() == shop.content("chat", "1.1", "model.gguf")
            assert again.sync(check=True).lock_action == "unchanged"
        shutil.rmtree(moved / "models")


def test_a_lock_that_names_a_plugin_that_is_not_there_matters_only_where_bytes_are_missing(
    project: Project, shop: Shop
) -> None:
    for path in (project.root / "models.lock", *(shop.folder / "models").iterdir()):
        path.write_text(path.read_text().replace("file://", "s3://"))
    assert project.sync(frozen=True).lock_action == "unchanged"
    for model in project.installed():
        for file in model.files:
            project.environment.store.remove(file.sha256)
    assert project.sync(frozen=True).lock_action == "unchanged"  # the view has them
    shutil.rmtree(project.root / "models")
    report = project.sync(frozen=True)
    assert {e.exit_code for e in report.errors} == {2}
    assert "s3" in report.errors[0].message


def test_offline_is_complete_and_a_miss_names_the_file(modelpm: Run, hub: Hub, tmp_path: Path) -> None:
    hub.add("acme/plain", {"model.safetensors": b"w" * 5000, "config.json": b"{}"})
    env = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "hf")}
    (tmp_path / "models.toml").write_text('[models]\nplain = "hf://acme/plain"\n')
    assert modelpm("lock", env=env).code == 0
    hub.seen.clear()
    ran = modelpm("--offline", "sync", "--json", env=env)
    assert ran.code == 6, ran.stdout
    (error,) = json.loads(ran.stdout)["errors"]
    assert error["code"] == "offline"
    assert "model.safetensors" in json.dumps(error)
    assert hub.seen == []
    assert modelpm("sync", "--locked", env=env).code == 0
    hub.seen.clear()
    ran = modelpm("sync", "--json", "--offline", env=env)
    done = json.loads(ran.stdout)
    assert (ran.code, done["lock"]["action"], done["changes"]) == (0, "unchanged", [])
    assert hub.seen == []


@pytest.mark.usefixtures("shop")
def test_the_way_of_a_project_on_the_command_line(modelpm: Run, tmp_path: Path) -> None:
    assert modelpm("init").code == 0
    assert modelpm("init").code == 1
    added = modelpm("add", "chat", "--as", "talk", "--json")
    document = json.loads(added.stdout)
    assert document["lock"] == {"path": str(tmp_path / "models.lock"), "action": "created"}
    assert [c["action"] for c in document["changes"]] == ["lock-add", "install"]
    (tmp_path / "sub").mkdir()
    assert modelpm("-C", "sub", "path", "talk").stdout == f"{tmp_path}/models/talk/model.gguf\n"
    assert modelpm("-g", "path", "talk").code == 5
    assert modelpm("install", "style").code == 0
    rows = json.loads(modelpm("list", "--json").stdout)["items"]
    assert [(r["name"], r["environment"]) for r in rows] == [("talk", "project"), ("style", "user")]
    assert {r["name"] for r in json.loads(modelpm("verify", "--json").stdout)["items"]} == {"talk", "style"}
    held = json.loads(modelpm("why", "models/talk/model.gguf", "--json").stdout)["items"]
    assert [(h["environment"], h["name"], h["file"]) for h in held] == [("project", "talk", "model.gguf")]
    assert modelpm("why", "nothing").code == 5
    checked = modelpm("lock", "--check")
    assert (checked.code, checked.stdout) == (0, "")
    assert modelpm("outdated", "--exit-code").code == 0
    assert len(modelpm("lock", "--print-digest").stdout) == 65
    assert modelpm("remove", "style").code == 5
    assert modelpm("remove", "talk").code == 0
    assert modelpm("-g", "remove", "style").code == 0
    assert modelpm("sync", "--frozen", cwd=tmp_path.parent).code == 3
    nowhere = modelpm("sync", cwd=tmp_path.parent)
    assert nowhere.code == 2
    assert "modelpm init" in nowhere.stderr


def test_where_files_must_be_copied_one_warning_says_so(modelpm: Run, project: Project, tmp_path: Path) -> None:
    """Onto a disk of its own, on which no link leads anywhere: as on a stick."""
    with tmpfs(tmp_path / "other", "4m", "nosymfollow") as disk:
        for name in ("models.toml", "models.lock"):
            shutil.copy(project.root / name, disk / name)
        for arguments, folder in {
            ("sync",): disk / "models",
            ("-g", "install", "chat", "--dir", str(disk / "app")): disk / "app",
        }.items():
            ran = modelpm(*arguments, "--json", cwd=disk)
            assert ran.code == 0, ran.stderr
            (warning,) = json.loads(ran.stdout)["warnings"]
            assert warning == f"files had to be copied to {folder}: it can share none with the store"
        assert {p.name for p in (disk / "models").rglob("*.*n*")} >= {"model.onnx", "config.json"}
        assert json.loads(modelpm("sync", "--json", cwd=disk).stdout)["warnings"] == []  # nothing was copied
        shutil.rmtree(disk / "models")
        asked = modelpm("sync", "--link-mode", "copy", "--json", cwd=disk)
        assert (asked.code, json.loads(asked.stdout)["warnings"]) == (0, [])
        assert len(json.loads(modelpm("verify", "--json", cwd=disk).stdout)["items"]) == 4


def test_a_users_models_that_must_be_copied_are_warned_of_once(modelpm: Run, shop: Shop, tmp_path: Path) -> None:
    home = tmp_path / "disk"
    with tmpfs(home, "4m", "nosymfollow"):
        shop_in(home, shop.folder)
        env = {"MODELPM_HOME": str(home), "MODELPM_STORE": str(tmp_path / "store")}
        ran = modelpm("install", "chat", "style", "--json", env=env)
        assert ran.code == 0, ran.stderr
        assert json.loads(ran.stdout)["warnings"] == [
            f"files had to be copied to {home}/env/models: it can share none with the store"
        ]


@pytest.mark.parametrize("before", ["nothing", "a lock", "a half view"])
def test_two_syncs_at_once_do_it_once(
    modelpm: Run, clean_environ: dict[str, str], hub: Hub, tmp_path: Path, before: str
) -> None:
    files = {"model.safetensors": sized("model.safetensors", 2 << 20), "config.json": b"{}", "b/c.txt": b"text"}
    hub.add("acme/big", files)
    hub.add("acme/two", {"model.safetensors": sized("model.safetensors", 5000)})
    env = {**clean_environ, "HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "hf"), "MODELPM_LIMIT_RATE": "1M"}
    (tmp_path / "models.toml").write_text('[models]\nbig = "hf://acme/big"\ntwo = "hf://acme/two"\n')
    if before != "nothing":
        assert modelpm("lock", env=env).code == 0
    if before == "a half view":
        assert modelpm("sync", env=env).code == 0
        shutil.rmtree(tmp_path / "models" / "big" / "b")
        (tmp_path / "models" / "two" / "model.safetensors").unlink()
    locked = (tmp_path / "models.lock").read_bytes() if before != "nothing" else None
    hub.seen.clear()
    command = [str(COMMAND), "sync", "--json", *(["--locked"] if locked else [])]
    running = [
        subprocess.Popen(command, env=env, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    ended = [(process, *process.communicate(timeout=120)) for process in running]
    assert [process.returncode for process, _, _ in ended] == [0, 0, 0], ended
    documents = [json.loads(out) for _, out, _ in ended]
    downloaded = sum(change.get("downloaded") or 0 for document in documents for change in document["changes"])
    assert downloaded <= sum(map(len, files.values())) + 5000  # by one of them
    assert {p: (tmp_path / "models" / "big" / p).read_bytes() for p in files} == files
    assert locked is None or (tmp_path / "models.lock").read_bytes() == locked
    assert modelpm("sync", "--check", "--offline", env=env).code == 0
    assert modelpm("verify", env=env).code == 0


def test_two_adds_at_once_both_land(clean_environ: dict[str, str], project: Project, shop: Shop) -> None:
    names = [f"m{i}" for i in range(4)]
    for name in names:
        shop.offer(name, "1.0")
    running = [
        subprocess.Popen([COMMAND, "-C", str(project.root), "-q", "add", name], env=clean_environ) for name in names
    ]
    assert [process.wait(60) for process in running] == [0] * len(names)
    assert {m.name for m in project.installed()} == {"chat", "embed", *names}
    assert project.drift() == ()
    assert {f"{n}/model.gguf" for n in names} < shown(project)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_add_that_is_killed_leaves_both_files_as_they_were(
    clean_environ: dict[str, str], hub: Hub, tmp_path: Path, number: signal.Signals
) -> None:
    hub.add("acme/big", {"model.safetensors": os.urandom(3 << 20)})
    env = {**clean_environ, "HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "hf"), "MODELPM_LIMIT_RATE": "1M"}
    manifest = tmp_path / "models.toml"
    manifest.write_text("# mine\n[models]\n")
    process = subprocess.Popen([COMMAND, "add", "hf://acme/big"], env=env, cwd=tmp_path, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not hub.requests(server="cdn"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    assert process.wait(30) == (130 if number is signal.SIGINT else -signal.SIGKILL)
    assert manifest.read_text() == "# mine\n[models]\n"
    assert not (tmp_path / "models.lock").exists()
    assert not (tmp_path / "models" / "big").exists()
    env["MODELPM_LIMIT_RATE"] = "0"
    subprocess.run([COMMAND, "add", "hf://acme/big"], env=env, cwd=tmp_path, check=True, capture_output=True)
    assert "# mine" in manifest.read_text()
