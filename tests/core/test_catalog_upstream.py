"""A variant without files has what its upstream's listing tells: a variant of a repository, or the files of globs."""

import json
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import modelpm
from modelpm.errors import Denied, NotFound
from tests.support.catalogs import write_catalog
from tests.support.hub import Hub
from tests.support.models import names, sized

FILES = {
    "m-Q4_K_M.gguf": sized("m.gguf", 3000, 1),
    "m-Q8_0.gguf": sized("m.gguf", 4000, 2),
    "mmproj-m-f16.gguf": sized("m.gguf", 500, 3),
    "README.md": b"hello",
}


@pytest.fixture(autouse=True)
def _endpoint(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)


def manager(folder: Path, variant: Mapping[str, Any], about: Mapping[str, Any] | None = None) -> modelpm.Manager:
    """Return a manager whose catalog ``x`` has the model ``m`` with one variant."""
    one = {"name": "a", "format": "gguf", **variant}
    entry = {"schema": 1, "id": "m", "release": [{"version": "1", "variant": [one]}]}
    catalog = write_catalog(folder / "x", [entry], about)
    (folder / "home").mkdir()
    (folder / "home" / "config.toml").write_text(f'[catalogs]\nx = "{catalog}"\n')
    return modelpm.Manager(home=folder / "home", user="tester", retries=0)


def paths(model: modelpm.InstalledModel) -> list[str]:
    return sorted(file.path for file in model.files)


def test_a_quantization_comes_with_its_projector_pinned_and_named_by_the_catalog(hub: Hub, tmp_path: Path) -> None:
    commit = hub.add("o/r", FILES, license="mit").commit
    made = manager(tmp_path, {"upstream": "hf://o/r:Q4_K_M"}).install("x/m")
    weights = [file.path for file in made.files if file.role == "weights"]
    assert (weights, made.variant, made.format, made.license) == (["m-Q4_K_M.gguf"], "a", "gguf", "mit")
    assert "mmproj-m-f16.gguf" in paths(made)
    assert "m-Q8_0.gguf" not in paths(made)
    assert made.path.name == "m-Q4_K_M.gguf"
    lock = (tmp_path / "home" / "env" / "models.lock").read_text()
    assert f'upstream = "hf://o/r@{commit}"' in lock
    assert 'spec = "x/m"' in lock


def test_globs_choose_files_and_may_leave_some_out(hub: Hub, tmp_path: Path) -> None:
    hub.add("o/r", FILES)
    variant = {"upstream": "hf://o/r", "include": ["*.gguf"], "exclude": ["*Q8_0*"]}
    assert paths(manager(tmp_path, variant).install("x/m")) == ["m-Q4_K_M.gguf", "mmproj-m-f16.gguf"]


def test_globs_that_match_nothing_are_an_error_that_says_what_there_is(hub: Hub, tmp_path: Path) -> None:
    hub.add("o/r", FILES)
    with pytest.raises(NotFound, match="no file of hf://o/r matches") as caught:
        manager(tmp_path, {"upstream": "hf://o/r", "include": ["*.onnx"]}).install("x/m")
    assert "m-Q4_K_M.gguf" in caught.value.hints[0]


def test_what_is_locked_stays_when_the_upstream_moves(hub: Hub, tmp_path: Path) -> None:
    hub.add("o/r", FILES)
    first = manager(tmp_path, {"upstream": "hf://o/r:Q4_K_M"})
    before = first.install("x/m")
    hub.add("o/r", FILES | {"m-Q4_K_M.gguf": sized("m.gguf", 3000, 9)})
    again = modelpm.Manager(home=tmp_path / "home", user="tester", retries=0)
    assert again.install("x/m").digest == before.digest
    (row,) = again.outdated().rows
    assert row.name == "m"
    assert again.upgrade(["m"]).changes[0].digest != before.digest


