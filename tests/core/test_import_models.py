"""Import makes installed models of files of this machine: with names, pinned, and independent of their place."""

import json
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import modelpm
import modelpm_catalogs
from modelpm.api import KnownFile
from modelpm.catalog import Catalogs
from modelpm.errors import Denied, IntegrityError, Interrupted, NotFound, UsageError
from modelpm.results.installed import InstalledModel
from tests.core.test_cli_commands import Run, run  # noqa: F401 - a fixture
from tests.support.catalogs import DictCatalog
from tests.support.models import AsIs, folder_of, holding, manager_in, sized

TINY = Path(modelpm_catalogs.__file__).parent / "tiny" / "tiny.gguf"
GGUF, WEIGHTS = sized("a.gguf", 4096), sized("a.safetensors", 4096)
COMMIT = "a" * 40


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[modelpm.Manager]:
    with manager_in(tmp_path / "home") as made:
        yield made


def installed(manager: modelpm.Manager) -> tuple[InstalledModel, ...]:
    return manager.list().rows


def test_a_file_becomes_a_model_that_outlives_its_place(manager: modelpm.Manager, tmp_path: Path) -> None:
    folder_of(tmp_path / "d", {"Some Model-Q8_0.gguf": GGUF})
    result = manager.import_(tmp_path / "d" / "Some Model-Q8_0.gguf")
    (change,) = result.changes
    assert (change.action, change.name, change.downloaded) == ("install", "some-model-q8_0", 0)
    assert [(row.state, row.models) for row in result.rows] == [("adopted", ("some-model-q8_0",))]
    shutil.rmtree(tmp_path / "d")
    (model,) = installed(manager)
    assert model.model == (tmp_path / "d" / "Some Model-Q8_0.gguf").as_uri()
    assert manager.path("some-model-q8_0").read_bytes() == GGUF
    assert not manager.store.blob(model.files[0].sha256).stat().st_mode & 0o222
    assert all(row.ok for row in manager.verify().rows)
    assert manager.outdated().warnings == manager.upgrade().warnings != ()
    assert not manager.upgrade().errors
    assert manager.uninstall("some-model-q8_0").changes[0].freed == len(GGUF)


def test_what_is_imported_is_what_an_install_of_the_place_would_be(manager: modelpm.Manager, tmp_path: Path) -> None:
    spec = folder_of(tmp_path / "mini", {"config.json": b"{}", "model.safetensors": WEIGHTS, "README.md": b"#"})
    manager.import_(tmp_path / "mini")
    (change,) = manager.install([spec]).changes
    assert (change.action, change.name) == ("reuse", "mini")
    assert manager.path("mini") == manager.path(spec)
    assert not manager.outdated().rows
    assert not manager.upgrade().changes
    assert [change.action for change in manager.import_(tmp_path / "mini").changes] == ["reuse"]


def test_files_that_a_catalog_knows_are_its_model(manager: modelpm.Manager, tmp_path: Path) -> None:
    folder_of(tmp_path / "d", {"renamed.bin": AsIs(TINY.read_bytes())})
    (change,) = manager.import_(tmp_path / "d").changes
    assert (change.name, change.model, change.release) == ("tiny", "core/tiny", "1.0")
    assert manager.install(["tiny"]).changes[0].action == "reuse"


class Knowing(DictCatalog):
    """A catalog that knows every digest."""

    def recognize(self, sha256: str) -> tuple[KnownFile, ...]:
        assert len(sha256) == 64
        published = KnownFile("hf://acme/Nice-GGUF", "Nice-Q4_K_M.gguf", "mit")
        return (KnownFile("here/gone:q4", "gone.gguf"), published)


def test_a_file_has_the_name_license_and_address_of_who_publishes_it(manager: modelpm.Manager, tmp_path: Path) -> None:
    services = manager._services  # noqa: SLF001 - the built-in catalog knows published files only
    services.__dict__["catalogs"] = Catalogs([("here", lambda: Knowing([]))])
    for name, known in (("download (1).gguf", "nice-q4_k_m"), ("model.gguf", "nice-q4_k_m")):
        folder_of(tmp_path / "d", {name: GGUF})
        (change,) = manager.import_(tmp_path / "d" / name).changes
        assert change.name == known
    (model,) = installed(manager)
    assert model.license == "mit"
    assert model.files[0].sources[1] == "hf://acme/Nice-GGUF/Nice-Q4_K_M.gguf"
    assert not manager.outdated().rows


