"""A project's manifest and lock, through the library: what is kept, what is locked again, what is refused."""

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

import modelpm
from modelpm.errors import CheckFailedError, Denied, IntegrityError, ModelpmError, NotFound, UsageError
from modelpm.library.project import Project
from modelpm.lockfile.file import parse_lock
from modelpm.testing import FaultServer
from tests.support.codes import coded
from tests.support.hub import Hub
from tests.support.models import holding
from tests.support.projects import Shop, reopened, shop_in, stocked_shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return stocked_shop(tmp_path / "home", tmp_path / "shop")


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer({}) as running:
        yield running


@pytest.fixture
def manager(tmp_path: Path, shop: Shop) -> modelpm.Manager:  # noqa: ARG001 - is offered there
    return modelpm.Manager(home=tmp_path / "home", offline=True, user="tester")


@pytest.fixture
def project(manager: modelpm.Manager, tmp_path: Path) -> Project:
    (tmp_path / "p").mkdir()
    return manager.init(tmp_path / "p")


@pytest.fixture
def online(tmp_path: Path, shop: Shop) -> Project:  # noqa: ARG001 - is offered there
    """Return a project that may use the network."""
    (tmp_path / "p").mkdir()
    return modelpm.Manager(home=tmp_path / "home", user="tester").init(tmp_path / "p")


def lock_of(project: Project) -> str:
    return (project.root / "models.lock").read_text()


def manifest_of(project: Project) -> str:
    return (project.root / "models.toml").read_text()


def write(project: Project, models: str) -> None:
    (project.root / "models.toml").write_text(f"[models]\n{models}")


def test_a_model_that_is_added_is_written_locked_and_there(project: Project, shop: Shop) -> None:
    report = project.add(["chat@1"], name="talk")
    assert not report.errors
    assert [c.action for c in report.changes] == ["lock-add", "install"]
    assert report.lock_action == "created"
    assert 'talk = "acme/chat@1"' in manifest_of(project)
    assert (project.root / "models" / "talk" / "model.gguf").read_bytes() == shop.content("chat", "1.1", "model.gguf")
    assert project.path("talk") == project.root / "models" / "talk" / "model.gguf"
    assert (project.root / "models" / ".gitignore").read_text() == "*\n"
    assert project.drift() == ()


def test_the_same_input_is_the_same_lock_on_every_machine(
    project: Project, tmp_path: Path, shop: Shop, manager: modelpm.Manager
) -> None:
    project.add(["chat", "embed"], group="ci")
    other_home = tmp_path / "elsewhere" / "home"
    shop_in(other_home, shop.folder)
    (tmp_path / "elsewhere" / "q").mkdir()
    with modelpm.Manager(home=other_home, offline=True) as other:
        twin = other.init(tmp_path / "elsewhere" / "q")
        twin.add(["embed"], group="ci")
        twin.add(["chat"], group="ci")
    assert lock_of(twin) == lock_of(project)
    assert str(manager.config.paths.store) not in lock_of(project)


def test_what_did_not_change_keeps_its_block_to_the_byte(
    project: Project, manager: modelpm.Manager, shop: Shop
) -> None:
    project.add(["chat@1", "embed"])
    path = project.root / "models.lock"
    path.write_text(path.read_text().replace('release = "1.0"\n', 'release = "1.0"\nnewer-key = 7\n'))
    before = lock_of(project)
    shop.offer("chat", "1.0", "1.1", "1.2", "2.0")
    project = reopened(manager, project.root)
    assert project.lock().lock_action == "unchanged"
    assert lock_of(project) == before
    report = project.upgrade(["chat"])
    assert [(c.action, c.before, c.release) for c in report.changes if c.action == "lock-update"] == [
        ("lock-update", "1.1", "1.2")
    ]
    embed = before[before.index("[[model]]", before.index('name = "chat"')) :]
    assert embed in lock_of(project)
    assert "newer-key = 7" in lock_of(project)


def test_a_narrower_spec_keeps_the_locked_release_where_it_still_fits(project: Project) -> None:
    write(project, 'chat = "acme/chat@==1.0"\n')
    project.lock()
    write(project, 'chat = "acme/chat@1:q4"\n')
    project.lock()
    assert project.installed()[0].release == "1.0"
    write(project, 'chat = "acme/chat@2"\n')
    project.lock()
    assert project.installed()[0].release == "2.0"


