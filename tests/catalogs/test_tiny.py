"""The model that comes with modelpm: a real one, made by a script."""

import hashlib
import importlib.util
from pathlib import Path
from types import ModuleType

import gguf
import numpy as np
import pytest

import modelpm_catalogs
from modelpm.catalog import choose, parse_entry
from modelpm_catalogs import modelpm_catalog
from modelpm_package import PackageSource

SCRIPT = Path(__file__).parents[2] / "catalogs" / "make_tiny.py"
TINY = Path(modelpm_catalogs.__file__).parent / "tiny" / "tiny.gguf"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_tiny", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_script_makes_the_very_bytes_that_are_shipped(script: ModuleType, tmp_path: Path) -> None:
    script.write(tmp_path / "tiny.gguf")
    assert (tmp_path / "tiny.gguf").read_bytes() == TINY.read_bytes()
    assert TINY.stat().st_size <= 300_000


def test_the_catalog_has_its_size_and_digest() -> None:
    catalog = modelpm_catalog(name="core")
    assert catalog is not None
    _, variant = choose(parse_entry("core", catalog.get("tiny")))
    (file,) = variant.files
    content = TINY.read_bytes()
    assert (file.path, file.size, file.sha256) == (TINY.name, len(content), hashlib.sha256(content).hexdigest())
    source = PackageSource()
    snapshot = source.resolve(source.parse(variant.upstream.removeprefix("pkg://")))
    assert [(f.path, f.size, f.digest and f.digest.hex) for f in snapshot.files] == [
        (file.path, file.size, file.sha256)
    ]


def test_a_gguf_reader_finds_the_metadata_of_a_llama() -> None:
    fields = gguf.GGUFReader(TINY).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    said = {name: fields[name].contents() for name in fields if name.startswith(("general.", "llama."))}
    assert (said["general.architecture"], said["general.name"]) == ("llama", "tiny")
    assert (said["llama.context_length"], said["llama.embedding_length"], said["llama.block_count"]) == (256, 32, 2)
    assert said["llama.vocab_size"] == len(tokens) == len(fields["tokenizer.ggml.scores"].contents())
    assert len(fields["tokenizer.ggml.token_type"].contents()) == len(tokens) == len(set(tokens))
    assert tokens[fields["tokenizer.ggml.bos_token_id"].contents()] == "<s>"
    assert {f"<0x{byte:02X}>" for byte in range(256)} <= set(tokens)


def test_every_tensor_of_a_llama_is_there_and_is_no_emptiness() -> None:
    reader = gguf.GGUFReader(TINY)
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    vocabulary = len(reader.fields["tokenizer.ggml.tokens"].contents())
    block = {
        "attn_norm": [32],
        "attn_q": [32, 32],
        "attn_k": [32, 16],
        "attn_v": [32, 16],
        "attn_output": [32, 32],
        "ffn_norm": [32],
        "ffn_gate": [32, 64],
        "ffn_up": [32, 64],
        "ffn_down": [64, 32],
    }
    shapes = {f"blk.{n}.{name}.weight": shape for n in (0, 1) for name, shape in block.items()}
    shapes |= {"token_embd.weight": [32, vocabulary], "output_norm.weight": [32], "output.weight": [32, vocabulary]}
    assert {name: tensor.shape.tolist() for name, tensor in tensors.items()} == shapes
    for name, tensor in tensors.items():
        assert np.isfinite(tensor.data).all()
        assert name.endswith("norm.weight") or 0.01 < float(np.std(tensor.data.astype(np.float32))) < 1, name
