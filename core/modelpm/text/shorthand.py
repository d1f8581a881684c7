"""Read short forms that people type on a command line: paths, ``owner/repo``, pasted pages."""

import os
import re
from collections.abc import Collection
from pathlib import Path
from urllib.parse import unquote

from modelpm.errors import UsageError
from modelpm.text.pasted import hub_spec
from modelpm.text.untrusted import printable

_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(?:@[^:@/]+)?(?::[\w.-]+)?", re.ASCII)
_HALF = re.compile(r"hf:/?(?!/)(?P<rest>[^/].*)", re.IGNORECASE)
_HUB = re.compile(r"hf://(?:models/(?P<repo>[^/]+/.+)|(?P<page>https?://.+))", re.IGNORECASE)
_PATHS = ("./", "../", "~/", "/")
FILES = (".gguf", ".safetensors", ".onnx", ".bin", ".pt", ".pth", ".ckpt", ".tflite", ".llamafile")
"""Endings that say that a bare name is the name of a file."""


def full_spec(text: str, endpoint: str, catalogs: Collection[str]) -> str:
    """Return the spec that a short form stands for; the text itself where it is none.

    Args:
        text: What was typed.
        endpoint: Another Hub that the user has configured; its pages count as well.
        catalogs: Names of catalogs: ``name/model`` is a model of theirs, and no repository of the Hub.

    Raises:
        UsageError: It is the bare name of a file that is here.
    """
    text = text.strip()  # as it is pasted
    if found := hub_spec(text, endpoint):
        return found
    if hub := _HUB.fullmatch(text):
        return f"hf://{hub['repo']}" if hub["repo"] else hub_spec(hub["page"], endpoint) or text
    if half := _HALF.fullmatch(text):
        return f"hf://{half['rest']}"
    local = unquote(text.removeprefix("file:")) if text.startswith("file:./") else text  # as a manifest writes it
    if local in {".", ".."} or local.startswith(_PATHS):
        return _of_path(local)
    if _REPO.fullmatch(text) and text.partition("/")[0].lower() not in catalogs:
        return f"hf://{text}"
    if "/" not in text and text.lower().endswith(FILES) and Path(text).is_file():
        raise UsageError(
            f"`{printable(text)}` is a file in this folder, not the name of a model",
            hints=[f"to take the file: ./{printable(text)}"],
        )
    return text


def _of_path(text: str) -> str:
    """Return the reference of a local file or folder; a variant of it may stand behind a colon."""
    path, variant = text, ""
    if not os.path.lexists(Path(text).expanduser()):
        before, colon, behind = text.rpartition(":")
        if colon and "/" not in behind and os.path.lexists(Path(before).expanduser()):
            path, variant = before, f":{behind}"
    return Path(os.path.abspath(Path(path).expanduser())).as_uri() + variant  # noqa: PTH100 - `..` goes, links stay
