"""Import model files of this machine: store their bytes, and install them as models."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from modelpm.bundle.bundle import Taken, owners_of
from modelpm.bundle.files import ENDINGS, ModelFiles, find_files, take_files
from modelpm.errors import Interrupted, ModelpmError, NotFound, UsageError
from modelpm.events.acts import acting
from modelpm.events.call import Call
from modelpm.inspection.files import LocalFile
from modelpm.inspection.layouts.in_folder import Place, models_in
from modelpm.inspection.layouts.roles import role_of
from modelpm.inspection.policy import Subject, refusal
from modelpm.lockfile.model import LockedModel
from modelpm.operations.acquire import Installer
from modelpm.operations.fetched import until
from modelpm.operations.inspect import usual_command
from modelpm.operations.place import Placed
from modelpm.resolution.naming import Names
from modelpm.resolution.resolve import ResolvedModel
from modelpm.results.report import Change, Result
from modelpm.text.untrusted import check_model_name, few

_FEW = 5  # names in a message


@dataclass(frozen=True, slots=True)
class Importer:
    """Installs files as models.

    Attributes:
        installer: Brings models into the user's environment.
        project: Models that a project has locked; their files need no further name.
        call: The user, the cancellation, and the bus for events.
        name: The name of the one model; None for the default names.
        allow: The kinds of code that a model may hold: ``pickle``, ``code``.
        dry_run: Whether only to report what would be done.
    """

    installer: Installer
    project: Sequence[LockedModel]
    call: Call
    name: str | None = None
    allow: tuple[str, ...] = ()
    dry_run: bool = False
    _changes: list[Change] = field(default_factory=list)
    _errors: list[ModelpmError] = field(default_factory=list)
    _planned: list[LockedModel] = field(default_factory=list)
    _failed: set[str] = field(default_factory=set)  # files of models that failed

    def run(self, source: Path) -> Result[Taken]:
        """Import a model's file, or every model of a folder; if one fails, the others are still finished.

        Raises:
            NotFound: It holds no files of a model.
            UsageError: A name was given, and there are several models.
            StoreError: The system refuses.
        """
        files = find_files(self.call.bus, source)
        self._refuse_others(source)
        places = models_in(files.sizes, files.folder.as_posix()) or (_alone(source),)
        self._check_name(source, places)
        if self.dry_run:
            return self.bring(files, places)
        with acting(
            self.call.bus, "import", resource_type="bundle", resource_id=str(source), user=self.call.user
        ) as outcome:
            result = self.bring(files, places)
            outcome.details.update(files=len(result.rows), bytes=sum(row.size for row in result.rows))
        return result

    def bring(self, files: ModelFiles, places: Sequence[Place], *, share: bool = False) -> Result[Taken]:
        """Take files into the store, and make a model of those in each place; if one fails, finish the others.

        Args:
            files: The files.
            places: The models among them.
            share: As of :func:`modelpm.bundle.files.take_files`.

        Raises:
            StoreError: The system refuses.
        """
        store, recognize = self.installer.environment.store, self.installer.resolver.catalogs.recognize
        with nullcontext() if self.dry_run else store.lock("store", shared=True):
            taken = {
                row.file: replace(row, known=tuple(dict.fromkeys(map(str, recognize(row.sha256)))))
                for row in take_files(store, files, until(self.call.cancelled), share=share, dry_run=self.dry_run)
            }
            names = self.installer.names()
            for place in places:
                self._import(Placed(self.installer.resolver, files, place, taken), names)
        owners = owners_of([*self.project, *self.installer.environment.read().models, *self._planned])
        rows = tuple(replace(row, models=owners.get(row.sha256, ())) for row in taken.values())
        if left := [row.file for row in rows if not row.models and row.file not in self._failed]:
            self.call.bus.warn(f"no model needs {few(left, _FEW)}: `modelpm prune` removes what only the store has")
        return Result(tuple(self._changes), rows=rows, errors=tuple(self._errors), dry_run=self.dry_run)

    def _refuse_others(self, source: Path) -> None:
        """Refuse a single file that is not a model by its name or its bytes, such as a key or a letter.

        Raises:
            NotFound: As above.
        """
        if not source.is_file() or role_of(source.name).has_weights:
            return
        with LocalFile(source) as file:
            found = self.installer.inspection.inspectors.inspect(file, source.name)
        if found.format in {None, "script"}:
            raise NotFound(
                f"{source} is not a model: neither its ending nor its bytes are those of one",
                hints=[f"{ENDINGS}, or begin as such a file does"],
            )

    def _check_name(self, source: Path, places: Sequence[Place]) -> None:
        if self.name is None:
            return
        check_model_name(self.name)
        if len(places) > 1:
            raise UsageError(
                f"`--as` names one model, and {source} holds {len(places)}: {few([p.name for p in places], _FEW)}",
                hints=["import the file or folder of one of them, or leave out --as"],
            )

    def _import(self, placed: Placed, names: Names) -> None:
        """Install one model from files in the store."""
        try:
            found, model = placed.model(self.name, self.allow)
            if self._same(self.project, model):
                return
            environment = self.installer.environment
            there = self._same(environment.read().models, model)
            if there is not None and environment.complete(there):
                self._changes.append(self.installer.already(there)[1])
                return
            found = names.settle(found)
            self.installer.standing(found)
            names.take(found)
            self._changes.append(self._made(placed, replace(model, name=found.name)))
        except Interrupted:
            raise
        except ModelpmError as error:
            error.details.setdefault("name", placed.place.name)
            self._errors.append(error)
            self._failed.update(placed.path(path) for path in placed.place.files)

    def _made(self, placed: Placed, model: ResolvedModel) -> Change:
        if not self.dry_run:
            (task,) = self.installer.plan([model])
            return self.installer.install(task, call=self.call)[1]
        inspection, locked = self.installer.inspection, model.lock({})
        where = {row.sha256: placed.files.place(path) for path, row in placed.taken.items()}
        found = {f.path: inspection.of_file(where[f.sha256], f.path, f.sha256) for f in locked.files}
        subject = Subject(model.name, usual_command(self.installer.environment, model))
        if (error := refusal(subject, found, self.allow)) is not None:
            raise error
        self._planned.append(locked)
        return Change.of("install", locked)

    def _same(self, models: Sequence[LockedModel], model: ResolvedModel) -> LockedModel | None:
        """Return the installed model with these bytes, unless the request has another name."""
        wanted = {file.sha256 for file in model.files}
        found = (each for each in models if self.name in {None, each.name})
        return next((each for each in found if wanted <= {file.sha256 for file in each.files}), None)


def _alone(source: Path) -> Place:
    """Return the place of a file that is a model by its bytes, not by its name."""
    return Place("", (source.name,), source.name, source.parent.name, is_loose=True)
