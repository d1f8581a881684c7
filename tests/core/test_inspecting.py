"""What is installed is judged by its bytes, whatever name, label or way it has; nothing refused is visible."""

import importlib
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelpm.errors import Denied, IntegrityError, ModelpmError
from modelpm.inspection.rules import rules_of
from modelpm.plugins.discovery import Entry
from modelpm.results.report import Result
from tests.conftest import Ran
from tests.support.codes import coded
from tests.support.hub import Hub
from tests.support.models import AsIs, folder_of, holding, manager_in

CODE = b"\x80\x02cos\nsystem\nU\x01x\x85R."
DATA = pickle.dumps({"weights": [1.5] * 2000})
ELF = b"\x7fELF" + bytes(60)


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("model.bin", DATA, "pickle"),
        ("model", DATA, "pickle"),
        ("model.bin", CODE, "code"),
        ("server", ELF, "code"),
        ("model.safetensors", CODE, "disguised"),
        ("model.gguf", DATA, "disguised"),
        ("model.gguf", b"garbage", "format_mismatch"),
        ("model.onnx", b"<!DOCTYPE html>", "format_mismatch"),
        ("model.gguf", b"GGUF" + bytes(9), "malformed"),
        ("model.safetensors", holding("m.safetensors", bytes(50))[:-1], "malformed"),
    ],
)
def test_a_file_is_refused_for_what_it_is(tmp_path: Path, name: str, data: bytes, code: str) -> None:
    spec = folder_of(tmp_path / "m", {name: AsIs(data), "config.json": b"{}"})
    with manager_in(tmp_path) as manager:
        with pytest.raises((Denied, IntegrityError), check=coded(code)):
            manager.install(f"{spec}:all")
        assert not (manager.environment.view.root / "m").exists()
        assert manager.environment.read().models == ()


def test_a_word_admits_its_danger_and_is_locked_and_logged(tmp_path: Path) -> None:
    data, code = folder_of(tmp_path / "data", {"m.bin": DATA}), folder_of(tmp_path / "code", {"m.bin": CODE})
    plain = folder_of(tmp_path / "plain", {"m.gguf": b"x"})
    with manager_in(tmp_path) as manager:
        with pytest.raises(Denied, check=coded("code")):
            manager.install(code, allow_pickle=True)
        manager.install(data, allow_pickle=True)
        manager.install(code, allow_code=True)
        manager.install(plain, allow_pickle=True, allow_code=True)
        allowed = {model.name: model.allow for model in manager.environment.read().models}
        assert allowed == {"data": ("pickle",), "code": ("code",), "plain": ()}
    log = (tmp_path / "home" / "audit" / "audit.jsonl").read_text()
    details = [json.loads(line)["details"] for line in log.splitlines()]
    assert [each["dangers"] for each in details if "dangers" in each] == [{"m.bin": "pickle"}, {"m.bin": "code"}]


def test_a_bundle_needs_the_word_of_the_one_who_imports_it(tmp_path: Path) -> None:
    with manager_in(tmp_path / "a") as manager:
        manager.install(folder_of(tmp_path / "m", {"m.bin": DATA}), allow_pickle=True)
        manager.install(folder_of(tmp_path / "n", {"n.gguf": b"n"}))
        manager.bundle(tmp_path / "b.tar")
    with manager_in(tmp_path / "b") as manager:
        with pytest.raises(Denied, check=coded("pickle")) as caught:
            manager.import_(tmp_path / "b.tar")
        assert caught.value.hints[0].endswith(f"modelpm import {tmp_path / 'b.tar'} --allow-pickle")
        assert [model.name for model in manager.environment.read().models] == ["n"]
        manager.import_(tmp_path / "b.tar", allow_pickle=True)
        assert [model.name for model in manager.environment.read().models] == ["m", "n"]


def test_a_view_that_came_with_a_clone_is_inspected(tmp_path: Path) -> None:
    spec, root = folder_of(tmp_path / "m", {"m.bin": CODE}), tmp_path / "p"
    with manager_in(tmp_path / "a", link_mode="copy") as manager:
        root.mkdir()
        (root / "models.toml").write_text(f'[models]\nm = {{ source = "{spec}", allow = ["code"] }}\n')
        assert not manager.project(root).sync().errors
    (root / "models.toml").write_text(f'[models]\nm = "{spec}"\n')
    lock = (root / "models.lock").read_text()
    (root / "models.lock").write_text(lock.replace('allow = [\n    "code",\n]\n', ""))
    with manager_in(tmp_path / "b") as manager, pytest.raises(ModelpmError, check=coded("code")):
        manager.project(root).sync().raised()


