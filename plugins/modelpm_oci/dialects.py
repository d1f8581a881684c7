"""Give each layer of an artifact the name of a file: ModelPack and ORAS say it, Docker's and Ollama's models do not.

Pure.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from modelpm.api import Code, UsageError, printable
from modelpm.api.oci import FILEPATH, TITLE, Descriptor, Manifest, with_name

_DOCKER = "application/vnd.docker.ai."
_OLLAMA = "application/vnd.ollama.image."
# What a layer without a name is called; `{}` is the model, and the names of several of a kind are numbered.
_NAMES = (
    (_DOCKER + "gguf.v3.mmproj", "mmproj-{}.gguf"),
    (_DOCKER + "gguf.v3.lora", "lora-{}.gguf"),
    (_DOCKER + "gguf", "{}.gguf"),
    (_DOCKER + "safetensors", "model.safetensors"),
    (_DOCKER + "license", "LICENSE"),
    (_DOCKER + "chat.template", "chat_template.jinja"),
    (_OLLAMA + "model", "{}.gguf"),
    (_OLLAMA + "projector", "mmproj-{}.gguf"),
    (_OLLAMA + "adapter", "adapter-{}.gguf"),
    (_OLLAMA + "template", "template.txt"),
    (_OLLAMA + "params", "params.json"),
    (_OLLAMA + "messages", "messages.json"),
    (_OLLAMA + "system", "system.txt"),
    (_OLLAMA + "license", "LICENSE"),
)
_SHARDED = frozenset({"{}.gguf", "model.safetensors"})
_ARCHIVE = re.compile(r"[.+]tar(?:[.+](?:gzip|zstd|gz))?$")
_IMAGES = ("application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs.")
_UNPACK = "io.deis.oras.content.unpack"


def named(manifest: Manifest, model: str, what: str) -> Manifest:
    """Return a manifest whose layers have names, where their kind tells one; others are left out.

    Args:
        manifest: The artifact.
        model: What to call the weights.
        what: Its reference, for messages.

    Raises:
        UsageError: It is a container image, or packed in a way that modelpm does not unpack, or holds no files.
    """
    layers = [layer for layer in manifest.layers if _name(layer) or _pattern(layer)]
    packed = next((layer for layer in layers if _is_packed(layer)), None)
    if packed is not None:
        raise UsageError(
            f"{what} has its files in archives ({printable(packed.media_type[:200])}), which modelpm does not unpack",
            hints=["push it with raw layers: `modctl build --raw`, or `modelpm push` of the files"],
        )
    if not layers:
        raise UsageError(f"{what} is {_kind(manifest)}, not a model", code=Code.USAGE, hints=[_HINT])
    return replace(manifest, layers=tuple(_numbered(layers, model)))


_HINT = "models are pushed with `modelpm push`, `docker model push`, modctl or oras"


def _name(layer: Descriptor) -> str:
    return layer.annotations.get(FILEPATH) or layer.annotations.get(TITLE) or ""


def _pattern(layer: Descriptor) -> str:
    return next((pattern for kind, pattern in _NAMES if layer.media_type.startswith(kind)), "")


def _is_packed(layer: Descriptor) -> bool:
    """Whether a layer is an archive of files, and not a file whose name says that it is one."""
    if layer.annotations.get(_UNPACK) == "true":
        return True
    return layer.media_type.startswith("application/vnd.cncf.") and _ARCHIVE.search(layer.media_type) is not None


def _kind(manifest: Manifest) -> str:
    if any(layer.media_type.startswith(_IMAGES) for layer in manifest.layers):
        return "a container image"
    return f"an artifact of type {printable(manifest.artifact_type[:200])} without named files"


def _numbered(layers: Sequence[Descriptor], model: str) -> Iterable[Descriptor]:
    """Yield layers with names; shards are numbered as runtimes expect it, others from the second on."""
    unnamed = [pattern for layer in layers if not _name(layer) for pattern in [_pattern(layer)]]
    seen: dict[str, int] = {}
    for layer in layers:
        if name := _name(layer):
            yield with_name(layer, name)
            continue
        pattern = _pattern(layer)
        seen[pattern] = seen.get(pattern, 0) + 1
        stem, dot, ending = pattern.format(model).partition(".") if "{}" not in pattern else _cut(pattern, model)
        count = unnamed.count(pattern)
        if pattern in _SHARDED and count > 1:
            stem = f"{stem}-{seen[pattern]:05}-of-{count:05}"
        elif seen[pattern] > 1:
            stem = f"{stem}-{seen[pattern]}"
        yield with_name(layer, f"{stem}{dot}{ending}")


def _cut(pattern: str, model: str) -> tuple[str, str, str]:
    stem, dot, ending = pattern.rpartition(".")
    return stem.format(model), dot, ending
