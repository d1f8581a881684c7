"""Verify: re-hash what is stored and look whether the view shows it. Offline."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event

from modelpm.audit import Auditor
from modelpm.environment import Environment
from modelpm.locked import LockedModel
from modelpm.report import Verified
from modelpm.store.verify import verify as verify_blobs


@dataclass(frozen=True, slots=True)
class Verifier:
    """Checks models of an environment.

    Attributes:
        environment: Where they are.
        auditor: Is told before and after.
        jobs: Files hashed at once.
    """

    environment: Environment
    auditor: Auditor
    jobs: int

    def verify(
        self,
        models: Sequence[LockedModel],
        *,
        quick: bool,
        user: str | None,
        cancelled: Event,
        on_bytes: Callable[[int], None] | None = None,
    ) -> tuple[Verified, ...]:
        """Check every file of the models; each blob is hashed once, however many models share it.

        Args:
            models: What to check.
            quick: Whether size, time and inode are enough.
            user: Who acts.
            cancelled: Stops it.
            on_bytes: Is told how many bytes were hashed since the last call.
        """
        what = models[0].model if len(models) == 1 else f"{len(models)} models"
        with self.auditor.operation(
            "verify", resource_type="model", resource_id=what, user=user, details={"quick": quick}
        ) as outcome:
            wanted = list(dict.fromkeys((f.sha256, f.size) for m in models for f in m.files))
            problems = verify_blobs(
                self.environment.store, wanted, quick=quick, jobs=self.jobs, cancelled=cancelled, on_bytes=on_bytes
            )
            found = dict(zip(wanted, problems, strict=True))
            rows = tuple(row for model in models for row in self._rows(model, found))
            bad = [r for r in rows if not r.ok]
            outcome.success = not bad
            outcome.details.update(
                files=len(rows),
                bytes=sum(size for _, size in wanted),
                bad=[{"name": r.name, "file": r.file, "problem": r.problem} for r in bad[:100]],
            )
        return rows

    def _rows(self, model: LockedModel, found: dict[tuple[str, int], str | None]) -> list[Verified]:
        hidden = {f.path for f in self.environment.view.lacks(model)}
        rows = []
        for file in model.files:
            problem = found[file.sha256, file.size] or ""
            if not problem and file.path in hidden:
                problem = f"not in the view: {self.environment.view.file(model.name, file.path)} is missing or changed"
            rows.append(Verified(model.name, file.path, not problem, problem))
        return rows
