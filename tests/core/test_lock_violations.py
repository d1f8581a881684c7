"""A lock is hostile text: what its sources, files, licences and folder may not be, in every mode, and the cure."""

import hashlib
import json
import pickle
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import modelpm
from modelpm.api.folder_catalog import FolderCatalog
from modelpm.api.types import Context
from modelpm.catalog import Catalogs
from modelpm.errors import CheckFailedError, Denied, IntegrityError, ModelpmError
from modelpm.library.project import Project
from modelpm.lockfile.file import Lock, parse_lock
from modelpm.lockfile.model import LockedFile, LockedModel
from modelpm.lockfile.requirement import Requirement
from modelpm.plugins.discovery import scan
from modelpm.plugins.registry import Registry
from modelpm.project.lock_rules import is_clearly_of
from modelpm.project.provenance import Judge
from modelpm.results.report import Result
from modelpm.text.spec import UriSpec, parse_spec
from tests.support.catalogs import file, model, release, variant, write_catalog
from tests.support.codes import coded
from tests.support.hub import Hub
from tests.support.models import holding
from tests.support.projects import Shop, stocked_shop

C40 = "c" * 40


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return stocked_shop(tmp_path / "home", tmp_path / "shop")


@pytest.fixture
def manager(tmp_path: Path, shop: Shop) -> modelpm.Manager:  # noqa: ARG001 - is offered there
    return modelpm.Manager(home=tmp_path / "home", offline=True)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Return a folder with a good file, and beside it one that is not wanted."""
    for name in ("good/w.safetensors", "good-evil/w.safetensors", "evil.bin"):
        path = tmp_path / "weights" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(holding(name, pickle.dumps(name)))
    return tmp_path / "weights"


def locked_as(path: Path, name: str, spec: str, source: str, **facts: Any) -> LockedModel:
    data = path.read_bytes()
    return LockedModel(
        "m", Requirement(spec), (LockedFile(name, len(data), hashlib.sha256(data).hexdigest(), (source,)),), **facts
    )


def project_with(manager: modelpm.Manager, root: Path, lock: Lock, manifest: str) -> Project:
    root.mkdir(exist_ok=True)
    (root / "models.toml").write_text(manifest)
    (root / "models.lock").write_text(lock.render())
    return manager.project(root)


def refusals(project: Project) -> dict[str, tuple[int, str]]:
    """Return how each mode refuses: exit code and code."""
    acts: dict[str, Callable[[], Result[Any]]] = {
        "check": project.check_lock,
        "locked": partial(project.sync, locked=True),
        "sync": project.sync,
        "frozen": partial(project.sync, frozen=True),
        "ensure": partial(project.sync, only=["m"]),
    }
    found = {}
    for name, act in acts.items():
        try:
            report = act()
            found[name] = (report.errors[0].exit_code if report.errors else 0, "")
        except ModelpmError as error:
            found[name] = (error.exit_code, error.code)
    return found


ELSEWHERE = {
    "check": (3, "lock_drift"),
    "locked": (3, "lock_drift"),
    "sync": (4, "lock_source"),
    "frozen": (4, "lock_source"),
    "ensure": (4, "lock_source"),
}


@pytest.mark.parametrize(
    "source",
    [
        "file://{root}/evil.bin",
        "file://{root}/good-evil/w.safetensors",
        "file://{root}/good/../evil.bin",
        "file://{root}/good/%2e%2e/evil.bin",
        "file://{root}/good/x/%2E%2e/../evil.bin",
        "FILE://{root}/evil.bin",
        "https://evil.example/good/w.safetensors",
        "hf://evil/good@main/w.safetensors",
        "pkg://modelpm/lock/w.safetensors",
        "nowhere://{root}/good/w.safetensors",
        "no reference",
    ],
)
def test_a_source_that_is_not_of_its_spec_is_refused_and_locked_again(
    manager: modelpm.Manager, tmp_path: Path, weights: Path, source: str
) -> None:
    spec = f"file://{weights}/good"
    model = locked_as(weights / "evil.bin", "w.safetensors", spec, source.format(root=weights), format="safetensors")
    project = project_with(manager, tmp_path / "p", Lock().changed(put=[model]), f'[models]\nm = "{spec}"\n')
    assert refusals(project) == ELSEWHERE
    assert not (project.root / "models").exists()
    report = project.lock()
    assert "does not belong to its spec" in report.warnings[0]
    assert not project.sync().errors
    assert project.path("m").read_bytes() == (weights / "good/w.safetensors").read_bytes()


def test_an_upstream_that_is_not_of_its_spec_is_refused(
    manager: modelpm.Manager, tmp_path: Path, weights: Path
) -> None:
    spec = f"file://{weights}/good"
    source, upstream = f"{spec}/w.safetensors", f"file://{weights}/good-evil"
    model = locked_as(weights / "good/w.safetensors", "w.safetensors", spec, source, upstream=upstream)
    project = project_with(manager, tmp_path / "p", Lock().changed(put=[model]), f'[models]\nm = "{spec}"\n')
    assert refusals(project) == ELSEWHERE


def test_a_renamed_key_does_not_hide_a_source(manager: modelpm.Manager, tmp_path: Path, weights: Path) -> None:
    spec = f"file://{weights}/good"
    model = locked_as(weights / "evil.bin", "w.safetensors", spec, f"file://{weights}/evil.bin")
    project = project_with(manager, tmp_path / "p", Lock().changed(put=[model]), f'[models]\nother = "{spec}"\n')
    with pytest.raises(IntegrityError, check=coded("lock_source")):
        project.sync()


REGISTRY = Registry(scan(), lambda _kind, _name: Context())


@dataclass(frozen=True)
class Known:
    """Plugins and catalogs that are there already."""

    registry: Registry
    catalogs: Catalogs


OWNERS = st.sampled_from(["acme", "acm", "evil", "acme2"])
NAMES = st.sampled_from(["x", "y", "x-evil", "x.y", ".."])
TAILS = st.sampled_from(
    ["", "@" + C40, "@v1", "/x", "@v1/w.gguf", "/w.gguf", ":Q4_K_M", "#a", "?a=b", "/../y", "@../x"]
)


@given(
    st.sampled_from(["hf", "https", "file", "pkg", "nowhere"]),
    OWNERS,
    NAMES,
    TAILS,
    OWNERS,
    NAMES,
    TAILS,
)
def test_what_is_clear_from_the_texts_is_what_the_source_says(
    scheme: str, owner: str, name: str, tail: str, owner2: str, name2: str, tail2: str
) -> None:
    start = f"{scheme}://" + ("/" if scheme == "file" else "")
    spec, found = f"{start}{owner}/{name}{tail}", f"{start}{owner2}/{name2}{tail2}"
    if ".." in spec or not is_clearly_of(spec, found, "w.gguf"):
        return
    assert (owner, name) == (owner2, name2) or f"{owner}/{name}{tail}".startswith(f"{owner2}/{name2}")
    judge = Judge(Known(REGISTRY, Catalogs([])))
    read = parse_spec(spec)
    if scheme != "nowhere" and judge._parsed(spec) and judge._parsed(found):  # noqa: SLF001 - the other way to tell
        assert isinstance(read, UriSpec)
        assert judge._is_of(read, found)  # noqa: SLF001 - as above


@pytest.mark.parametrize("format_", ["pickle", "safetensors", "ggml"])
def test_files_that_can_run_code_need_the_manifests_word(
    manager: modelpm.Manager, tmp_path: Path, weights: Path, format_: str
) -> None:
    spec = f"file://{weights}/evil.bin"
    model = locked_as(weights / "evil.bin", "evil.bin", spec, spec, upstream=spec, format=format_)
    lock = Lock().changed(put=[model])
    project = project_with(manager, tmp_path / "p", lock, f'[models]\nm = "{spec}"\n')
    refused = dict.fromkeys(("locked", "sync", "frozen", "ensure"), (7, ""))
    assert refusals(project) == {"check": (0, ""), **refused}  # the texts say nothing of the bytes
    # The lock's own word counts where no manifest is opened only.
    (project.root / "models.lock").write_text(
        lock.render().replace("digest =", 'allow = [\n    "pickle",\n]\ndigest =')
    )
    project = manager.project(project.root)
    said = dict.fromkeys(("check", "locked"), (3, "lock_drift"))
    assert refusals(project) == {**said, "sync": (7, ""), "frozen": (0, ""), "ensure": (7, "pickle")}


def _refused(act: Callable[[], object]) -> ModelpmError:
    with pytest.raises(ModelpmError) as caught:
        act()
    return caught.value


def test_the_word_is_written_to_manifest_and_lock_and_the_hint_works(
    manager: modelpm.Manager, tmp_path: Path, weights: Path
) -> None:
    spec = f"file://{weights}/evil.bin"
    root = tmp_path / "p"
    project = project_with(manager, root, Lock(), "[models]\n")
    (root / "models.lock").unlink()
    (error,) = project.add([spec], name="m").errors
    hint = error.hints[0].partition(": ")[2]
    assert shlex.split(hint) == ["modelpm", "add", spec, "--as", "m", "--allow-pickle"]
    assert not project.add([spec], name="m", allow_pickle=True).errors
    assert 'allow = ["pickle"]' in (root / "models.toml").read_text()
    text = (root / "models.lock").read_text()
    keys = [line.partition(" = ")[0] for line in text.splitlines() if " = " in line and not line.startswith(" ")]
    assert keys[1:8] == ["name", "spec", "upstream", "format", "allow", "entry-point", "digest"]
    assert parse_lock(text, "x").models[0].allow == ("pickle",)
    assert set(refusals(project).values()) == {(0, "")}
    before = text
    assert project.add([spec], name="m", allow_pickle=True).lock_action == "unchanged"
    assert (root / "models.lock").read_text() == before
    # Without the manifest's word the lock's own is too much.
    (root / "models.toml").write_text((root / "models.toml").read_text().replace(', allow = ["pickle"]', ""))
    assert refusals(project)["sync"] == (7, "pickle")


def test_a_lock_of_before_goes_on_and_is_completed(manager: modelpm.Manager, tmp_path: Path, weights: Path) -> None:
    spec = f"file://{weights}/evil.bin"
    model = locked_as(weights / "evil.bin", "evil.bin", spec, spec, upstream=spec, format="pickle")
    manifest = f'[settings]\nallow-formats = ["pickle"]\n[models]\nm = "{spec}"\n'
    project = project_with(manager, tmp_path / "p", Lock().changed(put=[model]), manifest)
    assert "allow" not in (project.root / "models.lock").read_text()
    (error,) = project.sync(frozen=True).errors
    assert (error.exit_code, error.code) == (7, "pickle")
    project.check_lock()
    assert not project.sync(locked=True).errors
    assert project.lock().lock_action == "updated"
    assert set(refusals(project).values()) == {(0, "")}


def test_a_word_that_nothing_needs_is_said_and_taken_out(
    manager: modelpm.Manager, tmp_path: Path, weights: Path
) -> None:
    spec = f"file://{weights}/good"
    source = f"{spec}/w.safetensors"
    model = locked_as(
        weights / "good/w.safetensors", "w.safetensors", spec, source, upstream=spec, format="safetensors"
    )
    text = Lock().changed(put=[model]).render().replace("digest =", 'allow = ["pickle"]\ndigest =')
    project = project_with(manager, tmp_path / "p", Lock(), f'[models]\nm = "{spec}"\n')
    (project.root / "models.lock").write_text(text)
    with pytest.raises(CheckFailedError, match="the lock allows pickle, and the manifest does not"):
        project.check_lock()
    assert project.lock().lock_action == "updated"
    assert "allow" not in (project.root / "models.lock").read_text()


def test_what_was_installed_with_the_word_is_locked_with_it_and_stays_allowed(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    hub.add("acme/both", {"a.bin": pickle.dumps({"a": 1})})
    hub.add("acme/plain", {"a.bin": b"\0\0numbers"})
    manager = modelpm.Manager(home=tmp_path / "home")
    manager.install("hf://acme/both", allow_pickle=True)
    with pytest.raises(Denied, check=coded("pickle")):
        manager.install("hf://acme/both", name="second")
    manager.install("hf://acme/plain", allow_pickle=True)  # needs no word, and gets none
    lock = manager.environment.read()
    assert [(m.name, m.allow) for m in lock.models] == [("both", ("pickle",)), ("plain", ())]
    assert manager.outdated().rows == ()
    hub.add("acme/both", {"a.bin": pickle.dumps({"a": 2})})
    hub.add("acme/plain", {"a.bin": pickle.dumps({"a": 3})})
    manager = modelpm.Manager(home=tmp_path / "home")
    assert [(error.code, error.details["name"]) for error in manager.upgrade().errors] == [("pickle", "plain")]
    assert [(m.name, m.allow) for m in manager.environment.read().models] == [("both", ("pickle",)), ("plain", ())]


def test_a_licence_that_is_a_text_is_not_stored_and_refused_where_it_stands(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, manager: modelpm.Manager, weights: Path
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    hub.add("acme/long", {"w.gguf": holding("w.gguf", b"w")}, license="mit OR " + "x" * 194)
    hub.add("acme/fits", {"w.gguf": holding("w.gguf", b"w")}, license="x" * 200)
    with modelpm.Manager(home=tmp_path / "online") as online:
        report = online.install(["hf://acme/long", "hf://acme/fits"])
        assert "counts as unknown: it has 201 characters" in report.warnings[0]
        assert [m.license for m in online.environment.read().models] == ["x" * 200, ""]
    spec = f"file://{weights}/good"
    model = locked_as(weights / "good/w.safetensors", "w.safetensors", spec, f"{spec}/w.safetensors", license="x" * 201)
    project = project_with(manager, tmp_path / "p", Lock().changed(put=[model]), f'[models]\nm = "{spec}"\n')
    assert refusals(project)["check"] == (3, "lock_drift")
    assert refusals(project)["sync"] == refusals(project)["frozen"] == (7, "policy")
    assert not project.lock().errors
    project.check_lock()


@pytest.mark.parametrize("entry", ["code.py", ".github", "m/other.bin"])
def test_a_folder_that_is_there_and_not_ours_is_no_view(
    manager: modelpm.Manager, tmp_path: Path, weights: Path, entry: str
) -> None:
    spec = f"file://{weights}/good"
    root = tmp_path / "p"
    (root / "src").mkdir(parents=True)
    (root / "src" / entry).parent.mkdir(exist_ok=True)
    (root / "src" / entry).write_text("mine")
    (root / "models.toml").write_text(f'[models]\nm = "{spec}"\n')
    project = manager.project(root)
    project.lock()
    lock = (root / "models.lock").read_text()
    (root / "models.lock").write_text(lock.replace("version = 1\n", 'version = 1\ndir = "src"\n'))
    project = manager.project(root)
    found = refusals(project)
    assert found["check"] == found["locked"] == (3, "lock_drift")
    assert found["sync"] == found["frozen"] == (4, "lock_dir")
    (root / "models.toml").write_text(f'[settings]\ndir = "src"\n[models]\nm = "{spec}"\n')
    assert refusals(project)["check"] == (3, "lock_drift")
    assert refusals(project)["sync"] == (4, "lock_dir")
    assert {p.relative_to(root / "src").as_posix() for p in (root / "src").rglob("*") if p.is_file()} == {entry}
    (root / "models.toml").write_text(f'[settings]\ndir = "weights/new"\n[models]\nm = "{spec}"\n')
    assert not project.lock().errors
    assert not project.sync().errors
    (root / "weights/new/.modelpm.json").unlink()  # a view that lost its ledger is known by its files
    assert not manager.project(root).sync().errors
    (root / "weights/new/notes.txt").write_text("mine")  # with a ledger, somebody's files may lie beside
    assert set(refusals(manager.project(root)).values()) == {(0, "")}


def test_a_bundles_folder_is_not_the_projects(manager: modelpm.Manager, tmp_path: Path, shop: Shop) -> None:
    assert shop.folder.exists()
    (tmp_path / "p").mkdir()
    (tmp_path / "p/models.toml").write_text('[settings]\ndir = "src/pkg"\n[models]\nchat = "acme/chat"\n')
    project = manager.project(tmp_path / "p")
    project.sync()
    manager.bundle(tmp_path / "b.tar", project=project)
    for name, text, folder in (("q", "", None), ("r", '[settings]\ndir = "weights"\n', "weights")):
        root = tmp_path / name
        (root / "src/pkg").mkdir(parents=True)
        (root / "src/pkg/mine.py").write_text("")
        (root / "models.toml").write_text(f'{text}[models]\nchat = "acme/chat"\n')
        there = manager.project(root)
        manager.import_(tmp_path / "b.tar", project=there)
        assert not manager.project(root, frozen=True).sync(frozen=True).errors
        assert (root / (folder or "models") / "chat/model.gguf").is_file()
        assert [p.name for p in (root / "src/pkg").iterdir()] == ["mine.py"]


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    entry = model(
        "a",
        release=[
            release("1.0", variant=[variant(file=[file(), file("v.gguf", sources=["https://cdn.example/x/v.gguf"])])]),
            release("2.0", variant=[variant(upstream="hf://moved/a@" + C40)]),
        ],
    )
    folder = write_catalog(
        tmp_path / "acme", [entry, model("b", release=[release(variant=[variant(upstream="ms://o/b")])])]
    )
    return Judge(Known(REGISTRY, Catalogs([("acme", lambda: FolderCatalog(folder))])))


@pytest.mark.parametrize(
    ("source", "refused", "said"),
    [
        (f"hf://acme/a@{C40}/a.gguf", False, False),
        (f"hf://acme/a@{'d' * 40}/a.gguf", False, False),
        ("hf://moved/a@v2/a.gguf", False, False),
        ("https://cdn.example/x/v.gguf", False, False),
        (f"hf://gone/a@{C40}/a.gguf", False, True),
        ("https://cdn.example/y/v.gguf", False, True),
        ("ms://o/b/a.gguf", False, True),
        ("file:///etc/passwd", True, False),
        ("https://cdn.example/x/v.gguf/../../evil", False, True),
        ("http://cdn.example/x/v.gguf", True, False),
        ("https://127.0.0.1/x", True, False),
        ("https://[::1]/x", True, False),
        ("https://127.1/x", True, False),
        ("https://0x7f000001/x", True, False),
        ("https://2130706433/x", True, False),
        ("https://localhost:8000/x", True, False),
        ("https://user@10.0.0.1/x", True, False),
        ("https://169.254.169.254/latest", True, False),
        ("s3://bucket/x", True, False),
    ],
)
def test_what_an_entry_does_not_name_is_said_and_some_of_it_refused(
    judge: Judge, source: str, *, refused: bool, said: bool
) -> None:
    locked = LockedModel(
        "a",
        Requirement("acme/a"),
        (LockedFile("a.gguf", 5, "ab" * 32, (source,)),),
        catalog="acme",
        id="a",
        release="1.0",
    )
    violations, moved = judge.entries([locked])
    assert (bool(violations), bool(moved)) == (refused, said)
    elsewhere, _ = judge.entries([LockedModel("a", Requirement("nobodys/a"), locked.files)])
    assert bool(elsewhere) == (refused and not source.startswith(("s3", "http://cdn")))


def test_a_catalogs_sources_count_where_bytes_are_missing(
    manager: modelpm.Manager, tmp_path: Path, shop: Shop, weights: Path
) -> None:
    root = tmp_path / "p"
    root.mkdir()
    (root / "models.toml").write_text('[models]\nm = "acme/chat@1.0"\n')
    manager.project(root).lock()
    text = (root / "models.lock").read_text()
    assert refusals(manager.project(root))["locked"] == (0, "")
    data = (weights / "evil.bin").read_bytes()
    good = parse_lock(text, "x").models[0]
    evil = LockedFile("model.gguf", len(data), hashlib.sha256(data).hexdigest(), (f"file://{weights}/evil.bin",))
    lock = Lock().changed(put=[LockedModel(files=(evil,), **good.facts())])
    (root / "models.lock").write_text(lock.render())
    found = refusals(manager.project(root))
    assert (found["check"], found["locked"]) == ((0, ""), (3, "lock_drift"))  # the check opens no catalog
    assert found["sync"] == found["frozen"] == (4, "lock_source")
    assert shop.folder.exists()


def test_the_built_in_catalog_has_no_local_sources(manager: modelpm.Manager, tmp_path: Path, weights: Path) -> None:
    source = f"file://{weights}/evil.bin"
    model = locked_as(weights / "evil.bin", "tiny.gguf", "core/tiny", source, catalog="core", id="tiny", format="gguf")
    project = project_with(manager, tmp_path / "p", Lock().changed(put=[model]), '[models]\nm = "core/tiny"\n')
    assert refusals(project) == ELSEWHERE


def test_the_command_has_the_word_and_json_has_the_reason(
    modelpm: Callable[..., Any], tmp_path: Path, weights: Path
) -> None:
    run = modelpm
    (tmp_path / "models.toml").write_text("[models]\n")
    refused = run("--json", "add", f"file://{weights}/evil.bin", "--as", "m")
    assert refused.code == 7, refused.stderr
    (error,) = json.loads(refused.stdout)["errors"]
    command = shlex.split(error["hints"][0].partition(": ")[2])
    assert run(*command[1:]).code == 0
    assert run("sync", "--locked").code == 0


def test_a_bundles_word_does_not_count_in_a_project_either(manager: modelpm.Manager, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.bin").write_bytes(pickle.dumps({"a": 1}))
    one = manager.init(tmp_path / "one")
    one.add([(tmp_path / "src").as_uri()], name="code", allow_pickle=True)
    manager.bundle(tmp_path / "b.tar", project=one)
    stranger = modelpm.Manager(home=tmp_path / "elsewhere")
    other = stranger.init(tmp_path / "other")
    with pytest.raises(Denied):
        stranger.import_(tmp_path / "b.tar", project=other)
    assert "code" not in (tmp_path / "other" / "models.lock").read_text()
    assert manager.import_(tmp_path / "b.tar", project=one).rows  # whose own lock has the word
