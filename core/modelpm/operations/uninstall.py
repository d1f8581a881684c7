"""Uninstall: out of the lock, out of the view; then free what nothing else needs, and say what stays and why."""

from collections.abc import Sequence
from dataclasses import dataclass

from modelpm.audit import Auditor
from modelpm.environment import Environment
from modelpm.errors import StoreError
from modelpm.lock.model import LockedModel
from modelpm.names import printable
from modelpm.operations.roots import Roots
from modelpm.report import Change


@dataclass(frozen=True, slots=True)
class Uninstaller:
    """Takes models out of an environment.

    Attributes:
        environment: Where they are.
        auditor: Is told before and after.
    """

    environment: Environment
    auditor: Auditor

    def uninstall(self, model: LockedModel, *, user: str | None) -> Change:
        """Take one model out and free its blobs."""
        with self.auditor.operation(
            "uninstall", resource_type="model", resource_id=model.model, user=user, details={"name": model.name}
        ) as outcome:
            changed = self.environment.drop(model.name)
            freed, note = self._free(model)
            outcome.details.update(digest=model.digest, freed=freed)
        return _change(model, freed, "; ".join(filter(None, [note, _left(changed)])))

    def would(self, model: LockedModel, before: Sequence[str] = ()) -> Change:
        """Return what :meth:`uninstall` would do, once other models were taken out before; ``before`` names them."""
        gone = [*before, model.name]
        try:
            needed = Roots(self.environment).others(gone)
            going = self.environment.view.going(*gone)
            unneeded = {f.sha256 for f in model.files} - needed.keys()
            freed = sum(self.environment.store.freed(sha256, going) for sha256 in unneeded)
            note = _kept(model, needed)
        except StoreError as error:
            freed, note = 0, _stays(error)
        return _change(model, freed, note)

    def _free(self, model: LockedModel) -> tuple[int, str]:
        store = self.environment.store
        try:
            with store.lock("store", timeout=0.0):
                if self.environment.lock_path.exists():
                    store.remember_project(self.environment.lock_path)
                needed = Roots(self.environment).others([model.name])
                freed = sum(store.remove(f.sha256) for f in model.files if f.sha256 not in needed)
        except StoreError as error:
            return 0, _stays(error)
        return freed, _kept(model, needed)


def _change(model: LockedModel, freed: int, note: str) -> Change:
    return Change(
        "uninstall",
        model.name,
        model.model,
        model.release,
        model.variant,
        model.digest,
        model.size,
        freed=freed,
        note=note,
    )


def _left(keys: list[str]) -> str:
    shown = ", ".join(f"`{printable(key)}`" for key in keys[:3]) + (f" and {len(keys) - 3} more" if keys[3:] else "")
    return f"{shown} stayed where it was: somebody changed it" if keys else ""


def _stays(error: StoreError) -> str:
    """Say why nothing was freed; the model is out all the same.

    Raises:
        StoreError: It has nothing to do with who needs what.
    """
    if error.code == "lock_timeout":
        return "its bytes stay for now: another modelpm is at work; `modelpm prune` frees them later"
    if error.code == "root_unreadable":
        return f"its bytes stay for now: {error}; `modelpm prune` frees them later"
    raise error


def _kept(model: LockedModel, needed: dict[str, str]) -> str:
    kept = [f for f in model.files if f.sha256 in needed]
    if not kept:
        return ""
    who = sorted({needed[f.sha256] for f in kept})
    count = f"{len(kept)} files stay" if len(kept) > 1 else "1 file stays"
    return f"{count} in the store: needed by {', '.join(who)}"
