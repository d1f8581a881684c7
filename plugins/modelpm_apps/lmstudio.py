"""LM Studio: ``PUBLISHER/REPOSITORY/FILE`` in its folder of models."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from modelpm.api.exporting import ExportedModel, FoundFile, Link
from modelpm.api.inspection import Facts
from modelpm_apps.files import found_in, named_apart, repository, small_text, wanted
from modelpm_apps.places import Places

_MODELS = "models"
_ENDINGS = (".gguf", ".safetensors", ".json", ".txt", ".model", ".jinja")


@dataclass(frozen=True, slots=True)
class LMStudio:
    """The exporter of LM Studio.

    Attributes:
        places: The folders of the user.
    """

    places: Places
    title = "LM Studio"

    def folders(self) -> Iterator[Path]:
        """Return the folder of its settings, and those that it had in earlier versions."""
        for home in self._homes():
            if named := _downloads(home / "settings.json"):
                yield named
            yield home / _MODELS

    def plan(self, model: ExportedModel, facts: Mapping[str, Facts], folder: Path) -> Iterator[Link]:  # noqa: ARG002 - the protocol's
        """Link GGUF files, with their projector; of a model in MLX format everything."""
        owner, name = repository(model)
        files = model.files if _is_mlx(model) else wanted(model, self.title, [".gguf"])
        for base, file in named_apart(files):
            yield Link(f"{owner}/{name}/{base}", file.path)

    def files(self, folder: Path) -> Iterator[FoundFile]:
        """Yield the files of every repository."""
        yield from found_in(folder, _ENDINGS)

    def _homes(self) -> Iterator[Path]:
        for pointer in self.places.home(".lmstudio-home-pointer"):
            named = Path(small_text(pointer).strip())
            if named.is_absolute():
                yield named
        yield from self.places.home(".lmstudio")
        yield from self.places.home(".cache", "lm-studio")


def _is_mlx(model: ExportedModel) -> bool:
    return model.format == "mlx" or repository(model)[0] == "mlx-community"


def _downloads(settings: Path) -> Path | None:
    """Return the folder of models that the settings name."""
    try:
        named = Path(json.loads(small_text(settings) or "{}").get("downloadsFolder") or "")
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    return named if named.is_absolute() else None
