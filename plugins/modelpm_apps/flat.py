"""Programs that find every file of one folder: each is a row of data."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from modelpm.api.exporting import ExportedModel, FoundFile, Link
from modelpm.api.inspection import Facts
from modelpm_apps.files import found_in, named_apart, wanted
from modelpm_apps.places import Places


@dataclass(frozen=True, slots=True)
class Row:
    """One such program.

    Attributes:
        title: Its name for people.
        folders: Where it may keep its models.
        endings: The files that it reads.
    """

    title: str
    folders: Callable[[Places], Iterable[Path]]
    endings: tuple[str, ...] = (".gguf",)

    def exporter(self, places: Places) -> "Flat":
        """Return the exporter of the program on a machine."""
        return Flat(self, places)


FLAT: Mapping[str, Row] = {
    "gpt4all": Row("GPT4All", lambda p: p.data("nomic.ai", "GPT4All", flatpak="io.gpt4all.gpt4all")),
    "msty": Row("Msty", lambda p: [*p.config("MstyStudio", "models-llamacpp"), *p.config("MstyStudio", "models")]),
    "koboldcpp": Row("KoboldCpp", lambda p: [*p.home("koboldcpp", "models"), *p.home("koboldcpp")]),
    "localai": Row(
        "LocalAI",
        lambda p: [*p.variable("LOCALAI_MODELS_PATH"), *p.variable("MODELS_PATH"), *p.home("localai", "models")],
    ),
    "whisper.cpp": Row("whisper.cpp", lambda p: p.home("whisper.cpp", "models"), (".bin", ".gguf")),
}


@dataclass(frozen=True, slots=True)
class Flat:
    """The exporter of such a program.

    Attributes:
        row: The program.
        places: The folders of the user.
    """

    row: Row
    places: Places

    @property
    def title(self) -> str:
        """The program's name."""
        return self.row.title

    def folders(self) -> Iterable[Path]:
        """Return where it may keep its models."""
        return self.row.folders(self.places)

    def plan(self, model: ExportedModel, facts: Mapping[str, Facts], folder: Path) -> Iterator[Link]:  # noqa: ARG002 - the protocol's
        """Link every file that the program reads under its own name."""
        for name, file in named_apart(wanted(model, self.title, self.row.endings)):
            yield Link(name, file.path)

    def files(self, folder: Path) -> Iterator[FoundFile]:
        """Yield every file that the program reads."""
        yield from found_in(folder, self.row.endings)
