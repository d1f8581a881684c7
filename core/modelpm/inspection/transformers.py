"""What ``config.json`` of a transformers model says: architecture, context, and what needs memory. Pure."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from modelpm.api.inspection import Cache, Dimensions, Facts

LARGEST: Final = 64 << 10
_MOST: Final = 1 << 40
_MOST_LAYERS: Final = 4096
_GENERATES: Final = ("ForCausalLM", "ForConditionalGeneration", "LMHeadModel")
_LINEAR, _SLIDING = "linear_attention", "sliding_attention"


def config_facts(text: bytes) -> Facts | None:
    """Return what a ``config.json`` says; None if it is not one."""
    try:
        config = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(config, Mapping):
        return None
    names = config.get("architectures")
    first = names[0] if isinstance(names, list) and names and isinstance(names[0], str) else ""
    inner = config.get("text_config")
    told = inner if isinstance(inner, Mapping) else config
    kind = told.get("model_type", config.get("model_type"))
    return Facts(
        architecture=kind[:100] if isinstance(kind, str) and kind else None,
        context_length=_number(told, "max_position_embeddings", "n_positions", "n_ctx") or None,
        dimensions=_dimensions(told) if first.endswith(_GENERATES) else None,
    )


def _dimensions(config: Mapping[str, Any]) -> Dimensions | None:
    layers = _number(config, "num_hidden_layers", "n_layer", "num_layers")
    embedding = _number(config, "hidden_size", "n_embd", "d_model")
    heads = _number(config, "num_attention_heads", "n_head")
    if not 0 < layers <= _MOST_LAYERS or not embedding or not heads:
        return None
    width = _number(config, "head_dim") or embedding // heads
    experts = _number(config, "moe_intermediate_size") * _number(config, "num_experts_per_tok")
    return Dimensions(
        embedding=embedding,
        feed_forward=max(_number(config, "intermediate_size", "n_inner", "ffn_dim") or 4 * embedding, experts),
        attention=2 * heads * width,
        vocabulary=_number(config, "vocab_size"),
        cache=_cache(config, layers, 2 * width * (_number(config, "num_key_value_heads") or heads)),
    )


def _cache(config: Mapping[str, Any], layers: int, values: int) -> tuple[Cache, ...]:
    if latent := _number(config, "kv_lora_rank"):
        return (Cache(layers, latent + _number(config, "qk_rope_head_dim")),)
    kinds, window = config.get("layer_types"), _number(config, "sliding_window")
    if not isinstance(kinds, list) or len(kinds) != layers:
        return (Cache(layers, values),)
    windows = Counter(window if kind == _SLIDING else 0 for kind in kinds if kind != _LINEAR)
    return tuple(Cache(count, values, each) for each, count in sorted(windows.items()))


def _number(config: Mapping[str, Any], *keys: str) -> int:
    """Return the first of some keys that is a sane number; 0 if none is."""
    found = (config.get(key) for key in keys)
    return next((value for value in found if type(value) is int and 0 < value < _MOST), 0)
