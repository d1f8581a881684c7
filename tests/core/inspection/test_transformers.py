"""What ``config.json`` says, and what a hostile one may say without harm."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.api.inspection import Cache, Facts
from modelpm.inspection.memory import memory_bytes
from modelpm.inspection.transformers import config_facts

BASE: dict[str, Any] = {
    "architectures": ["XForCausalLM"], "model_type": "x", "hidden_size": 64, "num_hidden_layers": 4,
    "num_attention_heads": 8, "vocab_size": 100, "max_position_embeddings": 2048,
}  # fmt: skip


def cache(**more: Any) -> tuple[Cache, ...]:
    facts = config_facts(json.dumps({**BASE, **more}).encode())
    assert facts
    assert facts.dimensions
    return facts.dimensions.cache


def test_heads_share_keys_and_values() -> None:
    assert cache() == (Cache(4, 2 * 8 * 8),)
    assert cache(num_key_value_heads=2) == (Cache(4, 2 * 8 * 2),)
    assert cache(kv_lora_rank=512, qk_rope_head_dim=64) == (Cache(4, 576),)


def test_windows_and_linear_layers_count_by_the_layers_types() -> None:
    kinds = ["sliding_attention", "full_attention", "linear_attention", "sliding_attention"]
    assert cache(layer_types=kinds, sliding_window=512) == (Cache(1, 128), Cache(2, 128, 512))
    assert cache(layer_types=kinds[:2], sliding_window=512) == (Cache(4, 128),)


def test_an_encoder_has_no_cache() -> None:
    facts = config_facts(json.dumps({**BASE, "architectures": ["BertModel"]}).encode())
    assert facts == Facts(architecture="x", context_length=2048)


def test_a_vision_model_says_it_of_its_text() -> None:
    nested = {"architectures": ["YForConditionalGeneration"], "model_type": "y", "text_config": BASE}
    facts = config_facts(json.dumps(nested).encode())
    assert facts
    assert facts.dimensions
    assert facts.context_length == 2048


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"[" * 100_000, b"\xff", b"null"])
def test_what_is_no_config_says_nothing(text: bytes) -> None:
    assert config_facts(text) is None


@given(
    st.dictionaries(
        st.sampled_from([*BASE, "layer_types", "kv_lora_rank"]),
        st.from_type(type(None))
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=5)
        | st.lists(st.integers() | st.text(max_size=3), max_size=5),
    )
)
def test_no_values_break_the_reader(values: dict[str, Any]) -> None:
    facts = config_facts(json.dumps({**BASE, **values}).encode())
    assert facts
    if facts.dimensions:
        assert memory_bytes(0, facts.dimensions, 4096) > 0
