"""What is installed is judged by its bytes, whatever name, label or way it has; nothing refused is visible."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from modelpm.errors import Denied, IntegrityError, ModelpmError
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
