"""Jan: a folder for each model, with a ``model.yml`` that names its files relative to Jan's data folder."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from modelpm.api.exporting import Entry, ExportedModel, FoundFile, Link, Text
from modelpm.api.inspection import Facts
from modelpm_apps.files import files_in, small_text, wanted
from modelpm_apps.places import Places

_FLATPAK = "ai.jan.Jan"
_MODELS = "llamacpp/models"


@dataclass(frozen=True, slots=True)
class Jan:
    """The exporter of Jan.

    Attributes:
        places: The folders of the user.
    """

    places: Places
    title = "Jan"

    def folders(self) -> Iterator[Path]:
        """Return the data folder that its settings name, and its usual ones."""
        for settings in (*self.places.config("Jan", "settings.json", flatpak=_FLATPAK), *self._data("settings.json")):
            try:
                named = Path(json.loads(small_text(settings) or "{}").get("data_folder") or "")
            except (ValueError, TypeError, AttributeError, RecursionError):
                continue
            if named.is_absolute():
                yield named
        yield from self.places.config("Jan", "data", flatpak=_FLATPAK)
        yield from self._data("data")

    def plan(self, model: ExportedModel, facts: Mapping[str, Facts], folder: Path) -> Iterator[Entry]:  # noqa: ARG002 - the protocol's
        """Link the weights and the projector, then write ``model.yml``."""
        root = f"{_MODELS}/{model.name}"
        weights = wanted(model, self.title, [".gguf"], roles=["weights"])
        projectors = [file for file in model.of_role("projector") if file.name.lower().endswith(".gguf")][:1]
        for file in (*weights, *projectors):
            yield Link(f"{root}/{file.name}", file.path)
        lines: dict[str, str | int] = {
            "model_path": f"{root}/{weights[0].name}",
            "name": model.name,
            "size_bytes": sum(file.size for file in weights),
        }
        if projectors:
            lines["mmproj_path"] = f"{root}/{projectors[0].name}"
        text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in lines.items())  # JSON values are YAML, too
        yield Text(f"{root}/model.yml", text)

    def files(self, folder: Path) -> Iterator[FoundFile]:
        """Yield the files that lie in the data folder, under the name of their model."""
        for path in files_in(folder / _MODELS, (".gguf",)):
            base = path.name if path.stem not in {"model", "mmproj"} else f"{path.stem}-{path.parent.name}.gguf"
            yield FoundFile(f"{path.parent.name}/{base.removeprefix('model-')}", path)

    def _data(self, *parts: str) -> Iterator[Path]:
        yield from self.places.data("Jan", *parts, flatpak=_FLATPAK)
