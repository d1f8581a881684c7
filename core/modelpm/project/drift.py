"""Manifest against lock: what ``lock`` would change and why. Pure, and so offline by construction."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from modelpm.inspection.policy import both
from modelpm.lockfile.file import Lock
from modelpm.lockfile.model import LockedModel
from modelpm.lockfile.requirement import OPTIONS, Requirement
from modelpm.project.manifest import DEFAULT_DIR, Manifest


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that does not fit.

    Attributes:
        name: The model; empty if the reason is not about a model.
        why: The reason, in one line.
    """

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name}: {self.why}" if self.name else self.why


def drift(manifest: Manifest, lock: Lock) -> tuple[Reason, ...]:
    """Return the reasons why the lock does not fit the manifest; none if it fits."""
    reasons = [_drifted(name, manifest, lock.get(name)) for name in sorted(manifest.models)]
    gone = [
        Reason(m.name, "locked, but the manifest does not name it")
        for m in lock.models
        if m.name not in manifest.models
    ]
    settings = []
    if (lock.dir or DEFAULT_DIR) != manifest.dir:
        settings.append(Reason("", f"dir changed: {lock.dir or DEFAULT_DIR} (locked) != {manifest.dir}"))
    if lock.default_groups != manifest.default_groups:
        old, new = (", ".join(groups) or "none" for groups in (lock.default_groups, manifest.default_groups))
        settings.append(Reason("", f"default groups changed: {old} (locked) != {new}"))
    return (*(r for r in reasons if r is not None), *gone, *settings)


def pinned(manifest: Manifest, lock: Lock) -> dict[str, LockedModel]:
    """Return the locked models that the manifest wants, by name.

    A spec that is locked under another name keeps that pin, so that users can rename a key. A pin whose name the
    manifest lacks is preferred.
    """
    by_requirement: dict[Requirement, LockedModel] = {}
    for model in sorted(lock.models, key=lambda m: m.name in manifest.models):
        by_requirement.setdefault(model.requirement, model)
    found = {}
    for name, requirement in sorted(manifest.models.items()):
        own = lock.get(name)
        kept = own if own is not None and own.requirement == requirement else by_requirement.get(requirement)
        if kept is not None:
            found[name] = replace(kept, name=name)
    return found


def settled(manifest: Manifest, lock: Lock, resolved: Iterable[LockedModel] = ()) -> Lock:
    """Return the lock in the form that the manifest wants, after resolving.

    Every block that was not resolved again and changes no group keeps its text.
    """
    stale = {m.name: m for m in lock.models if m.name in manifest.models}
    kept = {**stale, **pinned(manifest, lock), **{m.name: m for m in resolved}}
    put = [replace(m, groups=manifest.groups_of(m.name), allow=both(manifest.words(m.name), ())) for m in kept.values()]
    drop = [m.name for m in lock.models if m.name not in manifest.models]
    folder = "" if manifest.dir == DEFAULT_DIR else manifest.dir
    return lock.changed(put=put, drop=drop).with_settings(folder, manifest.default_groups)


def selected(lock: Lock, groups: Collection[str] = (), *, everything: bool = False) -> tuple[LockedModel, ...]:
    """Return the selected models: those in no group, and those of the default groups and of ``groups``."""
    wanted = {*lock.default_groups, *groups}
    return tuple(m for m in lock.models if everything or not m.groups or wanted & set(m.groups))


def _drifted(name: str, manifest: Manifest, model: LockedModel | None) -> Reason | None:
    if model is None:
        return Reason(name, "not locked")
    requirement = manifest.models[name]
    if model.requirement != requirement:
        return Reason(name, f"spec changed: {_shown(model.requirement)} (locked) != {_shown(requirement)}")
    groups = manifest.groups_of(name)
    if model.groups != groups:
        return Reason(
            name, f"groups changed: {', '.join(model.groups) or 'none'} (locked) != {', '.join(groups) or 'none'}"
        )
    return None


def _shown(requirement: Requirement) -> str:
    options = [f"{key} {', '.join(values)}" for key in OPTIONS if (values := getattr(requirement, key))]
    return requirement.text + (f" ({'; '.join(options)})" if options else "")
