"""Programs that find every file of one folder."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from modelpm.api.exporting import ExportedModel, FoundFile, Link
from modelpm.api.inspection import Facts
from modelpm_apps.files import found_in, named_apart, wanted
from modelpm_apps.places import Places
from modelpm_apps.program import Program


@dataclass(frozen=True, slots=True)
class Flat(Program):
    """The exporter of such a program.

    Attributes:
        endings: The files that it reads.
    """

    endings: tuple[str, ...] = (".gguf",)

    def plan(self, model: ExportedModel, facts: Mapping[str, Facts], folder: Path) -> Iterator[Link]:  # noqa: ARG002 - the protocol's
        """Link every file that the program reads under its own name."""
        for name, file in named_apart(wanted(model, self.title, self.endings)):
            yield Link(name, file.path)

    def files(self, folder: Path) -> Iterator[FoundFile]:
        """Yield every file that the program reads."""
        yield from found_in(folder, self.endings)


FLAT: Mapping[str, Callable[[Places], Flat]] = {
    "gpt4all": partial(Flat, "GPT4All", lambda p: p.data("nomic.ai", "GPT4All", flatpak="io.gpt4all.gpt4all")),
    "msty": partial(
        Flat, "Msty", lambda p: [*p.config("MstyStudio", "models-llamacpp"), *p.config("MstyStudio", "models")]
    ),
    "koboldcpp": partial(Flat, "KoboldCpp", lambda p: [*p.home("koboldcpp", "models"), *p.home("koboldcpp")]),
    "localai": partial(
        Flat,
        "LocalAI",
        lambda p: [*p.variable("LOCALAI_MODELS_PATH"), *p.variable("MODELS_PATH"), *p.home("localai", "models")],
    ),
    "whisper.cpp": partial(Flat, "whisper.cpp", lambda p: p.home("whisper.cpp", "models"), endings=(".bin", ".gguf")),
}