def test_show_and_dry_run_know_the_files(hub: Hub, tmp_path: Path) -> None:
    hub.add("o/r", FILES, license="mit")
    one = manager(tmp_path, {"upstream": "hf://o/r:Q8_0"})
    details = one.show("x/m").rows[0]
    (variant,) = details.variants
    assert details.license == "mit"
    assert {file.path for file in variant.files} >= {"m-Q8_0.gguf", "mmproj-m-f16.gguf"}
    (change,) = one.install(["x/m"], dry_run=True).changes
    assert change.bytes == variant.bytes
    assert names(one.environment.store) == set()  # headers were read, and no file was downloaded


def test_a_projector_is_left_out_where_it_is_not_wanted(hub: Hub, tmp_path: Path) -> None:
    commit = hub.add("o/r", FILES).commit
    listed = [
        {"path": "m-Q4_K_M.gguf"},
        {"path": "eye.gguf", "role": "projector", "sources": ["hf://o/r/mmproj-m-f16.gguf"]},
    ]
    one = manager(tmp_path, {"upstream": f"hf://o/r@{commit}", "file": listed})
    assert paths(one.install("x/m", no_projector=True)) == ["m-Q4_K_M.gguf"]
    with_it = one.install("x/m", name="seeing")
    assert {file.path: file.role for file in with_it.files} == {"m-Q4_K_M.gguf": "weights", "eye.gguf": "projector"}
    assert one.path("seeing", role="projector").name == "eye.gguf"


def test_pickles_of_an_upstream_are_refused(hub: Hub, tmp_path: Path) -> None:
    hub.add("o/r", {"pytorch_model.bin": pickle.dumps({"w": 1}), "config.json": b"{}"})
    with pytest.raises(Denied, check=lambda error: error.code == "pickle"):
        manager(tmp_path, {"upstream": "hf://o/r", "format": "pytorch"}).install("x/m")


def test_an_alias_with_a_colon_installs_and_is_found_again(hub: Hub, tmp_path: Path) -> None:
    hub.add("o/r", FILES)
    one = manager(tmp_path, {"upstream": "hf://o/r:Q4_K_M"}, {"aliases": {"mm:8b": "m"}})
    made = one.install("mm:8b")
    assert (made.name, made.model) == ("m", "x/m")
    assert one.path("mm:8b") == made.path
    assert one.show("mm:8b").rows[0].model == "x/m"
    assert one.install("x/m:latest").digest == made.digest
    with pytest.raises(NotFound, check=lambda error: error.code == "not_installed"):
        one.path("mm:9b")


def test_the_audit_says_what_is_learned_when_it_is_locked(modelpm: Callable[..., Any], tmp_path: Path) -> None:
    variant = {"name": "a", "format": "gguf", "upstream": "hf://o/r", "include": ["*"]}
    entry = {"schema": 1, "id": "m", "description": "M.", "license": "mit"}
    entry["release"] = [{"version": "1", "variant": [variant]}]
    ran = modelpm("catalog", "audit", str(write_catalog(tmp_path / "x", [entry])), "--json")
    findings = json.loads(ran.stdout)["items"]
    assert [(f["code"], f["severity"]) for f in findings] == [("no_revision", "note")]


def test_a_projects_lock_of_it_is_believed(hub: Hub, tmp_path: Path) -> None:
    commit = hub.add("o/r", FILES).commit
    one = manager(tmp_path, {"upstream": "hf://o/r:Q4_K_M"}, {"aliases": {"mm:8b": "m"}})
    project = one.init(tmp_path)
    project.add(["mm:8b"])
    assert 'm = "x/m"' in (tmp_path / "models.toml").read_text()
    assert f"hf://o/r@{commit}/m-Q4_K_M.gguf" in (tmp_path / "models.lock").read_text()
    project.check_lock()
    assert project.sync(locked=True).errors == ()
    hub.add("o/r", FILES | {"m-Q4_K_M.gguf": sized("m.gguf", 3000, 9)})
    assert project.sync(locked=True).errors == ()
