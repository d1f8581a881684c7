"""An exporter: says where a model must appear for another program to find it. The core judges the paths, and links."""

from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from modelpm.api.exporting import MOST_TEXT, Adoptable, Alias, Entry, ExportedModel, Exporter, FoundFile, Link, Text
from modelpm.api.inspection import Facts
from modelpm.api.types import Context
from modelpm.errors import ModelpmError, PluginError, UsageError
from modelpm.plugins.guard import Guarded, expect
from modelpm.plugins.kinds import Kind, Trust
from modelpm.text.untrusted import check_paths, printable

_TITLE = 100


def modelpm_exporter(name: str, context: Context) -> Exporter | None:
    """Serve the program ``name``. Group ``modelpm.exporter.v1``."""


class GuardedExporter(Guarded[Exporter]):
    """An exporter."""

    __slots__ = ()
    METHODS = ("folders", "plan")

    @property
    def title(self) -> str:
        """As :attr:`modelpm.api.exporting.Exporter.title`."""
        return printable(self._ask(lambda made: made.title, str, "title")[:_TITLE])

    def folders(self) -> tuple[Path, ...]:
        """As :meth:`modelpm.api.exporting.Exporter.folders`."""

        def ask() -> tuple[Path, ...]:
            return self._ask_all(lambda made: made.folders(), Path, "folder")

        return self.waits.bounded(self.entry, "a list of folders", ask)

    def plan(self, model: ExportedModel, facts: Mapping[str, Facts], folder: Path) -> tuple[Entry, ...]:
        """As :meth:`modelpm.api.exporting.Exporter.plan`; every path is safe, and every file is the model's."""

        def ask() -> tuple[Entry, ...]:
            return self._ask_all(lambda made: made.plan(model, facts, folder), get_args(Entry), "entry")

        entries = self.waits.bounded(self.entry, "a plan", ask)
        for entry in entries:
            self._check(entry, model)
        links = {entry.path for entry in entries if isinstance(entry, Link)}
        if any(isinstance(entry, Alias) and entry.target not in links for entry in entries):
            raise self._broken("an alias of what is not linked")
        try:
            check_paths([entry.path for entry in entries])
        except ModelpmError as error:
            raise self._broken(error.message) from error
        return entries

    @property
    def is_adoptable(self) -> bool:
        """Whether it tells which models the program has."""
        return isinstance(self.made, Adoptable)

    def files(self, folder: Path) -> tuple[FoundFile, ...]:
        """As :meth:`modelpm.api.exporting.Adoptable.files`, each path once; none if the plugin does not tell."""
        made = self.made
        if not isinstance(made, Adoptable):
            return ()

        def ask() -> tuple[FoundFile, ...]:
            return self._ask_all(lambda _: made.files(folder), FoundFile, "file")

        found = self.waits.bounded(self.entry, "a list of files", ask)
        for each in found:
            expect(self.entry, each.path, str, "path of a file")
            expect(self.entry, each.place, Path, "place of a file")
        return tuple({each.path: each for each in found}.values())

    def _check(self, entry: Entry, model: ExportedModel) -> None:
        expect(self.entry, entry.path, str, "path")
        if isinstance(entry, Text):
            expect(self.entry, entry.text, str, "text")
            if len(entry.text) > MOST_TEXT:
                raise self._broken(f"a text of {len(entry.text):,} characters")
        if isinstance(entry, Link) and entry.file not in {file.path for file in model.files}:
            raise self._broken("a file that the model does not have")

    def _broken(self, why: str) -> PluginError:
        return PluginError(f"plugin {self.entry} (exporter `{self.entry.name}`) answered with {why}")


KIND = Kind("exporter", "program", modelpm_exporter, GuardedExporter.of, Trust.CLOSED, shared=True, unknown=UsageError)
