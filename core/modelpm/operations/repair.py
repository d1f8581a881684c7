"""Repair: fetch only the damaged bytes again, then update every view that shows the repaired blobs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from modelpm.api.types import Status
from modelpm.environment.environment import Environment
from modelpm.environment.roots import Roots
from modelpm.errors import Interrupted, ModelpmError
from modelpm.events.acts import acting
from modelpm.events.call import Call
from modelpm.events.progress import Tracker
from modelpm.lockfile.model import LockedFile, LockedModel
from modelpm.operations.acquire import Installer
from modelpm.operations.inspect import inspected
from modelpm.operations.unpack import unpack
from modelpm.resolution.plan import needed_archives
from modelpm.resolution.resolve import ResolvedFile, ResolvedModel
from modelpm.results.report import Verified
from modelpm.store.reuse import obtain
from modelpm.transfer import Fetched


@dataclass(frozen=True, slots=True)
class Repairer:
    """Repairs blobs of an environment, and its view.

    Attributes:
        installer: Has the environment, and downloads.
        call: The user, the cancellation, and the bus for events.
    """

    installer: Installer
    call: Call

    @property
    def environment(self) -> Environment:
        """The store with the models."""
        return self.installer.environment

    def repair(self, models: Sequence[LockedModel], rows: Sequence[Verified]) -> tuple[Verified, ...]:
        """Repair the bad files of a check.

        Args:
            models: The checked models.
            rows: The rows of the check.

        Returns:
            The rows, with repaired files as good and with their downloaded bytes.

        Raises:
            Interrupted: Cancelled.
        """
        bad = {(row.name, row.file): row for row in rows if not row.ok}
        done: dict[tuple[str, str], Verified] = {}
        store, repaired = self.environment.store, dict[str, Verified]()
        with store.lock("store", shared=True):
            for model in models:
                files = [f for f in model.files if (model.name, f.path) in bad]
                if files:
                    done |= self._model(model, files, bad, repaired)
            if repaired:
                Roots(self.environment).show_anew(set(repaired), self.call.bus)
        self.installer.free_leftovers()
        return tuple(done.get((row.name, row.file), row) for row in rows)

    def _model(
        self,
        model: LockedModel,
        files: Sequence[LockedFile],
        bad: Mapping[tuple[str, str], Verified],
        repaired: dict[str, Verified],
    ) -> dict[tuple[str, str], Verified]:
        rotten = [f for f in files if not bad[model.name, f.path].only_shown_badly and f.sha256 not in repaired]
        details = {"name": model.name, "files": [f.path for f in files][:100]}
        with (
            self.environment.store.lease(f.sha256 for f in model.files),
            acting(
                self.call.bus,
                "repair",
                resource_type="model",
                resource_id=model.model,
                user=self.call.user,
                details=details,
            ) as outcome,
        ):
            results = self._fetch(model, rotten)
            here = [f for f in files if not isinstance(results.get(f.sha256), ModelpmError)]
            inspected(self.installer.inspection, self.environment, model, model.allow, files=here)
            rows = [_row(bad[model.name, f.path], results.get(f.sha256)) for f in files]
            repaired |= {f.sha256: row for f, row in zip(files, rows, strict=True) if row.ok}
            if any(row.ok for row in rows):
                rows = self._placed(model, rows)
            outcome.success = all(row.ok for row in rows)
            outcome.details.update(
                downloaded=sum(row.downloaded for row in rows), bad=[row.file for row in rows if not row.ok][:100]
            )
        return {(row.name, row.file): row for row in rows}

    def _fetch(self, model: LockedModel, files: Sequence[LockedFile]) -> dict[str, Fetched | ModelpmError]:
        """Repair the blobs of some files; fetch only their damaged parts."""
        store, wanted = self.environment.store, ResolvedModel.of_locked(model)
        for file in files:  # a blob that only looks good must not be kept
            if store.blob(file.sha256).exists():
                store.doubt(file.sha256)
        missing = {f.sha256: f for f in files if not self._obtained(model, f)}
        paths = {f.path for f in missing.values()}
        packed = needed_archives(wanted, {f.sha256 for f in model.files} - missing.keys())
        fetched = [w for w in wanted.files if w.path in paths and not w.archive]
        part = replace(wanted, files=(*fetched, *packed))
        tracker = Tracker(part, 0, self.call.bus)
        fetches = self.installer.fetches(part)
        if fetches:
            tracker.queued()
        results = self.installer.run(fetches, tracker, self.call.cancelled)
        if interrupted := next((r for r in results if isinstance(r, Interrupted)), None):
            tracker.failed(Status.CANCELLED, str(interrupted))
            raise interrupted
        if failed := next((r for r in results if isinstance(r, ModelpmError)), None):
            tracker.failed(Status.FAILED, str(failed))
        elif fetches:
            tracker.completed(sum(f.size for f in missing.values()))
        found = {fetch.key: result for fetch, result in zip(fetches, results, strict=True)}
        return found | self._unpacked(wanted, packed, found)

    def _unpacked(
        self, model: ResolvedModel, archives: Sequence[ResolvedFile], found: Mapping[str, Fetched | ModelpmError]
    ) -> dict[str, Fetched | ModelpmError]:
        """Unpack archives that were fetched again; return the outcomes of their members, by SHA-256."""
        results: dict[str, Fetched | ModelpmError] = {}
        for archive in archives:
            came = found[archive.sha256 or ""]
            results |= {member.sha256 or "": came for member in model.members(archive)}
        if archives and not any(isinstance(came, ModelpmError) for came in results.values()):
            self.installer.leftovers.update(archive.sha256 or "" for archive in archives)
            pairs = [(archive, archive.sha256 or "") for archive in archives]
            unpack(self.environment, self.installer.registry, model, pairs, self.call.cancelled)
        return results

    def _obtained(self, model: LockedModel, file: LockedFile) -> bool:
        shown = self.environment.view.file(model.name, file.path)
        return obtain(self.environment.store, file.sha256, file.size, path=file.path, shown=shown)

    def _placed(self, model: LockedModel, rows: list[Verified]) -> list[Verified]:
        try:
            self.environment.put(model)
        except ModelpmError as error:
            return [replace(row, ok=False, repaired=False, problem=str(error)) if row.ok else row for row in rows]
        return rows


def _row(row: Verified, result: Fetched | ModelpmError | None) -> Verified:
    if isinstance(result, ModelpmError):
        return replace(row, problem=f"{row.problem}; it could not be repaired: {result}")
    downloaded = result.downloaded if result is not None else 0
    return Verified(row.name, row.file, ok=True, repaired=True, downloaded=downloaded)
