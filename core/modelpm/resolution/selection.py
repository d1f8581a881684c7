"""Name the weights' format by the endings of files. Pure."""

from collections.abc import Iterable

_PICKLES = ("pt", "pth", "ckpt", "pkl")  # `.bin` is the ending of many formats


def format_of(paths: Iterable[str]) -> str:
    """Return the weights' format by the files' endings: gguf, safetensors, onnx, pickle, or an empty text."""
    endings = {p.rsplit(".", 1)[-1].lower() for p in paths if "." in p}
    for name in ("gguf", "safetensors", "onnx"):
        if name in endings:
            return name
    return "pickle" if not endings.isdisjoint(_PICKLES) else ""
