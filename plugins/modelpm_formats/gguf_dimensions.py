"""GGUF: the dimensions of a language model that decide what memory it needs, from its metadata alone."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from modelpm.api.inspection import Cache, Dimensions

Scalar = str | int | float | bool | tuple[int | float | bool, ...]
MOST_LAYERS: Final = 4096
_MOST: Final = 1 << 40
_F32: Final = 4
_ROPE: Final = 64
_EVERY: Final = {
    "gemma2": 2, "gemma3": 6, "gemma3n": 5, "cohere2": 4, "gpt-oss": 2, "llama4": 4, "exaone4": 4, "smallthinker": 4,
    "olmo2": 4, "afmoe": 4,
}  # fmt: skip
"""llama.cpp's habit where a header says a window and no pattern: one layer in so many looks at the whole context."""


def dimensions(metadata: Mapping[str, Scalar], lengths: Mapping[str, int]) -> Dimensions | None:
    """Return the dimensions; None if the header says of no layers, or of absurd ones.

    Args:
        metadata: Numbers and short number arrays of the header, by key.
        lengths: How many items each array has.
    """
    reader = _Reader(metadata)
    layers, embedding = reader.number("block_count"), reader.number("embedding_length")
    if not 0 < layers <= MOST_LAYERS or not embedding:
        return None
    heads = reader.row("attention.head_count", layers, 0)
    width = embedding // max(heads) if max(heads) else 0
    key = reader.number("attention.key_length", width)
    value = reader.number("attention.value_length", width)
    experts = reader.number("expert_feed_forward_length") * reader.number("expert_used_count")
    return Dimensions(
        embedding=embedding,
        feed_forward=max(*reader.row("feed_forward_length", layers, 0), experts),
        attention=max(heads) * (key + value),
        vocabulary=lengths.get("tokenizer.ggml.tokens") or reader.number("vocab_size"),
        cache=_cache(reader, layers, heads, (key, value)),
        state=_state(reader, layers),
    )


class _Reader:
    """Numbers of the metadata, by their key behind the architecture's name; an absurd one counts as missing."""

    def __init__(self, metadata: Mapping[str, Scalar]) -> None:
        self.architecture = metadata.get("general.architecture")
        self._metadata = metadata

    def get(self, key: str) -> Scalar | None:
        return self._metadata.get(f"{self.architecture}.{key}")

    def number(self, key: str, default: int = 0) -> int:
        return _sane(self.get(key), default)

    def row(self, key: str, layers: int, default: int) -> list[int]:
        """Return one number a layer: an array has one each, a single number holds for all."""
        found = self.get(key)
        if not isinstance(found, tuple):
            return [_sane(found, default)] * layers
        row = [_sane(item, default) for item in found[:layers]]
        return row + [default] * (layers - len(row))


def _sane(value: Scalar | None, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST else default


def _cache(reader: _Reader, layers: int, heads: list[int], lengths: tuple[int, int]) -> tuple[Cache, ...]:
    """Return the cache of all layers, those that are alike together."""
    latent = reader.number("attention.kv_lora_rank")
    if latent and (reader.get("attention.key_length_mla") is not None or reader.get("attention.head_count_kv") == 1):
        return (Cache(layers, latent + reader.number("rope.dimension_count", _ROPE)),)
    windows = _windows(reader, layers)
    own = reader.row("attention.head_count_kv", layers, 0) if reader.get("attention.head_count_kv") else heads
    key, value = lengths
    narrow = reader.number("attention.key_length_swa", key) + reader.number("attention.value_length_swa", value)
    interval = reader.number("full_attention_interval")
    count = layers - min(layers, reader.number("attention.shared_kv_layers"))
    rows = Counter[tuple[int, int]]()
    for layer in range(count):
        recurrent = interval and (layer + 1) % interval
        if own[layer] and not recurrent:
            rows[own[layer] * (narrow if windows[layer] else key + value), windows[layer]] += 1
    return tuple(Cache(number, values, window) for (values, window), number in sorted(rows.items()))


def _windows(reader: _Reader, layers: int) -> list[int]:
    """Return how far each layer looks back; 0 for one that looks at the whole context."""
    window = reader.number("attention.sliding_window")
    pattern = reader.get("attention.sliding_window_pattern")
    if not window:
        return [0] * layers
    if isinstance(pattern, tuple):
        return [window if slides else 0 for slides in (*pattern[:layers], *[0] * (layers - len(pattern)))]
    every = _sane(pattern, 0) or _EVERY.get(str(reader.architecture), 1)
    return [window if (layer + 1) % every else 0 for layer in range(layers)]


def _state(reader: _Reader, layers: int) -> int:
    """Return the bytes that recurrent layers keep whatever the context is."""
    size, inner = reader.number("ssm.state_size"), reader.number("ssm.inner_size")
    before = max(0, reader.number("ssm.conv_kernel") - 1)
    return _F32 * layers * (size * inner + before * (inner + 2 * reader.number("ssm.group_count") * size))
