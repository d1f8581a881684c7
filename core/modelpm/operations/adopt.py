"""Adopt: install the models of another program, without changing its files."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelpm.bundle.bundle import Taken
from modelpm.bundle.files import ModelFiles
from modelpm.errors import Code, NotFound, UsageError
from modelpm.events.acts import acting
from modelpm.inspection.layouts.in_folder import models_in
from modelpm.inspection.layouts.model_files import model_files
from modelpm.operations.apps import Apps
from modelpm.operations.import_files import Importer
from modelpm.results.apps import Adopted
from modelpm.results.report import Result
from modelpm.store import Store
from modelpm.store.blobs.probe import link_kind
from modelpm.text.untrusted import check_path


@dataclass(frozen=True, slots=True)
class Adopter:
    """Adopts models of programs.

    Attributes:
        apps: The programs.
        importer: Makes models of files.
    """

    apps: Apps
    importer: Importer

    def adopt(self, app: str, given: Path | None, *, hardlink: bool) -> Result[Any]:
        """Take every model of a program into the store, with names; if one fails, the others are still finished.

        Args:
            app: The program.
            given: Its folder; None means the folder that modelpm finds.
            hardlink: Whether to make its files read-only and share them with the store.

        Raises:
            UsageError: No plugin knows the program, or the plugin cannot list its models.
            NotFound: Its folder does not exist, or holds no models.
        """
        exporter = self.apps.exporter(app)
        if not exporter.is_adoptable:
            raise UsageError(
                f"the exporter of {exporter.title} does not tell which models it has",
                hints=["modelpm import FOLDER makes installed models of the files of a folder"],
            )
        folder = self.apps.folder(app, exporter, given, "adopt")
        files = self._found(app, folder)
        places = models_in(files.sizes, folder.as_posix())
        details, call = {"app": app, "folder": str(folder)}, self.importer.call
        if self.importer.dry_run:
            result = self.importer.bring(files, places)
        else:
            with acting(
                call.bus, "adopt", resource_type="folder", resource_id=str(folder), user=call.user, details=details
            ) as outcome:
                result = self.importer.bring(files, places, share=hardlink)
                outcome.details.update(files=len(result.rows), bytes=sum(row.size for row in result.rows))
        adopted = self._adopted(app, folder, files, result.rows)
        return Result(result.changes, rows=(adopted,), errors=result.errors, dry_run=result.dry_run)

    def _found(self, app: str, folder: Path) -> ModelFiles:
        """Return the files of models that a program has.

        Raises:
            NotFound: It has none.
            IntegrityError: The exporter returned an unsafe path.
        """
        found = {each.path: each.place for each in self.apps.exporter(app).files(folder)}
        for path in found:
            check_path(path)
        kept, _ = model_files(found)
        places = {path: place for path, place in found.items() if path in kept and place.is_file()}
        if not places:
            raise NotFound(f"{folder} holds no models", code=Code.NO_WEIGHTS, hints=[f"modelpm link {app} --all"])
        sizes = {path: place.stat().st_size for path, place in places.items()}
        apart = {path: place for path, place in places.items() if place != folder / path}
        return ModelFiles(folder, sizes, apart)

    def _adopted(self, app: str, folder: Path, files: ModelFiles, rows: tuple[Taken, ...]) -> Adopted:
        """Return the adopted models, and the bytes that the disk has only once."""
        store = self.apps.environment.store
        clones = not self.importer.dry_run and link_kind(store.layout, store.layout.partials, "apart") == "reflink"
        shared = [row for row in rows if _is_shared(store, files.place(row.file), row, clones=clones)]
        copied = [row for row in rows if row.state == "adopted" and row not in shared]
        sizes = (sum(row.size for row in some) for some in (rows, shared, copied))
        return Adopted(app, folder, len(rows), *sizes)


def _is_shared(store: Store, place: Path, row: Taken, *, clones: bool) -> bool:
    """Whether a blob and the program's file have the same bytes on the disk."""
    facts = store.facts(row.sha256)
    if facts is None:
        return False
    there = place.stat()
    cloned = clones and row.state == "adopted" and facts.st_dev == there.st_dev
    return cloned or os.path.samestat(facts, there)
