"""Judge files by their endings: the weights' format, and what can run code when it is loaded. Pure."""

from collections.abc import Iterable, Sequence

from modelpm.errors import Code, Denied
from modelpm.text.untrusted import shortened

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_LONG = 200  # characters of a name in a message


def format_of(paths: Iterable[str]) -> str:
    """Return the weights' format by the files' endings: gguf, safetensors, onnx, pickle, or an empty text."""
    endings = {p.rsplit(".", 1)[-1].lower() for p in paths if "." in p}
    for name in ("gguf", "safetensors", "onnx"):
        if name in endings:
            return name
    return "pickle" if any(f".{e}" in PICKLES for e in endings) else ""


def pickles_in(paths: Iterable[str], format_: str) -> list[str]:
    """Return the files that can run code when they are loaded, by their endings.

    Args:
        paths: The files.
        format_: What their catalog says they are; empty where no catalog speaks for them.
    """
    if format_.casefold() not in {"", "pickle", "pytorch"}:
        return []
    return [path for path in paths if path.lower().endswith(PICKLES)]


def refuse_pickles(paths: Sequence[str], format_: str, what: str) -> None:
    """Refuse files that can run code when they are loaded.

    Args:
        paths: The files.
        format_: What their catalog says they are; the endings of whisper's ggml or of voices mean something else.
        what: The model, for the message.

    Raises:
        Denied: Code ``pickle``.
    """
    if pickles := pickles_in(paths, format_):
        raise Denied(
            f"{what} needs files that can run code when they are loaded: {few(pickles)}",
            code=Code.PICKLE,
            hints=["if you trust the publisher, say --allow-pickle; else look for a safetensors, GGUF or ONNX version"],
        )


def few(paths: Sequence[str]) -> str:
    """Return the first names of several, for a message."""
    shown = ", ".join(f"`{shortened(p, _LONG)}`" for p in paths[:3])
    return shown + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")  # noqa: PLR2004 - as cut above