def test_upgrade_stays_inside_the_spec_until_it_is_told_otherwise(
    project: Project, manager: modelpm.Manager, shop: Shop
) -> None:
    project.add(["chat@1"])
    rows = project.outdated().rows
    assert [(r.name, r.locked, r.allowed, r.newest) for r in rows] == [("chat", "1.1", "1.1", "2.0")]
    report = project.upgrade()
    assert report.lock_action == "unchanged"
    assert "chat 2.0 exists" in report.warnings[0]
    report = project.upgrade(["chat"], latest=True, dry_run=True)
    assert next((c.action, c.before) for c in report.changes) == ("lock-update", "1.1")
    assert report.changes[1].downloaded == len(shop.content("chat", "2.0", "model.gguf"))
    assert "@1" in manifest_of(project)
    report = project.upgrade(["chat"], latest=True)
    assert 'chat = "acme/chat@2"' in manifest_of(project)
    assert [c.action for c in report.changes] == ["lock-update", "install"]
    assert (project.root / "models/chat/model.gguf").read_bytes() == shop.content("chat", "2.0", "model.gguf")
    assert reopened(manager, project.root).outdated().rows == ()
    with pytest.raises(NotFound, check=coded("not_in_project")):
        project.upgrade(["nobody"])


def test_a_release_that_was_withdrawn_stays_locked_and_is_named(
    project: Project, manager: modelpm.Manager, shop: Shop
) -> None:
    project.add(["chat"])
    before = lock_of(project)
    shop.offer("chat", "1.0", "1.1", "2.0", v2_0={"yanked": "broken"})
    project = reopened(manager, project.root)
    assert project.lock().lock_action == "unchanged"
    assert lock_of(project) == before
    assert [(r.allowed, r.note) for r in project.outdated().rows] == [("1.1", "acme/chat 2.0 is yanked: broken")]


def test_a_catalog_that_is_gone_does_not_matter_to_what_is_locked(
    project: Project, manager: modelpm.Manager, shop: Shop
) -> None:
    project.add(["chat"])
    for path in (shop.folder / "models").iterdir():
        path.unlink()
    project = reopened(manager, project.root)
    assert project.lock().lock_action == "unchanged"
    assert project.sync(locked=True).lock_action == "unchanged"


def test_check_says_every_reason_and_changes_nothing(project: Project) -> None:
    write(project, 'a = "acme/chat"\nb = "acme/embed"\n')
    with pytest.raises(CheckFailedError) as missing:
        project.check_lock()
    assert missing.value.code == "lock_missing"
    project.lock()
    project.check_lock()
    before = lock_of(project)
    write(project, 'a = "acme/chat@1"\nc = "acme/embed"\n')
    with pytest.raises(CheckFailedError) as caught:
        project.check_lock()
    assert caught.value.message.splitlines()[1:] == [
        "a: spec changed: acme/chat (locked) != acme/chat@1",
        "c: not locked",
        "b: locked, but the manifest does not name it",
    ]
    assert lock_of(project) == before


def test_nothing_is_written_where_one_of_several_fails(project: Project) -> None:
    project.add(["embed"])
    before = lock_of(project), manifest_of(project)
    with pytest.raises(NotFound, check=coded("unknown_model")):
        project.add(["chat", "nobody"])
    write(project, 'embed = "acme/embed"\nchat = "acme/chat"\nx = "acme/chat@9"\n')
    report = project.lock()
    assert [e.code for e in report.errors] == ["unknown_release"]
    assert lock_of(project) == before[0]


def test_a_name_that_means_something_else_is_refused(project: Project) -> None:
    project.add(["chat@1"])
    with pytest.raises(UsageError) as caught:
        project.add(["chat@2"])
    assert caught.value.code == "name_taken"
    assert project.add(["chat@1"]).lock_action == "unchanged"


