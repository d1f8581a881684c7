"""Where names do not tell variants apart, their headers do: read by one range each, or left as a question."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf as official
import numpy as np
import pytest
from gguf.constants import LlamaFileType
from safetensors.numpy import save

from modelpm.errors import UsageError
from tests.conftest import Ran
from tests.support.codes import coded
from tests.support.hub import Hub
from tests.support.models import manager_in

_TYPES = {"Q4_K_M": LlamaFileType.MOSTLY_Q4_K_M, "Q8_0": LlamaFileType.MOSTLY_Q8_0, "F16": LlamaFileType.MOSTLY_F16}


def written(folder: Path, quantization: str, *, name: str = "One", width: int = 64) -> bytes:
    path = folder / "written.gguf"
    writer: Any = official.GGUFWriter(path, "llama")
    writer.add_name(name)
    writer.add_block_count(1)
    writer.add_embedding_length(width)
    writer.add_file_type(_TYPES[quantization])
    writer.add_token_list([f"token{number}" for number in range(20_000)])  # the tensor table begins beyond 64 KiB
    writer.add_tensor("output.weight", np.ones((4, width), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()


def tensors(kind: type[np.generic], width: int = 8) -> bytes:
    return bytes(save({"a": np.ones((width, 4), kind), "b": np.ones(3, kind)}))


def test_headers_name_the_variants_of_files_that_names_do_not(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = {f"{name}.gguf": written(tmp_path, label) for name, label in (("big", "Q8_0"), ("small", "Q4_K_M"))}
    hub.add("acme/one", files)
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    with manager_in(tmp_path) as manager:
        report = manager.install(["hf://acme/one"], dry_run=True)
        assert "hf://acme/one is taken as q4_k_m" in report.notes[0]
        assert "left out: q8_0" in report.notes[1]
        assert {seen.headers.get("Range") for seen in hub.requests(server="cdn")} == {"bytes=0-65535", "bytes=0-4095"}
        assert manager.install("hf://acme/one").path.name == "small.gguf"
        assert manager.install("hf://acme/one:q8_0").path.name == "big.gguf"
        assert {v.name for v in manager.show("hf://acme/one").rows[0].variants} == {"q4_k_m", "q8_0"}
        again = manager.upgrade(["one"])  # the variant that is locked is one that only headers name
        assert (again.changes, again.warnings, again.errors) == ((), (), ())


def test_precisions_of_safetensors_are_told_apart(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    for name, kind in (("a", np.float32), ("b", np.float16)):
        (folder / f"{name}.safetensors").write_bytes(tensors(kind))
    with manager_in(tmp_path) as manager:
        model = manager.install(f"file://{folder}")
        assert (model.variant, model.path.name) == ("f16", "b.safetensors")
        assert manager.install(f"file://{folder}:f32").path.name == "a.safetensors"
        assert manager.install(f"file://{folder}:a", name="by-stem").path.name == "a.safetensors"


@pytest.mark.parametrize(
    "files",
    [
        {"a.safetensors": tensors(np.float32), "b.safetensors": tensors(np.float16, width=9)},
        {"a.safetensors": tensors(np.float16), "b.safetensors": tensors(np.float16)},
        {"a.safetensors": tensors(np.float32), "b.safetensors": b"\xff" * 100},
    ],
    ids=["other shapes", "the same precision", "no header"],
)
def test_several_models_side_by_side_stay_a_question(tmp_path: Path, files: dict[str, bytes]) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    with manager_in(tmp_path) as manager, pytest.raises(UsageError, check=coded("choose_variant")):
        manager.install(f"file://{folder}")


def test_other_models_of_one_architecture_stay_a_question(
    hub: Hub, modelpm: Callable[..., Ran], tmp_path: Path
) -> None:
    chat, base = written(tmp_path, "Q8_0", name="Chat"), written(tmp_path, "F16", name="Base")
    hub.add("acme/two", {"chat.gguf": chat, "base.gguf": base})
    asked = modelpm("install", "hf://acme/two", env={"HF_ENDPOINT": hub.endpoint})
    assert asked.code == 2
    assert "several models" in asked.stderr


def test_a_server_that_refuses_ranges_leaves_a_question(hub: Hub, modelpm: Callable[..., Ran], tmp_path: Path) -> None:
    hub.add("acme/one", {"x.gguf": written(tmp_path, "Q8_0"), "y.gguf": written(tmp_path, "Q4_K_M")})
    hub.storage.fail("", 416, times=100)
    asked = modelpm("install", "hf://acme/one", env={"HF_ENDPOINT": hub.endpoint})
    assert (asked.code, "choose" in asked.stderr or "none is the recommended one" in asked.stderr) == (2, True)


def test_names_that_tell_cost_no_request(hub: Hub, modelpm: Callable[..., Ran], tmp_path: Path) -> None:
    hub.add("acme/one", {f"m-{q}.gguf": written(tmp_path, q) for q in ("Q4_K_M", "Q8_0")})
    assert modelpm("install", "hf://acme/one", "--dry-run", env={"HF_ENDPOINT": hub.endpoint}).code == 0
    assert {seen.headers.get("Range") for seen in hub.requests(server="cdn")} == {"bytes=0-4095"}  # what it is
