"""text-generation-webui: files and folders in ``user_data/models`` of the program."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from modelpm.api.exporting import ExportedModel, FoundFile, Link
from modelpm.api.inspection import Facts
from modelpm_apps.files import found_in, wanted
from modelpm_apps.places import Places

_MODELS = "user_data/models/"
_ENDINGS = (".gguf", ".safetensors", ".json", ".txt", ".model", ".jinja")


@dataclass(frozen=True, slots=True)
class TextGen:
    """The exporter of text-generation-webui.

    Attributes:
        places: The folders of the user.
    """

    places: Places
    title = "text-generation-webui"

    def folders(self) -> Iterator[Path]:
        """Return the program's usual folders."""
        yield from self.places.home("text-generation-webui")
        yield from self.places.home("textgen")

    def plan(self, model: ExportedModel, facts: Mapping[str, Facts], folder: Path) -> Iterator[Link]:  # noqa: ARG002 - the protocol's
        """Link a GGUF file by itself, and everything else in a folder of its own."""
        base = "" if folder.name == "models" else _MODELS
        if model.format == "gguf":
            weights = wanted(model, self.title, [".gguf"], roles=["weights"])
            inside = f"{model.name}/" if len(weights) > 1 else ""
            for file in weights:
                yield Link(f"{base}{inside}{file.name}", file.path)
            for file in model.of_role("projector"):
                mmproj = f"{model.name}/" if folder.name == "models" else "user_data/mmproj/"
                yield Link(f"{mmproj}{file.name}", file.path)
            return
        wanted(model, self.title, [".safetensors", ".bin"])
        for file in model.files:  # people edit configurations and templates there
            yield Link(f"{base}{model.name}/{file.path}", file.path, is_edited=file.role in {"config", "tokenizer"})

    def files(self, folder: Path) -> Iterator[FoundFile]:
        """Yield the files of its folders of models."""
        for models in (folder / _MODELS, folder / "models", *([folder] if folder.name == "models" else [])):
            yield from found_in(models, _ENDINGS)