def test_remove_takes_it_out_of_all_three_and_leaves_the_bytes(project: Project, manager: modelpm.Manager) -> None:
    project.add(["chat", "embed"])
    sha256 = project.installed()[0].files[0].sha256
    report = project.remove(["chat"])
    assert [c.action for c in report.changes] == ["lock-remove"]
    assert [m.name for m in project.installed()] == ["embed"]
    assert "acme/chat" not in manifest_of(project)
    assert not (project.root / "models" / "chat").exists()
    assert [row.ok for row in manager.verify(["embed"], project=project).rows] == [True, True]
    assert manager.store.blob(sha256).exists()
    with pytest.raises(NotFound) as caught:
        project.remove(["chat"])
    assert caught.value.hints == ("`modelpm list` shows the models of the project",)
    manager.install("chat")
    with pytest.raises(NotFound) as caught:
        project.remove(["chat"])
    assert caught.value.hints == ("to remove a model of your own: modelpm uninstall chat",)


def test_a_conflict_heals_and_only_what_both_changed_is_locked_again(project: Project) -> None:
    project.add(["chat@1", "embed"])
    text = lock_of(project)
    start = text.index("[[model]]")
    stop = text.index("[[model]]", start + 1)
    ours, other = text[start:stop], text[start:stop].replace('release = "1.1"', 'release = "1.0"')
    conflict = f"{text[:start]}<<<<<<< HEAD\n{ours}=======\n{other}>>>>>>> theirs\n{text[stop:]}"
    path = project.root / "models.lock"
    path.write_text(conflict)
    sync = project.sync
    for refused in (partial(sync, locked=True), partial(sync, frozen=True), partial(sync, check=True)):
        with pytest.raises(UsageError) as caught:
            refused()
        assert caught.value.code == "lock_conflict"
        assert path.read_text() == conflict
    report = project.lock()
    assert report.notes == ("Repaired the merge conflict in models.lock: kept 1, locked 1 again",)
    assert lock_of(project) == text


@pytest.mark.parametrize(
    ("settings", "spec", "rule"),
    [
        ('allow-formats = ["gguf"]', "acme/embed", "allow-formats"),
        ('allow-licenses = ["apache-2.0"]', "acme/chat", "allow-licenses"),
        ("require-digest = true", "acme/loose", "require-digest"),
    ],
)
def test_rules_refuse_at_lock_time_and_later(
    online: Project, shop: Shop, server: FaultServer, settings: str, spec: str, rule: str
) -> None:
    project = online
    shop.offer("loose", "1.0", server=server)
    (project.root / "models.toml").write_text(f'[models]\nm = "{spec}"\n')
    assert not project.lock().errors
    (project.root / "models.toml").write_text(f'[models]\nm = "{spec}"\n[settings]\n{settings}\n')
    for act in (project.check_lock, project.lock, project.sync) if rule != "require-digest" else ():
        with pytest.raises(Denied) as caught:
            act()
        assert (caught.value.code, caught.value.details["rule"], caught.value.exit_code) == ("policy", rule, 7)
    (project.root / "models.lock").unlink()
    report = project.lock()
    assert [e.details["rule"] for e in report.errors] == [rule]
    assert not (project.root / "models.lock").exists()


def test_what_fails_for_one_model_is_told_with_its_name(online: Project, shop: Shop, server: FaultServer) -> None:
    project = online
    shop.offer("loose", "1.0", server=server)
    server.files.clear()
    write(project, 'chat = "acme/chat"\nmine = "acme/loose"\n')
    report = project.lock()
    assert [(e.code, e.details["name"]) for e in report.errors] == [("not_found", "mine")]
    assert not (project.root / "models.lock").exists()


def test_files_that_can_run_code_need_a_word_in_the_manifest(project: Project, shop: Shop) -> None:
    shop.offer("old", "1.0", files=("pytorch_model.bin",), format="pickle")
    write(project, 'old = "acme/old"\n')
    assert project.lock().errors == ()  # it is locked, and its bytes are held against the manifest when they come
    (error,) = project.sync().errors
    assert (error.code, error.exit_code, error.details["name"]) == ("pickle", 7, "old")
    assert error.hints[0] == "if you trust the publisher: modelpm add acme/old --as old --allow-pickle"
    write(project, 'old = "acme/old"\n[settings]\nallow-formats = ["pickle"]\n')
    assert project.sync().errors == ()
    assert project.path("old").read_bytes() == shop.content("old", "1.0", "pytorch_model.bin")


