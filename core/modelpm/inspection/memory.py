"""The memory that a model needs at a context: weights, KV cache, tokenizer and one batch. Pure.

Calibrated against llama.cpp with its defaults: flash attention, a 16-bit cache, batches of 512 tokens. It leaves out
what a GPU reserves besides, and the second copy of repacked weights on a CPU, whose first one the system can take back.
"""

from typing import Final

from modelpm.api.inspection import Cache, Dimensions

CONTEXT: Final = 8192
"""The context for which memory is told, if nothing else is asked for and the model has as much."""
_RUNTIME: Final = 20_000_000
_TOKEN: Final = 230
_BATCH: Final = 512
_CELLS: Final = 256
_F16, _F32 = 2, 4


def memory_context(context_length: int | None, asked: int | None = None) -> int:
    """Return the context that memory is told for: what is asked for, within what the model has."""
    wanted = asked or CONTEXT
    return min(wanted, context_length) if context_length else wanted


def memory_bytes(weights: int, dimensions: Dimensions | None, context: int) -> int:
    """Return how much memory a model needs.

    Args:
        weights: Bytes of its tensors.
        dimensions: What its header says; None for a model without a cache, which needs its weights and the runtime.
        context: Tokens.
    """
    if dimensions is None:
        return weights + _RUNTIME
    cells = _padded(context)
    cache = sum(_cache(row, cells) for row in dimensions.cache)
    batch = _F32 * _BATCH * (4 * dimensions.embedding + 2 * dimensions.feed_forward + dimensions.attention)
    mask = _F16 * _BATCH * cells
    return weights + _RUNTIME + cache + dimensions.state + _TOKEN * dimensions.vocabulary + batch + mask


def _cache(row: Cache, cells: int) -> int:
    kept = min(cells, _padded(row.window + _BATCH)) if row.window else cells
    return _F16 * row.layers * row.values * kept


def _padded(tokens: int) -> int:
    return -(-tokens // _CELLS) * _CELLS
