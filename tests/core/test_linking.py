"""``link`` and ``unlink``: other programs' folders hold what they use, and lose nothing of their own."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import hf_hub_download, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.numpy import load_file

import modelpm
from modelpm.errors import ModelpmError, NotFound, PluginError, StoreError, UsageError
from modelpm.store.blobs import linker
from modelpm.store.blobs.probe import link_kind
from tests.core.test_cli_commands import Run, run  # noqa: F401 - a fixture
from tests.support.codes import coded
from tests.support.hub import Hub
from tests.support.models import folder_of, holding, manager_in, noise
from tests.support.plugged import distribution
from tests.support.stores import read_only, tmpfs

GGUF = {"m.Q4_K_M.gguf": noise(5000, 1), "mmproj-m.gguf": noise(300, 2)}
OLLAMA = "manifests/registry.ollama.ai/library/m/latest"
EIGHT = ("hf", "llama.cpp", "lmstudio", "ollama", "comfyui", "textgen", "jan", "gpt4all")


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[modelpm.Manager]:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    with manager_in(tmp_path) as made:
        made.install(folder_of(tmp_path / "src" / "m", GGUF))
        yield made


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "program").mkdir()
    return tmp_path / "program"


def below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def is_shared(path: Path, manager: modelpm.Manager) -> bool:
    """Whether a file takes no space besides the blob."""
    (model,) = manager.installed()
    blob = manager.store.blob(next(f.sha256 for f in model.files if f.path == path.name))
    reflinks = link_kind(manager.store.layout, path.parent, "file") == "reflink"
    return reflinks or os.path.samestat(path.stat(), blob.stat())


def test_a_link_is_the_blob_and_a_root_of_its_own(manager: modelpm.Manager, place: Path) -> None:
    (change,) = manager.link("lmstudio", "m", app_dir=place).changes
    assert (change.action, change.path) == ("link", place)
    assert below(place) == {"modelpm/m/m.Q4_K_M.gguf", "modelpm/m/mmproj-m.gguf"}
    shown = place / "modelpm/m/m.Q4_K_M.gguf"
    assert is_shared(shown, manager)
    assert not shown.is_symlink()
    spec = manager.installed()[0].model
    assert [(row.environment, row.model) for row in manager.why("m").rows] == [("user", spec), ("app", "lmstudio")]
    note = manager.uninstall("m").changes[0].note
    assert "stays linked for lmstudio: `modelpm uninstall m --with-dir` removes it there" in note
    assert manager.maintenance.prune().removed == ()
    assert shown.read_bytes() == holding("m.gguf", GGUF["m.Q4_K_M.gguf"])
    assert [change.action for change in manager.unlink("lmstudio", "m").changes] == ["unlink"]
    assert below(place) == set()
    assert not list(place.iterdir())
    assert manager.maintenance.prune().freed > 5000


def test_the_second_link_changes_nothing(manager: modelpm.Manager, place: Path) -> None:
    manager.link("ollama", ["m"], app_dir=place)
    before = {path: path.lstat() for path in place.rglob("*")}
    (change,) = manager.link("ollama", ["m"], app_dir=place).changes
    assert change.action == "reuse"
    assert {path: path.lstat().st_ino for path in place.rglob("*")} == {p: f.st_ino for p, f in before.items()}


def test_a_dry_run_makes_nothing(manager: modelpm.Manager, place: Path) -> None:
    (change,) = manager.link("jan", ["m"], app_dir=place, dry_run=True).changes
    assert change.action == "link"
    assert "llamacpp/models/m/m.Q4_K_M.gguf" in change.note
    assert not list(place.iterdir())
    assert all(app.models == () for app in manager.apps().rows)


@pytest.fixture
def from_hub(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[modelpm.Manager]:
    """Return a manager whose Hub is ours."""
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    with manager_in(tmp_path / "other") as made:
        yield made


def test_eight_programs_share_one_copy(from_hub: modelpm.Manager, tmp_path: Path, hub: Hub) -> None:
    hub.add("acme/big-GGUF", {"big-Q4_K_M.gguf": noise(1 << 20, 9)})
    from_hub.install("hf://acme/big-GGUF")
    folders = [tmp_path / "eight" / app for app in EIGHT]
    for app, folder in zip(EIGHT, folders, strict=True):
        folder.mkdir(parents=True)
        assert from_hub.link(app, "big-gguf", app_dir=folder).changes[0].action == "link"
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    big = [path for path in files if path.stat().st_size > 1 << 20]
    assert len(big) >= len(EIGHT)
    reflinks = link_kind(from_hub.store.layout, tmp_path, "file") == "reflink"
    assert reflinks or len({path.stat().st_ino for path in big}) == 1
    assert {app.app for app in from_hub.apps().rows if app.models == ("big-gguf",)} == set(EIGHT)
    from_hub.uninstall("big-gguf", with_dir=True)
    assert not any(below(folder) for folder in folders)
    assert from_hub.maintenance.prune().freed < 1 << 20  # the small texts; the model went with the last link


@pytest.mark.parametrize("layout", ["symlinks", "no symlinks"])
def test_the_real_hub_library_loads_what_is_linked_offline(
    from_hub: modelpm.Manager, place: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    import numpy as np
    from safetensors.numpy import save

    weights = save({"w": np.arange(12, dtype=np.float32).reshape(3, 4)})
    repo = hub.add("acme/mini", {"model.safetensors": weights, "config.json": b"{}"}, tags=("v1",))
    from_hub.install("hf://acme/mini@v1", name="mini")
    if layout == "no symlinks":
        monkeypatch.setattr(Path, "symlink_to", _no_symlinks)
    from_hub.link("hf", "mini", app_dir=place)
    monkeypatch.undo()
    assert any(path.is_symlink() for path in place.rglob("*")) == (layout == "symlinks")
    for revision in ("v1", repo.commit):
        folder = Path(snapshot_download("acme/mini", revision=revision, cache_dir=place, local_files_only=True))
        assert below(folder) == {"model.safetensors", "config.json"}
    path = hf_hub_download("acme/mini", "model.safetensors", revision="v1", cache_dir=place, local_files_only=True)
    assert load_file(path)["w"].tolist()[2] == [8, 9, 10, 11]
    from_hub.unlink("hf", "mini")
    with pytest.raises(LocalEntryNotFoundError):
        hf_hub_download("acme/mini", "config.json", revision="v1", cache_dir=place, local_files_only=True)
    assert not list(place.iterdir())


def _no_symlinks(*_: object) -> None:
    raise OSError(1, "symlinks are not permitted")


def test_a_branch_that_the_programs_cache_knows_stays(from_hub: modelpm.Manager, place: Path, hub: Hub) -> None:
    repo = hub.add("acme/mini", {"model.safetensors": noise(100)})
    from_hub.install("hf://acme/mini", name="mini")
    (place / "models--acme--mini/refs").mkdir(parents=True)
    (place / "models--acme--mini/refs/main").write_text("0" * 40)
    result = from_hub.link("hf", ["mini"], app_dir=place)
    assert "left as they are" in " ".join(result.warnings)
    assert (place / "models--acme--mini/refs/main").read_text() == "0" * 40
    assert hf_hub_download(
        "acme/mini", "model.safetensors", revision=repo.commit, cache_dir=place, local_files_only=True
    )
    from_hub.unlink("hf")
    assert below(place) == {"models--acme--mini/refs/main"}


def test_ollamas_blobs_have_the_digests_of_their_names(manager: modelpm.Manager, place: Path) -> None:
    manager.link("ollama", "m", app_dir=place)
    for path in (place / "blobs").iterdir():
        assert path.name == f"sha256-{hashlib.sha256(path.read_bytes()).hexdigest()}"
    manifest = json.loads((place / OLLAMA).read_text())
    for layer in (*manifest["layers"], manifest["config"]):
        assert (place / "blobs" / layer["digest"].replace(":", "-")).stat().st_size == layer["size"]
    assert (place / OLLAMA).stat().st_mode & 0o200  # the program may write its own small files


def test_files_that_a_program_edits_are_not_the_blob(manager: modelpm.Manager, tmp_path: Path, place: Path) -> None:
    manager.install(folder_of(tmp_path / "src" / "t", {"model.safetensors": noise(500), "config.json": b"{}"}))
    manager.link("textgen", "t", app_dir=place)
    config = place / "user_data/models/t/config.json"
    config.write_text('{"mine": 1}')
    assert all(row.ok for row in manager.verify().rows)
    assert manager.unlink("textgen").changes[0].note == f"`{config}` stayed: it was changed since modelpm made it"
    assert below(place) == {"user_data/models/t/config.json"}


# ---------------------------------------------------------------------- bad input


def test_a_folder_that_is_missing_is_named(manager: modelpm.Manager, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"absent is not a folder", check=coded("no_app_folder")):
        manager.link("lmstudio", "m", app_dir=tmp_path / "absent")
    with pytest.raises(NotFound, match="LM Studio was not found; looked for ", check=coded("no_app_folder")):
        manager.link("lmstudio", "m")
    found = {app.app: app for app in manager.apps().rows}
    assert (found["lmstudio"].found, found["lmstudio"].dir) == (False, tmp_path / "user/.lmstudio/models")


def test_a_read_only_folder_is_an_error_and_nothing_is_linked(manager: modelpm.Manager, tmp_path: Path) -> None:
    with read_only(tmp_path / "closed") as folder, pytest.raises(StoreError, check=coded("no_permission")):
        manager.link("lmstudio", "m", app_dir=folder)
    assert all(app.models == () for app in manager.apps().rows)


def test_on_another_disk_files_are_copied_and_that_is_said(manager: modelpm.Manager, tmp_path: Path) -> None:
    manager.install(folder_of(tmp_path / "src" / "big", {"big.gguf": noise(2 << 20)}))
    with tmpfs(tmp_path / "disk", "8m") as disk:
        result = manager.link("gpt4all", ["big"], app_dir=disk)
        assert "were copied to" in " ".join(result.warnings)
        assert (disk / "big.gguf").read_bytes() == manager.path("big").read_bytes()
        manager.unlink("gpt4all")
        assert not below(disk)


def test_a_disk_that_is_full_gets_nothing(manager: modelpm.Manager, tmp_path: Path) -> None:
    manager.install(folder_of(tmp_path / "src" / "big", {"big.gguf": noise(2 << 20)}))
    with tmpfs(tmp_path / "disk", "1m") as disk:
        with pytest.raises(
            StoreError, match=r"not enough space on .*/disk for copies: 2\.0 MiB needed", check=coded("no_space")
        ):
            manager.link("gpt4all", "big", app_dir=disk)
        assert not list(disk.iterdir())


def test_where_one_file_fails_those_before_it_are_taken_back(manager: modelpm.Manager, place: Path) -> None:
    (place / "modelpm/m").mkdir(parents=True)
    (place / "modelpm/m/mmproj-m.gguf").write_bytes(b"mine")
    with pytest.raises(StoreError, match="it is not the file of that name", check=coded("in_the_way")):
        manager.link("lmstudio", "m", app_dir=place)
    assert below(place) == {"modelpm/m/mmproj-m.gguf"}


def test_what_fails_on_the_way_is_taken_back(
    manager: modelpm.Manager, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, make = [], linker.Linker.link

    def failing(self: linker.Linker, blob: Path, target: Path, mode: str, **more: object) -> str:
        if target.name == "mmproj-m.gguf":
            raise StoreError("the disk was pulled out")
        made.append(target.name)
        return make(self, blob, target, mode, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(linker.Linker, "link", failing)
    with pytest.raises(StoreError, match="pulled out"):
        manager.link("lmstudio", "m", app_dir=place)
    assert "m.Q4_K_M.gguf" in made
    assert not list(place.iterdir())
    monkeypatch.undo()
    assert manager.link("lmstudio", "m", app_dir=place).changes[0].action == "link"


def test_two_models_that_want_one_name_are_told_apart(manager: modelpm.Manager, tmp_path: Path, place: Path) -> None:
    manager.install(folder_of(tmp_path / "src" / "n", {"m.Q4_K_M.gguf": noise(700, 3)}))
    manager.link("gpt4all", "m", app_dir=place)
    with pytest.raises(StoreError, match="is in the way: it is a file of `m`", check=coded("in_the_way")) as caught:
        manager.link("gpt4all", "n", app_dir=place)
    assert caught.value.hints == ("modelpm unlink gpt4all m",)
    manager.unlink("gpt4all", "m")
    manager.link("gpt4all", "n", app_dir=place)
    assert below(place) == {"m.Q4_K_M.gguf"}


def test_two_models_with_one_file_and_two_programs_in_one_folder_share_it(
    manager: modelpm.Manager, tmp_path: Path, place: Path
) -> None:
    manager.install(folder_of(tmp_path / "src" / "n", {"m.Q4_K_M.gguf": GGUF["m.Q4_K_M.gguf"]}))
    manager.link("gpt4all", ["m", "n"], app_dir=place)
    manager.link("msty", ["n"], app_dir=place)
    manager.unlink("gpt4all", ["m"])
    assert below(place) == {"m.Q4_K_M.gguf"}
    manager.unlink("gpt4all", ["n"])
    assert below(place) == {"m.Q4_K_M.gguf"}
    manager.unlink("msty", ["n"])
    assert below(place) == set()


def test_a_model_of_the_programs_own_keeps_its_name(manager: modelpm.Manager, place: Path) -> None:
    (place / OLLAMA).parent.mkdir(parents=True)
    (place / OLLAMA).write_text("{}")
    with pytest.raises(StoreError, match="latest is in the way", check=coded("in_the_way")):
        manager.link("ollama", "m", app_dir=place)
    assert below(place) == {OLLAMA}


def test_folders_that_were_made_go_with_the_last_model_and_those_of_the_program_stay(
    manager: modelpm.Manager, tmp_path: Path, place: Path
) -> None:
    (place / "models/loras").mkdir(parents=True)
    manager.install(folder_of(tmp_path / "src" / "lo", {"a_lora.safetensors": noise(50)}))
    manager.install(folder_of(tmp_path / "src" / "v1", {"x_vae.safetensors": noise(60)}))
    manager.install(folder_of(tmp_path / "src" / "v2", {"y_vae.safetensors": noise(70)}))
    manager.link("comfyui", ["lo", "v1", "v2"], app_dir=place)
    manager.unlink("comfyui", ["v1", "lo"])
    assert (place / "models/loras").is_dir()
    assert below(place) == {"models/vae/y_vae.safetensors"}
    manager.unlink("comfyui")
    assert sorted(path.relative_to(place).as_posix() for path in place.rglob("*")) == ["models", "models/loras"]


def test_another_version_of_a_model_takes_the_place_of_the_one_before(
    manager: modelpm.Manager, tmp_path: Path, place: Path
) -> None:
    manager.link("ollama", "m", app_dir=place)
    before = below(place)
    manager.uninstall("m")
    manager.install(folder_of(tmp_path / "new" / "m", {"m.Q4_K_M.gguf": noise(900, 8)}))
    manager.link("ollama", "m", app_dir=place)
    assert len(below(place)) == 3  # the weights, the configuration and the manifest
    assert below(place) & before == {OLLAMA}
    config = json.loads((place / OLLAMA).read_text())["config"]["digest"]
    assert (place / "blobs" / config.replace(":", "-")).is_file()
    manager.unlink("ollama")
    assert not list(place.iterdir())


def test_a_symlink_that_the_program_replaced_is_the_programs(from_hub: modelpm.Manager, place: Path, hub: Hub) -> None:
    repo = hub.add("acme/mini", {"model.safetensors": noise(100)})
    from_hub.install("hf://acme/mini", name="mini")
    from_hub.link("hf", "mini", app_dir=place)
    shown = place / "models--acme--mini/snapshots" / repo.commit / "model.safetensors"
    shown.unlink()
    shown.symlink_to("/nowhere")
    (check,) = (check for check in from_hub.maintenance.doctor() if check.name == "apps")
    assert (check.state, str(shown) in check.text) == ("warn", True)
    from_hub.unlink("hf")
    assert [path for path in place.rglob("*") if not path.is_dir()] == [shown]


def test_a_link_that_the_user_replaced_is_the_users(manager: modelpm.Manager, place: Path) -> None:
    manager.link("gpt4all", "m", app_dir=place)
    shown = place / "m.Q4_K_M.gguf"
    shown.unlink()
    shown.write_bytes(b"mine")
    checks = {(check.name, check.state): check for check in manager.maintenance.doctor()}
    assert checks["apps", "warn"].cure == f"modelpm link gpt4all m --app-dir {place}"
    with pytest.raises(StoreError, check=coded("in_the_way")):
        manager.link("gpt4all", "m", app_dir=place)
    assert "stayed: it was changed" in manager.unlink("gpt4all", "m").changes[0].note
    assert shown.read_bytes() == b"mine"
    assert below(place) == {"m.Q4_K_M.gguf"}


def test_what_the_program_removed_is_linked_again(manager: modelpm.Manager, place: Path) -> None:
    manager.link("gpt4all", "m", app_dir=place)
    (place / "m.Q4_K_M.gguf").unlink()
    assert any(check.name == "apps" and check.state == "warn" for check in manager.maintenance.doctor())
    assert manager.link("gpt4all", "m", app_dir=place).changes[0].action == "link"
    assert [check.state for check in manager.maintenance.doctor() if check.name == "apps"] == ["ok"]


def test_a_file_of_the_program_with_the_same_bytes_stays_its_own(manager: modelpm.Manager, place: Path) -> None:
    own = place / "m.Q4_K_M.gguf"
    own.write_bytes(manager.path("m").read_bytes())
    manager.link("gpt4all", "m", app_dir=place)
    manager.unlink("gpt4all", "m")
    assert below(place) == {"m.Q4_K_M.gguf"}


def test_nothing_is_linked_through_a_symlink(manager: modelpm.Manager, tmp_path: Path, place: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (place / "modelpm").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, check=coded("symlink")):
        manager.link("lmstudio", "m", app_dir=place)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_store_that_moves_takes_its_links_along(manager: modelpm.Manager, tmp_path: Path, place: Path) -> None:
    manager.link("gpt4all", "m", app_dir=place)
    manager.maintenance.move_store(tmp_path / "moved")
    assert is_shared(place / "m.Q4_K_M.gguf", manager)
    assert manager.link("gpt4all", ["m"], app_dir=place).changes[0].action == "reuse"


def test_a_model_that_is_renamed_is_unlinked_by_its_new_name(manager: modelpm.Manager, place: Path) -> None:
    manager.link("gpt4all", "m", app_dir=place)
    manager.rename("m", "n")
    with pytest.raises(NotFound, check=coded("not_linked")):
        manager.unlink("gpt4all", "m")
    manager.unlink("gpt4all", "n")
    assert not below(place)


def test_names_and_programs_that_are_not_there_are_errors(manager: modelpm.Manager, place: Path) -> None:
    with pytest.raises(UsageError, match="no plugin serves the program `lmstudo`") as caught:
        manager.link("lmstudo", "m", app_dir=place)
    assert "lmstudio" in caught.value.hints[0]
    with pytest.raises(UsageError, match="no plugin serves the program `x`"):
        manager.unlink("x")
    with pytest.raises(NotFound, check=coded("not_installed")):
        manager.link("lmstudio", "absent", app_dir=place)
    for given in ({"names": ["m"], "all": True}, {}):
        with pytest.raises(UsageError, match="needs the names of models, or --all"):
            manager.link("lmstudio", **given)  # type: ignore[arg-type]
    assert manager.unlink("lmstudio").changes == ()


def test_all_means_what_the_program_can_use(manager: modelpm.Manager, tmp_path: Path, place: Path) -> None:
    manager.install(folder_of(tmp_path / "src" / "t", {"model.safetensors": noise(500), "config.json": b"{}"}))
    result = manager.link("ollama", all=True, app_dir=place)
    assert [change.name for change in result.changes] == ["m"]
    assert not result.errors
    assert "left out t: Ollama reads files of gguf" in result.notes[0]
    (error,) = manager.link("ollama", ["t"], app_dir=place).errors
    assert error.exit_code == 2


ROGUE = """
from pathlib import Path
from modelpm.api import hookimpl
from modelpm.api.exporting import Alias, Link, Text