def test_a_dry_run_knows_what_the_first_bytes_prove(hub: Hub, modelpm: Callable[..., Ran]) -> None:
    hub.add("acme/m", {"pytorch_model.bin": DATA * 9, "model.json": b"{}"})
    hub.add("acme/lie", {"model.gguf": AsIs(b"x" * 9000)})
    for repository, code in (("m", 7), ("lie", 4)):
        ran = modelpm("install", f"hf://acme/{repository}", "--dry-run", env={"HF_ENDPOINT": hub.endpoint})
        assert ran.code == code, ran.stderr
    assert modelpm("list").stdout == ""


def codes(report: Result[Any]) -> list[str]:
    return [str(error.code) for error in report.errors]


@pytest.mark.parametrize("project", [False, True])
def test_an_upgrade_to_a_pickle_is_refused_before_it_is_fetched(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, project: bool
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    hub.add("acme/m", {"model.bin": AsIs(b"tjgg" + bytes(9000))})
    (tmp_path / "models.toml").write_text("[models]\n")
    with manager_in(tmp_path) as manager:
        chosen = manager.project(tmp_path) if project else manager
        manager.project(tmp_path).add(["hf://acme/m"]) if project else manager.install("hf://acme/m")
        hub.add("acme/m", {"model.bin": AsIs(DATA)})
        hub.seen.clear()
        assert codes(chosen.upgrade(dry_run=True)) == ["pickle"]
        assert codes(chosen.upgrade()) == ["pickle"]
    assert {seen.headers.get("Range") for seen in hub.requests(server="cdn")} == {"bytes=0-4095"}


def test_every_dry_run_of_a_project_knows_what_the_first_bytes_prove(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    hub.add("acme/m", {"pytorch_model.bin": DATA * 9, "model.json": b"{}"})
    (tmp_path / "models.toml").write_text("[models]\n")
    with manager_in(tmp_path) as manager:
        project = manager.project(tmp_path)
        assert codes(project.add(["hf://acme/m"], dry_run=True)) == ["pickle"]
        assert codes(project.add(["hf://acme/m"], dry_run=True, allow_pickle=True)) == []
        (tmp_path / "models.toml").write_text('[models]\nm = "hf://acme/m"\n')
        assert codes(project.lock()) == []
        assert codes(project.sync(dry_run=True)) == ["pickle"]


ARRAY = b"\x93NUMPY\x01\0\x3c\0" + b"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}".ljust(60) + bytes(4)


@pytest.mark.parametrize(
    ("allowed", "data", "found"),
    [
        ("ggml", b"tjgg" + bytes(60), []),
        ("gguf", b"tjgg" + bytes(60), ["policy"]),
        ("gguf", b"something", ["policy"]),
        ("pickle", DATA, []),
        ("gguf", DATA, ["pickle"]),
        ("numpy", ARRAY, []),
    ],
)
def test_allowed_formats_are_those_of_the_bytes(tmp_path: Path, allowed: str, data: bytes, found: list[str]) -> None:
    spec = folder_of(tmp_path / "m", {"model.bin": AsIs(data), "config.json": b"{}"})
    (tmp_path / "models.toml").write_text(f'[settings]\nallow-formats = ["{allowed}"]\n[models]\n')
    with manager_in(tmp_path) as manager:
        assert codes(manager.project(tmp_path).add([f"{spec}:all"])) == found
    assert (tmp_path / "models" / "m").exists() is not bool(found)


def test_an_inspector_that_was_edited_judges_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "edited"
    package.mkdir()
    for name, text in (("__init__.py", "from edited import inner"), ("inner.py", "MOST = 1")):
        (package / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("edited")
    entry = Entry("inspector", 1, "vox", "edited", "stranger", "1.0")
    before = rules_of([entry])
    assert rules_of([entry]) == before
    (package / "inner.py").write_text("MOST = 2")
    assert rules_of([entry]) != before
    assert rules_of([replace(entry, module="no_such_module")]).startswith("stranger 1.0, ")


def test_bytes_are_inspected_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelpm.inspection.inspectors import Inspectors

    with manager_in(tmp_path) as manager:
        manager.install(folder_of(tmp_path / "m", {"m.gguf": b"x" * 500}))
    monkeypatch.setattr(Inspectors, "inspect", lambda *_: pytest.fail("inspected again"))
    with manager_in(tmp_path) as manager:
        manager.install(f"file://{tmp_path}/m", name="again")


def test_names_and_labels_are_no_danger(tmp_path: Path) -> None:
    files = {
        "openvino_model.xml": b"<?xml version='1.0'?><net/>",
        "openvino_model.bin": bytes(500),
        "ggml.bin": b"tjgg" + bytes(60),
        "convert.py": b"#!/usr/bin/env python\n",
    }
    with manager_in(tmp_path) as manager:
        assert manager.install(f"{folder_of(tmp_path / 'm', files)}:all").name == "m"
