"""The configuration of a Keras model: what in it is code."""

import json
from typing import Final

_SAFE: Final = ("keras", "keras_hub", "keras_nlp", "keras_cv", "tf_keras", "tensorflow", "builtins")
_LAMBDAS: Final = frozenset({"Lambda", "__lambda__"})
_MOST: Final = 1_000_000


def code_in(text: bytes) -> str | None:
    """Return what a configuration would run when Keras reads it; ``None`` if that is nothing.

    Args:
        text: The ``config.json`` of a ``.keras`` file.
    """
    try:
        left: list[object] = [json.loads(text)]
    except (ValueError, RecursionError):
        return "its configuration cannot be read"
    for _ in range(_MOST):
        if not left:
            return None
        value = left.pop()
        if isinstance(value, list):
            left += value
        elif isinstance(value, dict):
            left += value.values()
            name, module = value.get("class_name"), value.get("module")
            if name in _LAMBDAS:
                return "its Keras model has a Lambda layer, which is code"
            if name is not None and isinstance(module, str) and module.partition(".")[0] not in _SAFE:
                return f"its Keras model imports {module[:80]!r}"
    return "its configuration is larger than modelpm reads"
