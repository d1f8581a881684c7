"""Link models for Shelfie: ``modelpm link shelfie NAME``."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from modelpm.api import Context, hookimpl
from modelpm.api.exporting import Entry, ExportedModel, Exporter, FoundFile, Link
from modelpm.api.inspection import Facts


class Shelfie:
    title = "Shelfie"

    def __init__(self, home: str) -> None:
        self.home = home

    def folders(self) -> Iterable[Path]:
        return [Path(self.home, "shelfie")]

    def plan(self, model: ExportedModel, facts: Mapping[str, Facts], folder: Path) -> Iterator[Entry]:
        for file in model.files:
            yield Link(f"{model.name}/{file.path}", file.path)

    def files(self, folder: Path) -> Iterator[FoundFile]:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield FoundFile(path.relative_to(folder).as_posix(), path)


@hookimpl
def modelpm_exporter(name: str, context: Context) -> Exporter | None:
    return Shelfie(context.environ.get("HOME", "/")) if name == "shelfie" else None
