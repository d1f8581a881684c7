"""``adopt``: what other programs have becomes installed models, and their files stay as they are."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import modelpm
from modelpm.errors import NotFound, StoreError, UsageError
from modelpm.store.blobs import blobs
from modelpm.store.blobs.probe import link_kind
from tests.core.test_cli_commands import Run, run  # noqa: F401 - a fixture
from tests.support.codes import coded
from tests.support.models import folder_of, holding, manager_in, noise
from tests.support.plugged import distribution

GGUF, PROJECTOR = holding("a.gguf", noise(5000, 1)), holding("b.gguf", noise(300, 2))
COMMIT = "a1" * 20


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[modelpm.Manager]:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    with manager_in(tmp_path) as made:
        yield made


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "program").mkdir()
    return tmp_path / "program"


def facts(folder: Path) -> dict[str, tuple[int, int, int, int]]:
    """Return what a program could notice of its files."""
    found = {path: path.lstat() for path in folder.rglob("*")}
    return {str(path): (f.st_ino, f.st_mode, f.st_size, f.st_mtime_ns) for path, f in found.items()}


def ollama(folder: Path, name: str, tag: str, **layers: bytes) -> None:
    """Write a model as Ollama does."""
    rows = []
    for kind, data in layers.items():
        digest = hashlib.sha256(data).hexdigest()
        (folder / "blobs").mkdir(exist_ok=True)
        (folder / f"blobs/sha256-{digest}").write_bytes(data)
        media = f"application/vnd.ollama.image.{kind}"
        rows.append({"mediaType": media, "digest": f"sha256:{digest}", "size": len(data)})
    manifest = folder / "manifests/registry.ollama.ai/library" / name / tag
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"schemaVersion": 2, "layers": rows}))


def test_ollamas_models_get_their_names_and_its_store_stays_as_it_is(manager: modelpm.Manager, place: Path) -> None:
    ollama(place, "llava", "7b", model=GGUF, projector=PROJECTOR, template=b"{{ .Prompt }}")
    ollama(place, "tiny-one", "latest", model=holding("a.gguf", noise(800, 3)))
    before = facts(place)
    result = manager.adopt("ollama", app_dir=place)
    assert {change.name for change in result.changes} == {"llava-7b", "tiny-one"}
    assert facts(place) == before
    assert manager.path("llava-7b").read_bytes() == GGUF
    assert manager.path("llava-7b", role="projector").read_bytes() == PROJECTOR
    assert all(row.ok for row in manager.verify().rows)
    assert not manager.outdated().errors
    assert {change.action for change in manager.adopt("ollama", app_dir=place).changes} == {"reuse"}


def test_what_is_adopted_can_be_linked_and_its_own_file_stays_the_programs(
    manager: modelpm.Manager, place: Path, tmp_path: Path
) -> None:
    ollama(place, "m", "latest", model=GGUF)
    manager.adopt("ollama", app_dir=place)
    (tmp_path / "gpt4all").mkdir()
    manager.link("gpt4all", "m", app_dir=tmp_path / "gpt4all")
    assert (tmp_path / "gpt4all/m.gguf").read_bytes() == GGUF
    result = manager.link("ollama", ["m"], app_dir=place)
    assert "left as they are" in result.warnings[0]
    assert "library/m/latest" in result.warnings[0]
    manager.unlink("ollama", ["m"])
    assert (place / f"blobs/sha256-{hashlib.sha256(GGUF).hexdigest()}").read_bytes() == GGUF
    assert (place / "manifests/registry.ollama.ai/library/m/latest").is_file()


@pytest.mark.parametrize("layout", ["blobs", "shared blobs", "no symlinks"])
def test_the_hubs_cache_is_adopted_in_every_layout_that_the_library_writes(
    manager: modelpm.Manager, place: Path, layout: str
) -> None:
    repo = place / "models--acme--mini"
    snapshot = repo / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    for name, data in {"model.safetensors": holding("m.safetensors", noise(900)), "config.json": b"{}"}.items():
        digest = hashlib.sha256(data).hexdigest()
        real = {"blobs": repo / "blobs" / digest, "shared blobs": place / "blobs" / digest[:2] / digest}.get(layout)
        if real is None:
            (snapshot / name).write_bytes(data)
            continue
        real.parent.mkdir(parents=True, exist_ok=True)
        real.write_bytes(data)
        blob = repo / "blobs" / digest
        if blob != real:
            blob.parent.mkdir(exist_ok=True)
            blob.symlink_to(os.path.relpath(real, blob.parent))
        (snapshot / name).symlink_to(f"../../blobs/{digest}")
    before = facts(place)
    (change,) = manager.adopt("hf", app_dir=place).changes
    assert change.name == "mini"
    assert facts(place) == before
    (model,) = manager.installed()
    assert {file.path for file in model.files} == {"model.safetensors", "config.json"}
    assert any(
        source == f"hf://acme/mini@{COMMIT}/model.safetensors" for file in model.files for source in file.sources
    )


@pytest.mark.parametrize(
    ("app", "path", "name"),
    [
        ("lmstudio", "pub/Foo-GGUF/foo-7b.Q4_K_M.gguf", "foo-7b.q4_k_m"),
        ("llama.cpp", "pub_Foo-GGUF_foo-7b.Q4_K_M.gguf", "foo-7b.q4_k_m"),
        ("jan", "llamacpp/models/foo-7b/model.gguf", "foo-7b"),
        ("jan", "llamacpp/models/foo/foo-7b.Q4_K_M.gguf", "foo-7b.q4_k_m"),
        ("gpt4all", "foo-7b.Q4_K_M.gguf", "foo-7b.q4_k_m"),
        ("textgen", "user_data/models/foo-7b.Q4_K_M.gguf", "foo-7b.q4_k_m"),
        ("comfyui", "models/unet/foo-7b.Q4_K_M.gguf", "foo-7b.q4_k_m"),
    ],
)
def test_every_programs_models_are_found(manager: modelpm.Manager, place: Path, app: str, path: str, name: str) -> None:
    folder_of(place, {path: GGUF})
    (place / "id_rsa").write_text("secret")
    before = facts(place)
    result = manager.adopt(app, app_dir=place)
    assert [change.name for change in result.changes] == [name]
    assert facts(place) == before
    assert manager.path(name).read_bytes() == GGUF
    (row,) = result.rows
    assert (row.app, row.dir, row.files, row.bytes) == (app, place, 1, len(GGUF))


def test_a_dry_run_takes_nothing(manager: modelpm.Manager, place: Path) -> None:
    folder_of(place, {"a.gguf": GGUF})
    result = manager.adopt("gpt4all", app_dir=place, dry_run=True)
    assert [(change.action, change.name) for change in result.changes] == [("install", "a")]
    assert manager.installed() == ()
    assert not list(manager.store.blobs())


def test_hardlink_shares_the_file_and_says_what_that_saves(manager: modelpm.Manager, place: Path) -> None:
    folder_of(place, {"a.gguf": GGUF})
    (row,) = manager.adopt("gpt4all", app_dir=place, hardlink=True).rows
    assert (row.saved, row.copied) == (len(GGUF), 0)
    (model,) = manager.installed()
    shown = place / "a.gguf"
    if link_kind(manager.store.layout, place, "file") != "reflink":
        assert os.path.samestat(shown.stat(), manager.store.blob(model.files[0].sha256).stat())
        assert shown.stat().st_mode & 0o222 == 0


def test_without_it_the_store_has_a_copy_and_the_mode_stays(manager: modelpm.Manager, place: Path) -> None:
    folder_of(place, {"a.gguf": GGUF})
    (row,) = manager.adopt("gpt4all", app_dir=place).rows
    if link_kind(manager.store.layout, place, "file") != "reflink":
        assert (row.saved, row.copied) == (0, len(GGUF))
    (again,) = manager.adopt("gpt4all", app_dir=place, hardlink=True).rows
    assert again.copied == 0
    assert (place / "a.gguf").stat().st_mode & 0o200


def test_a_file_that_changes_while_it_is_shared_is_refused(
    manager: modelpm.Manager, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_of(place, {"a.gguf": GGUF})
    digest = blobs.digest

    def hashed(path: Path, *_: object) -> blobs.Hashed:
        found = digest(path)
        with (place / "a.gguf").open("ab") as file:
            file.write(b"more")
        return found

    manager.store.open()
    if link_kind(manager.store.layout, place, "file") == "reflink":
        pytest.skip("a clone is not changed with its file")
    monkeypatch.setattr(blobs, "digest", hashed)
    with pytest.raises(StoreError, match="changed while it was read"):
        manager.adopt("gpt4all", app_dir=place, hardlink=True)
    assert not list(manager.store.blobs())


def test_a_path_with_two_dots_is_written_without_them(manager: modelpm.Manager, place: Path) -> None:
    (place / "own.gguf").write_bytes(holding("own.gguf", b"own"))
    manager.adopt("gpt4all", app_dir=place / ".." / place.name)
    (model,) = manager.environment.read().models
    assert model.requirement.text == (place / "own.gguf").as_uri()


def test_a_folder_without_models_and_a_program_that_tells_none_are_errors(
    manager: modelpm.Manager, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "notes.txt").write_text("x")
    with pytest.raises(NotFound, match="holds no models", check=coded("no_weights")):
        manager.adopt("gpt4all", app_dir=place)
    with pytest.raises(NotFound, check=coded("no_app_folder")) as caught:
        manager.adopt("gpt4all")
    assert caught.value.hints == ("name its folder: modelpm adopt gpt4all --app-dir PATH",)
    monkeypatch.syspath_prepend(str(distribution(tmp_path / "site", "mute", "exporter", "mute", MUTE)))
    with manager_in(tmp_path / "second") as other, pytest.raises(UsageError, match="of Mute does not tell"):
        other.adopt("mute", app_dir=place)


MUTE = """
from modelpm.api import hookimpl

class Mute:
    title = "Mute"
    def folders(self): return []
    def plan(self, model, facts, folder): return []

@hookimpl
def modelpm_exporter(name):
    return Mute()
"""


def test_the_command_names_what_it_found_and_what_that_saved(run: Run, home: Path) -> None:  # noqa: F811 - a fixture
    place = home / ".local/share/nomic.ai/GPT4All"
    folder_of(place, {"a.gguf": GGUF})
    dry = run("adopt", "gpt4all", "--dry-run")
    assert "would be adopted" in dry.stderr
    done = run("adopt", "gpt4all", "--hardlink")
    assert done.exit_code == 0, done.stderr
    assert f"1 file (4.9 KiB) of {place} adopted" in done.stderr
    assert " + a  4.9 KiB" in done.stderr
    assert "saved 4.9 KiB of disk" in done.stderr
    (item,) = json.loads(run("adopt", "gpt4all", "--json").stdout)["items"]
    assert (item["app"], item["dir"], item["files"]) == ("gpt4all", str(place), 1)
    assert "a is already installed" in run("adopt", "gpt4all").stderr
