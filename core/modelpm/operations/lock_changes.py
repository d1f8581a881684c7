"""The rows of a result about the models whose lock changed, or would change. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from modelpm.lockfile.file import Lock
from modelpm.lockfile.model import LockedModel
from modelpm.operations.acquire import Task
from modelpm.operations.lock import same, untold
from modelpm.resolution.resolve import ResolvedModel
from modelpm.results.report import Change


def lock_changes(before: Lock, after: Lock) -> Sequence[Change]:
    """Return the rows of the models that differ between two locks."""
    changes = []
    old = {m.name: m for m in before.models}
    for model in after.models:
        there = old.pop(model.name, None)
        if there is not None and replace(there, groups=()) == replace(model, groups=()):
            continue
        action = "lock-update" if there else "lock-add"
        previous = (there.release or there.digest) if there else ""
        changes.append(Change.of(action, model, before=previous))
    return changes + [Change.of("lock-remove", model) for model in old.values()]


def unknown_change(model: ResolvedModel, old: LockedModel | None, *, again: bool) -> Change | None:
    """Return the row of a model whose digest a dry run cannot know, because only its bytes would tell.

    Args:
        model: The model.
        old: The same as it is locked.
        again: Whether a run would fetch it to learn whether it changed.
    """
    if model.is_pinned:
        return None
    before = (old.release or old.digest) if old else ""
    if old is not None and same(old, model):
        return Task.learning(model).change("compare", before) if again and untold(model) else None
    return Change.of("lock-update" if old else "lock-add", model, bytes=model.size, before=before)