class Rogue:
    title = "Rogue"
    def folders(self):
        return [Path("/nowhere")]
    def plan(self, model, facts, folder):
        return {plan}

@hookimpl
def modelpm_exporter(name):
    return Rogue()
"""
PLANS = {
    '[Link("../x", model.files[0].path)]': "it has the part",
    '[Link("/etc/x", model.files[0].path)]': "it is absolute",
    '[Link("a", "not-a-file")]': "a file that the model does not have",
    '[Alias("a", "b")]': "an alias of what is not linked",
    '[Text("a", "x"), Text("A", "y")]': "are the same on some file systems",
    '[Text("a", "x" * (2 << 20))]': "a text of 2,097,152 characters",
    '[Text("a", b"x")]': "bytes as text",
    '["a"]': "a str as entry",
    "7": "not iterable",
}


@pytest.mark.parametrize("plan", PLANS)
def test_a_plugin_that_plans_nonsense_is_named(tmp_path: Path, plan: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"rogue{sorted(PLANS).index(plan)}"
    monkeypatch.syspath_prepend(
        str(distribution(tmp_path / "site", name, "exporter", "rogue", ROGUE.replace("{plan}", plan)))
    )
    with manager_in(tmp_path) as manager:
        manager.install(folder_of(tmp_path / "src" / "m", GGUF))
        (tmp_path / "program").mkdir()
        with pytest.raises(PluginError) as caught:
            manager.link("rogue", "m", app_dir=tmp_path / "program")
        assert name in str(caught.value)
        assert PLANS[plan] in str(caught.value)
        assert not list((tmp_path / "program").iterdir())


def test_the_audit_log_has_every_link(manager: modelpm.Manager, place: Path) -> None:
    manager.link("gpt4all", "m", app_dir=place)
    manager.unlink("gpt4all", "m")
    with pytest.raises(ModelpmError):
        manager.unlink("gpt4all", "m")
    ((_, log),) = manager.audit_logs()
    told = [(r["action"], r["success"], r["details"].get("app")) for r in log.records() if "link" in r["action"]]
    assert told == [
        ("link", None, "gpt4all"), ("link", True, "gpt4all"),
        ("unlink", None, "gpt4all"), ("unlink", True, "gpt4all"), ("unlink", False, None),
    ]  # fmt: skip


# ---------------------------------------------------------------------- the command


def test_the_commands_say_and_print_what_they_did(run: Run, home: Path) -> None:  # noqa: F811 - a fixture
    models = home / ".lmstudio/models"
    models.mkdir(parents=True)
    assert run("install", "tiny").exit_code == 0
    row = next(row for row in json.loads(run("apps", "--json").stdout)["items"] if row["app"] == "lmstudio")
    assert row == {"app": "lmstudio", "title": "LM Studio", "found": True, "dir": str(models), "models": []}
    assert f"would appear in {models} for lmstudio" in run("link", "lmstudio", "tiny", "--dry-run").stderr
    (change,) = json.loads(run("link", "lmstudio", "--all", "--json").stdout)["changes"]
    assert (change["action"], change["app"], change["path"]) == ("link", "lmstudio", str(models))
    assert "tiny is already in" in run("link", "lmstudio", "tiny").stderr
    assert "tiny" in run("apps").stdout
    assert f"from {models} for lmstudio" in run("unlink", "lmstudio").stderr
    assert "nothing is linked for lmstudio" in run("unlink", "lmstudio").stderr
    assert run("unlink", "lmstudio", "tiny").exit_code == 5
    assert run("link", "lmstudio").exit_code == 2