def test_a_release_that_is_blocked_is_refused_for_what_it_is(
    project: Project, manager: modelpm.Manager, shop: Shop
) -> None:
    shop.offer("chat", "1.0", v1_0={"blocked": "malware"})
    write(project, 'chat = "acme/chat"\n')
    (error,) = reopened(manager, project.root).lock().errors
    assert (error.code, "malware" in str(error)) == ("blocked", True)


def test_a_name_that_gets_another_model_is_locked_as_that(
    project: Project, manager: modelpm.Manager, shop: Shop
) -> None:
    project.add(["chat@1"], name="it")
    write(project, 'it = "acme/embed"\n')
    assert [(c.action, c.release) for c in project.lock().changes] == [("lock-update", "1.0")]
    assert project.sync().errors == ()
    assert {p.name for p in (project.root / "models" / "it").iterdir()} == {"config.json", "model.onnx"}
    write(project, f'it = "{shop.file("chat", "1.0", "model.gguf").as_uri()}"\n')
    assert not project.lock().errors
    assert [f.path for f in project.installed()[0].files] == ["model.gguf"]
    shop.offer("embed", "1.0", files=("model.onnx",), format="onnx")
    write(project, 'it = "acme/embed"\n')
    project = reopened(manager, project.root)
    project.lock()
    shop.offer("embed", "1.0", files=("model.onnx", "tokens.txt"), format="onnx")
    assert reopened(manager, project.root).upgrade(["it"]).lock_action == "updated"
    assert (project.root / "models/it/tokens.txt").is_file()


def test_a_lock_without_a_manifest_is_synced_and_not_changed(project: Project, manager: modelpm.Manager) -> None:
    project.add(["chat@1"])
    (project.root / "models.toml").unlink()
    project = manager.project(project.root)
    acts = (project.lock, project.upgrade, partial(project.add, ["embed"]), partial(project.remove, ["chat"]))
    for act in acts:
        with pytest.raises(UsageError) as caught:
            act()
        assert (caught.value.code, "modelpm sync --frozen" in caught.value.hints[0]) == ("no_manifest", True)
    assert project.sync(frozen=True).errors == ()
    assert [(r.name, r.newest) for r in project.outdated().rows] == [("chat", "2.0")]


def test_a_lock_in_another_order_is_said_to_be_and_written_anew(project: Project) -> None:
    project.add(["chat", "embed"])
    before = lock_of(project)
    head, chat, embed = before.split("[[model]]")
    (project.root / "models.lock").write_text(f"{head}[[model]]{embed.rstrip()}\n\n[[model]]{chat.rstrip()}\n")
    with pytest.raises(CheckFailedError, match="is not written as modelpm writes it"):
        project.check_lock()
    assert project.lock().lock_action == "updated"
    assert lock_of(project) == before


def test_a_manifest_that_is_no_text_is_told_and_left_alone(project: Project) -> None:
    (project.root / "models.toml").write_bytes(b"[models]\n# \xff\n")
    with pytest.raises(UsageError, match="it is not UTF-8") as caught:
        project.lock()
    assert caught.value.code == "manifest_invalid"


