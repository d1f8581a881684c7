"""Name the weights' format by the endings of files, and name files in messages. Pure."""

from collections.abc import Iterable, Sequence

from modelpm.inspection.layouts.roles import format_of as by_name
from modelpm.text.untrusted import shortened

_LONG = 200  # characters of a name in a message


def format_of(paths: Iterable[str]) -> str:
    """Return the weights' format by the files' endings: gguf, safetensors, onnx, pickle, or an empty text."""
    formats = {by_name(path) for path in paths}
    return next((name for name in ("gguf", "safetensors", "onnx", "pickle") if name in formats), "")


def few(paths: Sequence[str]) -> str:
    """Return the first names of several, for a message."""
    shown = ", ".join(f"`{shortened(p, _LONG)}`" for p in paths[:3])
    return shown + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")  # noqa: PLR2004 - as cut above
