"""Name the weights' format by the endings of files, and name files in messages. Pure."""

from collections.abc import Iterable, Sequence

from modelpm.text.untrusted import shortened

_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_LONG = 200  # characters of a name in a message


def format_of(paths: Iterable[str]) -> str:
    """Return the weights' format by the files' endings: gguf, safetensors, onnx, pickle, or an empty text."""
    endings = {p.rsplit(".", 1)[-1].lower() for p in paths if "." in p}
    for name in ("gguf", "safetensors", "onnx"):
        if name in endings:
            return name
    return "pickle" if any(f".{e}" in _PICKLES for e in endings) else ""


def few(paths: Sequence[str]) -> str:
    """Return the first names of several, for a message."""
    shown = ", ".join(f"`{shortened(p, _LONG)}`" for p in paths[:3])
    return shown + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")  # noqa: PLR2004 - as cut above