def snapshot(cache: Path, files: dict[str, bytes]) -> Path:
    """Lay out a repository as huggingface_hub does; return the snapshot."""
    folder = cache / "models--acme--small" / "snapshots" / COMMIT
    for number, (name, data) in enumerate(files.items()):
        blob = cache / "models--acme--small" / "blobs" / f"{number:064}"
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(holding(name, data))
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(os.path.relpath(blob, (folder / name).parent))
    return folder


def test_a_cache_gives_models_with_the_address_of_their_repository(manager: modelpm.Manager, tmp_path: Path) -> None:
    snapshot(tmp_path / "hub", {"small-Q4_K_M.gguf": GGUF, "small-Q8_0.gguf": sized("a.gguf", 4096, 2)})
    (tmp_path / "hub" / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55")
    result = manager.import_(tmp_path / "hub")
    assert {change.name for change in result.changes} == {"small-q4_k_m", "small-q8_0"}
    assert not result.warnings  # blobs and branches are how the cache keeps its models
    (file,) = installed(manager)[0].files
    assert file.sources[1] == f"hf://acme/small@{COMMIT}/{file.path}"
    assert not manager.outdated().rows  # of the place itself, which has no other address


def test_a_snapshot_of_transformers_is_one_model_and_its_copies_stay_in_the_store(
    manager: modelpm.Manager, tmp_path: Path
) -> None:
    files = {"config.json": b"{}", "model.safetensors": WEIGHTS, "pytorch_model.bin": b"x", "onnx/model.onnx": b"x"}
    result = manager.import_(snapshot(tmp_path / "hub", files))
    assert [change.name for change in result.changes] == ["small"]
    (warning,) = [text for text in result.warnings if "no model needs" in text]
    assert "pytorch_model.bin" in warning
    assert "onnx/model.onnx" in warning


def test_many_models_of_a_folder_get_names_of_their_own(manager: modelpm.Manager, tmp_path: Path) -> None:
    files = {"one/model.gguf": GGUF, "two/model.gguf": sized("a.gguf", 4096, 2), "id_rsa": b"key"}
    folder_of(tmp_path / "d", files | {"other/w.gguf": sized("a.gguf", 4096, 3), "w.gguf": sized("a.gguf", 4096, 4)})
    dry = manager.import_(tmp_path / "d", dry_run=True)
    assert not installed(manager)
    assert not list(manager.store.blobs())
    result = manager.import_(tmp_path / "d")
    names = ["one", "other-w", "two", "w"]
    assert sorted(change.name for change in result.changes) == names == sorted(change.name for change in dry.changes)
    assert {row.file: row.models for row in dry.rows} == {row.file: row.models for row in result.rows}
    assert "`id_rsa`" in result.warnings[0]


def test_a_name_is_for_one_model(manager: modelpm.Manager, tmp_path: Path) -> None:
    folder_of(tmp_path / "d", {"a.gguf": GGUF, "b.gguf": sized("a.gguf", 4096, 2)})
    with pytest.raises(UsageError, match=r"`--as` names one model, and .* holds 2"):
        manager.import_(tmp_path / "d", name="mine")
    with pytest.raises(UsageError, match="cannot be the name"):
        manager.import_(tmp_path / "d" / "a.gguf", name="Bad Name")
    assert manager.import_(tmp_path / "d" / "a.gguf", name="mine").changes[0].name == "mine"
    assert manager.import_(tmp_path / "d" / "a.gguf").changes[0].name == "mine"  # already there
    assert manager.import_(tmp_path / "d" / "a.gguf", name="second").changes[0].name == "second"
    result = manager.import_(tmp_path / "d" / "b.gguf", name="mine")
    assert [error.code for error in result.errors] == ["name_taken"]


def test_a_shard_brings_its_set_and_an_incomplete_one_is_refused(manager: modelpm.Manager, tmp_path: Path) -> None:
    shards = [f"m-0000{number}-of-00002.safetensors" for number in (1, 2)]
    folder_of(tmp_path / "d", {name: sized("a.safetensors", 4096, name) for name in shards})
    result = manager.import_(tmp_path / "d" / shards[0])
    assert [row.file for row in result.rows] == shards
    assert result.changes[0].name == "m"
    (tmp_path / "d" / shards[1]).unlink()
    (error,) = manager.import_(tmp_path / "d" / shards[0], name="again").errors
    assert isinstance(error, NotFound)
    assert "shard 2 of 2" in str(error)


def test_what_is_dangerous_or_broken_is_not_installed_and_the_rest_is(manager: modelpm.Manager, tmp_path: Path) -> None:
    broken = AsIs(GGUF[:1000])
    folder_of(tmp_path / "d", {"good.gguf": GGUF, "data.pkl": b"some data", "cut.gguf": broken})
    planned, result = (manager.import_(tmp_path / "d", dry_run=dry_run) for dry_run in (True, False))
    for each in (planned, result):
        assert [change.name for change in each.changes] == ["good"]
        assert {type(error) for error in each.errors} == {Denied, IntegrityError}
    assert not [text for text in result.warnings if "no model needs" in text]
    allowed = manager.import_(tmp_path / "d" / "data.pkl", allow_pickle=True)
    assert [change.name for change in allowed.changes] == ["data"]


@pytest.mark.parametrize(("name", "text"), [("id_rsa", "key"), ("notes.txt", "my own"), ("run.sh", "#!/bin/sh\n")])
def test_a_file_that_is_not_a_model_is_refused(manager: modelpm.Manager, tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(NotFound, match="is not a model"):
        manager.import_(tmp_path / name)
    assert not list(manager.store.blobs())


def test_a_file_whose_bytes_are_a_model_needs_no_ending(manager: modelpm.Manager, tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(GGUF)
    assert manager.import_(tmp_path / "weights").changes[0].name == "weights"


def test_a_changed_file_replaces_what_came_from_its_place(manager: modelpm.Manager, tmp_path: Path) -> None:
    path, new = tmp_path / "a.gguf", sized("a.gguf", 4096, 2)
    for data in (GGUF, new):
        path.write_bytes(data)
        manager.import_(path)
    (model,) = installed(manager)
    assert model.path is not None
    assert model.path.read_bytes() == new


def test_what_a_project_has_locked_needs_no_second_name(manager: modelpm.Manager, tmp_path: Path) -> None:
    spec = folder_of(tmp_path / "d", {"a.gguf": GGUF}) + "/a.gguf"
    project = manager.init(tmp_path)
    project.add([spec], name="chat")
    result = manager.import_(tmp_path / "d", project=project)
    assert not result.changes
    assert result.rows[0].models == ("chat",)
    assert not installed(manager)


def test_a_folder_of_bundle_parts_is_imported(manager: modelpm.Manager, tmp_path: Path) -> None:
    folder_of(tmp_path / "d", {"big.bin": os.urandom(1_500_000)})
    (tmp_path / "stick").mkdir()
    manager.import_(tmp_path / "d")
    assert len(manager.bundle(tmp_path / "stick" / "s.tar", split=1 << 20)) == 2
    with manager_in(tmp_path / "other") as other:
        planned = other.import_(tmp_path / "stick", dry_run=True)
        assert [(change.name, change.bytes) for change in planned.changes] == [("big", 1_500_000)]
        assert not list(other.store.blobs())
        assert [change.name for change in other.import_(tmp_path / "stick").changes] == ["big"]
        with pytest.raises(UsageError, match="is a bundle, which names its models"):
            other.import_(tmp_path / "stick", name="x")


def test_the_summary_names_what_was_made_and_what_is_known(run: Run, tmp_path: Path) -> None:  # noqa: F811 - a fixture
    folder_of(tmp_path / "d", {"renamed.bin": AsIs(TINY.read_bytes()), "mine.gguf": GGUF})
    ran = run("import", str(tmp_path / "d"), "--dry-run")
    assert ran.stderr.splitlines()[0] == "Would import 2 models (97.1 KiB)"
    ran = run("import", str(tmp_path / "d"))
    first, *lines = ran.stderr.splitlines()
    assert first.startswith("Imported 2 files (97.1 KiB), 2 of them new, in ")
    assert sorted(lines) == [" + mine  4.0 KiB", " + tiny  1.0 f16  93.1 KiB", "renamed.bin is core/tiny"]
    assert "tiny is already installed" in run("import", str(tmp_path / "d")).stderr
    ran = run("import", str(tmp_path / "d" / "mine.gguf"), "--as", "other", "--json")
    assert [change["name"] for change in json.loads(ran.stdout)["changes"]] == ["other"]


def test_a_cancelled_import_stops(manager: modelpm.Manager, tmp_path: Path) -> None:
    folder_of(tmp_path / "d", {"a.gguf": GGUF})
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Interrupted):
        manager.import_(tmp_path / "d", cancelled=cancelled)
    assert not installed(manager)