def test_pyprojects_of_other_tools_do_not_govern_a_folder(project: Project, manager: modelpm.Manager) -> None:
    folder = project.root / "a"
    folder.mkdir()
    (folder / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert manager.project(folder).root == project.root
    (folder / "pyproject.toml").write_text("[project]\nname = 'modelpm-user'\n")
    assert manager.project(folder).root == project.root
    (folder / "pyproject.toml").write_text("[tool.modelpm.models]\nchat = 'acme/chat'\n")
    assert manager.project(folder).root == folder
    (folder / "pyproject.toml").write_text("[tool.modelpm.models]\nchat = \n")
    with pytest.raises(UsageError) as caught:
        manager.project(folder).lock()
    assert caught.value.code == "manifest_invalid"


def test_small_files_that_the_source_knows_by_git_only_are_hashed_when_they_are_locked(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    hub.add("acme/plain", {"model.safetensors": b"w" * 9000, "config.json": b"{}"})
    with modelpm.Manager(home=tmp_path / "hfhome") as manager:
        project = manager.init(tmp_path)
        write(project, 'plain = "hf://acme/plain"\n')
        report = project.lock(dry_run=True)
        assert [(c.action, c.digest) for c in report.changes] == [("lock-add", None)]
        assert not (tmp_path / "models.lock").exists()
        hub.seen.clear()
        project.lock()
        assert len(hub.requests(r"/tree/")) <= 1
        assert hub.requests(server="cdn") == []  # weights are not needed to lock them
        (model,) = parse_lock(lock_of(project), "x").models
        assert {f.path for f in model.files} == {"model.safetensors", "config.json"}
        assert hub.endpoint not in lock_of(project)
        hub.seen.clear()
        assert project.lock().lock_action == "unchanged"
        assert project.upgrade(sync=False).lock_action == "unchanged"
        assert hub.requests(r"/resolve/") == []
        hub.add("acme/plain", {"model.safetensors": b"v" * 9000, "config.json": b"{}"})
        again = modelpm.Manager(home=tmp_path / "hfhome").project(tmp_path)
        assert [r.name for r in again.outdated().rows] == ["plain"]
        assert again.upgrade().lock_action == "updated"
        assert (tmp_path / "models/plain/model.safetensors").read_bytes() == holding("model.safetensors", b"v" * 9000)


@pytest.mark.parametrize(
    ("text", "kind", "code"),
    [
        ("version = 2\n", UsageError, "lock_too_new"),
        ("versi", UsageError, "lock_unreadable"),
        ("", UsageError, "lock_unreadable"),
        ('version = 1\ndir = "../out"\n', IntegrityError, "hostile_name"),
        ('version = 1\ndir = "~"\n', IntegrityError, "hostile_name"),
    ],
)
def test_a_lock_that_cannot_be_believed_is_refused_in_every_mode_and_left_alone(
    project: Project, text: str, kind: type[ModelpmError], code: str
) -> None:
    path = project.root / "models.lock"
    path.write_text(text)
    for act in (
        project.lock,
        project.sync,
        project.check_lock,
        lambda: project.sync(frozen=True),
        lambda: project.sync(locked=True),
        lambda: project.add(["chat"]),
        project.upgrade,
    ):
        with pytest.raises(kind) as caught:
            act()
        assert caught.value.code == code
    assert path.read_text() == text


def test_a_block_edited_by_hand_is_an_integrity_error(project: Project) -> None:
    project.add(["chat"])
    path = project.root / "models.lock"
    path.write_text(path.read_text().replace("size = ", "size = 1"))
    with pytest.raises(IntegrityError) as caught:
        project.sync(frozen=True)
    assert caught.value.code == "lock_digest"
    path.write_text(lock_of(project).replace('path = "model.gguf"', 'path = "../evil"'))
    with pytest.raises(IntegrityError, check=coded("hostile_name")):
        project.sync(frozen=True)


def test_the_digest_for_a_cache_changes_with_the_bytes_and_nothing_else(project: Project) -> None:
    with pytest.raises(CheckFailedError, check=coded("lock_missing")):
        project.digest()
    project.add(["chat@1"])
    before = project.digest()
    write(project, 'chat = "acme/chat@1:q4"\n')
    project.lock()
    assert project.digest() == before
    write(project, 'chat = "acme/chat@2"\n')
    project.lock()
    assert project.digest() != before


def test_asyncio_has_the_same_verbs(project: Project, manager: modelpm.Manager, tmp_path: Path) -> None:
    async def use() -> None:
        async with modelpm.AsyncManager(home=manager.config.paths.config.parent, offline=True) as other:
            there = await other.init(tmp_path / "new" / "folder")
            shown: list[float] = []
            await there.add(["chat@1"], on_progress=lambda progress: shown.append(progress.percentage))
            assert shown[-1] == 100.0
            assert (await there.path("chat")).is_file()
            assert (await there.upgrade(["chat"], latest=True)).lock_action == "updated"
            assert (await there.sync(locked=True)).lock_action == "unchanged"
            assert (await there.lock()).lock_action == "unchanged"
            assert [m.release for m in await there.installed()] == ["2.0"]
            assert (await (await other.project(tmp_path / "new" / "folder")).remove(["chat"])).lock_action == "updated"

    asyncio.run(use())
    assert project.root.exists()
