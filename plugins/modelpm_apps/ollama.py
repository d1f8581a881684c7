"""Ollama's store, and those of programs that bring an Ollama of their own.

::

    blobs/sha256-HEX                                         layers, by their digest
    manifests/registry.ollama.ai/library/NAME/latest         which layers a model has
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from modelpm.api import UsageError
from modelpm.api.exporting import Entry, ExportedFile, ExportedModel, FoundFile, Link, Text
from modelpm.api.inspection import Facts
from modelpm_apps.files import MOST, small_text, wanted
from modelpm_apps.places import Places
from modelpm_apps.program import Program
from modelpm_apps.templates import template_of

_LAYER = "application/vnd.ollama.image."
_CONFIG = "application/vnd.docker.container.image.v1+json"
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_NAMES = {"model": "model", "projector": "mmproj", "adapter": "adapter"}  # of the layers that are model files
_UNITS = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K"))


def _of_ollama(places: Places) -> Iterator[Path]:
    yield from places.variable("OLLAMA_MODELS")
    yield from places.home(".ollama", "models")
    if places.platform == "linux":  # the service's own user
        yield Path("/usr/share/ollama/.ollama/models")
        yield Path("/var/lib/ollama/models")


@dataclass(frozen=True, slots=True)
class Ollama(Program):
    """The exporter of such a store."""

    def plan(self, model: ExportedModel, facts: Mapping[str, Facts], folder: Path) -> Iterator[Entry]:  # noqa: ARG002 - the protocol's
        """Link the layers, then write the configuration and, last, the manifest."""
        weights = wanted(model, self.title, [".gguf"], roles=["weights"])
        if len(weights) > 1:
            raise UsageError(
                f"{self.title} reads a model of one file, and `{model.name}` has {len(weights)}",
                hints=["llama-gguf-split --merge joins shards; or choose a variant of one file"],
            )
        layers = [_layer("model", weights[0]), *(_layer("projector", f) for f in _gguf(model, "projector"))]
        layers += [_layer("adapter", file) for file in _gguf(model, "adapter")]
        for file in {f.sha256: f for f in (*weights, *_gguf(model, "projector", "adapter"))}.values():
            yield Link(f"blobs/sha256-{file.sha256}", file.path)
        about = facts.get(weights[0].path) or Facts()
        for kind, text in template_of(about.architecture or ""):
            yield _blob(text)
            layers.append(_described(f"{_LAYER}{kind}", text))
        config = _json(_config(about, layers, has_projector=bool(_gguf(model, "projector"))))
        yield _blob(config)
        manifest = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": _described(_CONFIG, config), "layers": layers}
        yield Text(f"manifests/registry.ollama.ai/library/{model.name}/latest", _json(manifest))

    def files(self, folder: Path) -> Iterator[FoundFile]:
        """Yield the layers of every model that has a manifest, under its name and tag."""
        manifests = (path for path in sorted((folder / "manifests").glob("*/*/*/*")) if path.is_file())
        for path in islice(manifests, MOST):
            model = path.parent.name if path.name == "latest" else f"{path.parent.name}-{path.name}"
            for kind, place in _layers_of(folder, small_text(path)):
                yield FoundFile(f"{model}/{model}.gguf" if kind == "model" else f"{model}/{kind}-{model}.gguf", place)


OLLAMAS: Mapping[str, Callable[[Places], Ollama]] = {
    "ollama": partial(Ollama, "Ollama", _of_ollama),
    "anythingllm": partial(
        Ollama, "AnythingLLM", lambda p: p.config("anythingllm-desktop", "storage", "models", "ollama")
    ),
}


def _gguf(model: ExportedModel, *roles: str) -> tuple[ExportedFile, ...]:
    return tuple(file for file in model.of_role(*roles) if file.name.lower().endswith(".gguf"))


def _layer(kind: str, file: ExportedFile) -> dict[str, Any]:
    return {"mediaType": f"{_LAYER}{kind}", "digest": f"sha256:{file.sha256}", "size": file.size}


def _described(media: str, text: str) -> dict[str, Any]:
    return {"mediaType": media, "digest": f"sha256:{sha256(text.encode()).hexdigest()}", "size": len(text.encode())}


def _blob(text: str) -> Text:
    return Text(f"blobs/sha256-{sha256(text.encode()).hexdigest()}", text)


def _config(about: Facts, layers: Iterable[Mapping[str, Any]], *, has_projector: bool) -> dict[str, Any]:
    family = about.architecture or "unknown"
    return {
        "model_format": "gguf",
        "model_family": family,
        "model_families": [family, "clip"] if has_projector else [family],
        "model_type": _count(about.parameters),
        "file_type": about.quantization or "unknown",
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
    }


def _count(parameters: int | None) -> str:
    """Return a number of parameters as Ollama writes it: ``8.2B``."""
    number = parameters or 0
    unit = next(((size, letter) for size, letter in _UNITS if number >= size), None)
    return f"{number / unit[0]:.1f}{unit[1]}" if unit else str(number)


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))


def _layers_of(folder: Path, manifest: str) -> Iterator[tuple[str, Path]]:
    """Yield the model files of a manifest that are there: the kind, and the place."""
    try:
        layers = json.loads(manifest)["layers"]
        found = [(str(layer["mediaType"]), str(layer["digest"])) for layer in layers]
    except (ValueError, TypeError, KeyError, RecursionError):
        return
    for media, digest in found:
        kind = _NAMES.get(media.removeprefix(_LAYER), "")
        place = folder / "blobs" / digest.replace(":", "-").replace("/", "-")
        if kind and place.is_file():
            yield kind, place
