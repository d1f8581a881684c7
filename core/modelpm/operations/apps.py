"""Other programs on this machine, their folders, and models in the form that exporters take."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from modelpm.api.exporting import ExportedFile, ExportedModel
from modelpm.api.inspection import Facts
from modelpm.api.types import Reference
from modelpm.environment.environment import Environment, entry_point
from modelpm.environment.roots import Roots
from modelpm.environment.shelf import Shelf
from modelpm.errors import Code, ModelpmError, NotFound
from modelpm.inspection.inspection import Inspection
from modelpm.inspection.layouts.roles import format_of, role_of
from modelpm.lockfile.model import LockedFile, LockedModel
from modelpm.plugins.kinds.exporter import KIND, GuardedExporter
from modelpm.plugins.registry import Registry
from modelpm.results.apps import App


@dataclass(frozen=True, slots=True)
class Apps:
    """The programs that exporters know.

    Attributes:
        environment: The models to link.
        registry: Has the exporters.
        inspection: Reads the headers of files.
    """

    environment: Environment
    registry: Registry
    inspection: Inspection

    def rows(self) -> tuple[tuple[App, ...], tuple[ModelpmError, ...]]:
        """Return every program, found or not, and the errors of broken exporters."""
        rows, errors = list[App](), list[ModelpmError]()
        linked = self._shelves()
        for name in sorted(self.registry.names(KIND.name)):
            try:
                rows += self._rows_of(name, [shelf for shelf in linked if shelf.app == name])
            except ModelpmError as error:
                errors.append(error)
        return tuple(rows), tuple(errors)

    def exporter(self, app: str) -> GuardedExporter:
        """Return the exporter of a program.

        Raises:
            UsageError: No plugin knows the program.
        """
        return self.registry.get(KIND, app)

    def folder(self, app: str, exporter: GuardedExporter, given: Path | None, verb: str) -> Path:
        """Return the existing folder of a program.

        Args:
            app: The program's name.
            exporter: The program's.
            given: What the user named.
            verb: Of the command that needs it, for the hint.

        Raises:
            NotFound: Code ``no_app_folder``: it does not exist.
        """
        if given is not None:
            if given.is_dir():
                return given
            text, hints = f"{given} is not a folder", [f"if {exporter.title} is to use it: mkdir -p {given}"]
            raise NotFound(text, code=Code.NO_APP_FOLDER, hints=hints, path=str(given))
        places = exporter.folders()
        found = next((path for path in places if path.is_dir()), None)
        if found is not None:
            return found
        looked = ", ".join(map(str, places)) or "no place that this machine has"
        raise NotFound(
            f"{exporter.title} was not found; looked for {looked}",
            code=Code.NO_APP_FOLDER,
            hints=[f"name its folder: modelpm {verb} {app} --app-dir PATH"],
        )

    def shelves(self, app: str, given: Path | None = None) -> list[Shelf]:
        """Return the folders of a program with linked models, or the given one."""
        found = [shelf for shelf in self._shelves() if shelf.app == app]
        return [s for s in found if given is None or s.folder == given.resolve()]

    def exported(self, model: LockedModel) -> tuple[ExportedModel, Mapping[str, Facts]]:
        """Return a model in the form that exporters take, and the facts from its headers."""
        asked = self._reference(model.requirement.text) if "://" in model.requirement.text else None
        files = tuple(self._file(file) for file in model.files)
        exported = ExportedModel(
            name=model.name,
            spec=model.requirement.text,
            files=files,
            entry_point=entry_point(model),
            format=model.format or next((f for file in files if (f := format_of(file.path))), ""),
            variant=model.variant,
            license=model.license,
            asked=asked,
        )
        return exported, {file.path: facts for file in model.files if (facts := self._facts(file)) is not None}

    def _shelves(self) -> list[Shelf]:
        return [shelf for shelf in Roots(self.environment).shelves() if shelf.app]

    def _rows_of(self, name: str, linked: list[Shelf]) -> list[App]:
        exporter = self.exporter(name)
        places = exporter.folders()
        models = {shelf.folder: tuple(sorted(n for n in shelf.names if shelf.files_of(n))) for shelf in linked}
        found = [path for path in dict.fromkeys(places) if path.is_dir()]
        known = {path.resolve() for path in found}
        found += [folder for folder in models if folder not in known]
        if not found:
            return [App(name, exporter.title, found=False, dir=places[0] if places else None)]
        return [App(name, exporter.title, found=True, dir=p, models=models.get(p.resolve(), ())) for p in found]

    def _file(self, file: LockedFile) -> ExportedFile:
        sources = (self._reference(text) for text in file.sources if "://" in text)
        return ExportedFile(
            path=file.path,
            size=file.size,
            sha256=file.sha256,
            role=file.role or str(role_of(file.path)),
            sources=tuple(source for source in sources if source is not None),
        )

    def _reference(self, text: str) -> Reference | None:
        """Return the reference of a source in a lock; None if its plugin is not installed."""
        try:
            return self.registry.reference(text)
        except ModelpmError:
            return None

    def _facts(self, file: LockedFile) -> Facts | None:
        if not format_of(file.path):
            return None
        with suppress(ModelpmError):  # linking reports missing or damaged files
            return self.inspection.of_file(self.environment.store.blob(file.sha256), file.path, file.sha256).facts
        return None
