"""Find releases newer than the locked one, inside the spec and beyond it, and the spec that allows them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from packaging.version import Version

from modelpm.api.events import Bus
from modelpm.catalog import Entry, Release, choose
from modelpm.catalog.drift import CHANGED, MOVED, Kind, drifts, is_pinned
from modelpm.environment.older import reusable
from modelpm.errors import Interrupted, ModelpmError, NotFound
from modelpm.events.call import Call
from modelpm.lockfile.model import LockedModel, Model
from modelpm.lockfile.relative import RELATIVE
from modelpm.lockfile.requirement import Requirement
from modelpm.operations.acquire import Installer, Task
from modelpm.operations.lock import is_whole, learn, same, say_untold, say_whole, untold
from modelpm.resolution.resolve import ResolvedModel
from modelpm.resolution.resolver import Resolver
from modelpm.results.report import Change, Outdated, Result
from modelpm.text.spec import CatalogSpec

_SHORT = 12  # digits of a revision or digest that tell it from others


def outdated(resolver: Resolver, models: Sequence[LockedModel], bus: Bus) -> Result[Outdated]:
    """Return a row for every model with a newer version or with news, and the failures.

    Args:
        resolver: Asks catalogs and sources.
        models: The locked models.
        bus: Gets a warning for each model for which only the bytes tell.
    """
    rows: list[Outdated] = []
    errors: list[ModelpmError] = []
    for model in models:
        with _collecting(model, errors, bus):
            row = _row(resolver, model, bus)
            rows += [row] if row is not None else []
    return Result(rows=tuple(rows), errors=tuple(errors))


def held_back(resolver: Resolver, models: Sequence[LockedModel]) -> list[str]:
    """Return a warning for each model with a newer release that its spec does not allow; ask catalogs only."""
    notes = []
    for model in models:
        spec = model.requirement.spec
        if not isinstance(spec, CatalogSpec) or not spec.release:
            continue
        try:
            entry, spec = resolver.catalogs.read(spec, choosing=True)
            newest = _newest(entry, spec.variant).version
            allowed = choose(entry, spec.release, spec.variant or None)[0].version
        except ModelpmError:  # the upgrade of the model reports it
            continue
        if newest != allowed:
            notes.append(
                f"{model.name} {newest} exists; `{model.requirement.text}` does not allow it: "
                f"`modelpm upgrade {model.name} --latest` does"
            )
    return notes


def latest(resolver: Resolver, requirement: Requirement) -> Requirement:
    """Return the requirement, changed to allow the newest release if it does not."""
    spec = requirement.spec
    if not isinstance(spec, CatalogSpec) or not spec.release:
        return requirement
    entry, spec = resolver.catalogs.read(spec, choosing=True)
    newest, _ = choose(entry, None, spec.variant or None)
    if choose(entry, spec.release, spec.variant or None)[0].version == newest.version:
        return requirement
    plain = spec.release.replace(".", "").isdecimal()
    parts = len(spec.release.split(".")) if plain else 1
    return requirement.asking(CatalogSpec(entry.catalog, entry.id, _beginning(newest.version, parts), spec.variant))


def _beginning(version: str, parts: int) -> str:
    """Return the first numbers of a version; they also allow a suffix, as in ``2.0rc1``."""
    found = Version(version)
    numbers = ".".join(str(number) for number in found.release[:parts])
    return f"{found.epoch}!{numbers}" if found.epoch else numbers


def upgrade(
    installer: Installer,
    models: Sequence[LockedModel],
    call: Call,
    *,
    fetch: bool,
    to_latest: bool,
    dry_run: bool,
) -> Result[Any]:
    """Upgrade models of the user's environment within their specs; if one fails, the others are still upgraded.

    Args:
        installer: Resolves, and fetches.
        models: The models.
        call: The user, the cancellation, and the bus for events.
        fetch: Whether to fetch models for which only the bytes tell whether they changed.
        to_latest: Whether to rewrite specs that do not allow the newest release.
        dry_run: Whether only to report what would be done.
    """
    errors: list[ModelpmError] = []
    moves: list[tuple[LockedModel, ResolvedModel]] = []
    for old in models:
        with _collecting(old, errors, call.bus):
            new = _newest_of(installer.resolver, old, to_latest=to_latest)
            say_whole(old, new, call.bus)
            if not same(old, new) or (untold(new) and fetch):
                moves.append((old, new))
                for warning in new.warnings:
                    call.bus.warn(warning)
            else:
                if untold(new):
                    say_untold(old.name, call.bus)
                if is_whole(old, new) and not dry_run:
                    with installer.counting_on([new]):
                        installer.environment.put(new.completing(old))
    planned = {task.model.name: task for task in installer.plan([new for old, new in moves if not same(old, new)])}
    changes: list[Change] = []
    for old, new in moves:
        task = planned.get(new.name) or Task.learning(new)
        with _collecting(old, errors, call.bus):
            if dry_run:
                change: Change | None = _told(installer, old, task)
            else:
                change = (_compared if task.learns else _upgraded)(installer, old, task, call)
            changes += [change] if change is not None else []
    return Result(changes=tuple(changes), errors=tuple(errors), dry_run=dry_run)


@contextmanager
def _collecting(model: LockedModel, errors: list[ModelpmError], bus: Bus) -> Iterator[None]:
    """Collect the failure of one model, so that the others continue; an interruption ends all."""
    try:
        yield
    except Interrupted:
        raise
    except ModelpmError as error:
        if not _stays(model, error, bus):
            error.details.setdefault("name", model.name)
            errors.append(error)


def _stays(model: LockedModel, error: ModelpmError, bus: Bus) -> bool:
    """Whether a model came from a local place that is gone, such as a memory stick, so that nothing can be newer.

    A bundle of a project brings models that are files of that project, which may not be here.
    """
    text = model.requirement.text
    gone = text.startswith(RELATIVE) or (isinstance(error, NotFound) and text.startswith("file://"))
    if gone:
        why = f"{text} is a file of another project" if text.startswith(RELATIVE) else error.message
        bus.warn(f"{model.name} stays as it is: {why}")
    return gone


def _newest_of(resolver: Resolver, old: LockedModel, *, to_latest: bool) -> ResolvedModel:
    requirement = latest(resolver, old.requirement) if to_latest else old.requirement
    found = resolver.identify(requirement, name=old.name).keeping(old)
    return resolver.resolve(found, allow=old.allow)


def _told(installer: Installer, old: LockedModel, task: Task) -> Change:
    """Return the change that an upgrade will make; parts may be unknown before."""
    installer.glance(task)
    if task.learns:
        return task.change("compare", old.release or old.digest)
    change = task.change("upgrade", _version(installer.resolver, old))
    return replace(
        change,
        after=_version(installer.resolver, task.model) or change.digest or "",
        reused=reusable(installer.environment.view, task.model, task.plan),
    )


def _upgraded(installer: Installer, old: LockedModel, task: Task, call: Call) -> Change:
    before = _version(installer.resolver, old)
    installer.check_space([task])
    installer.glance(task)
    _, change = installer.install(task, call=call)
    after = _version(installer.resolver, task.model) or change.digest or ""
    if after == before:  # the same revision of another listing, or none
        before, after = old.digest, change.digest or ""
    return replace(change, action="upgrade", before=before, after=after)


def _compared(installer: Installer, old: LockedModel, task: Task, call: Call) -> Change | None:
    """Fetch files without a promised digest; if they equal the locked ones, nothing was done."""
    installer.check_space([task])
    installer.glance(task)
    learned, downloaded = learn(installer, task.model, call, old)
    if learned.digest == old.digest:
        return None
    (again,) = installer.plan([ResolvedModel.of_locked(learned)])
    change = _upgraded(installer, old, again, call)
    return replace(change, downloaded=downloaded + (change.downloaded or 0))


def _row(resolver: Resolver, model: LockedModel, bus: Bus) -> Outdated | None:
    spec = model.requirement.spec
    if not isinstance(spec, CatalogSpec):
        return _of_source(resolver, model, bus)
    entry, spec = resolver.catalogs.read(spec, choosing=True)
    allowed, _ = choose(entry, spec.release or None, spec.variant or None)
    newest = _newest(entry, spec.variant)
    found = [(drift.kind, drift.words) for drift in drifts(entry, model)]
    if allowed.version == model.release and not {kind for kind, _ in found} - {Kind.DEPRECATED}:
        found += _of_upstream(resolver, entry, model, bus)
    if newest.version != model.release:
        found.append((Kind.NEW_RELEASE, ""))
    if not found:
        return None
    kind, note = found[0][0], "; ".join(words for _, words in found if words)
    return Outdated(model.name, model.release, allowed.version, newest.version, note, kind)


def _newest(entry: Entry, variant: str) -> Release:
    try:
        return choose(entry, None, variant or None)[0]
    except NotFound:  # the newest release no longer has the variant
        return choose(entry)[0]


def _of_upstream(resolver: Resolver, entry: Entry, model: LockedModel, bus: Bus) -> list[tuple[Kind, str]]:
    """Return whether it would be locked differently now: because of its entry, or of the branch at its source."""
    new = _resolved(resolver, model)
    if not same(model, new):
        locked, there = (_revision(resolver, each.upstream) for each in (model, new))
        moved = locked != there and not is_pinned(entry, model)
        return [(Kind.UPSTREAM_MOVED, MOVED) if moved else (Kind.ENTRY_CHANGED, CHANGED)]
    if untold(new):
        say_untold(model.name, bus)
    return []


def _of_source(resolver: Resolver, model: LockedModel, bus: Bus) -> Outdated | None:
    new = _resolved(resolver, model)
    if same(model, new):
        if untold(new):
            say_untold(model.name, bus)
        return None
    locked, found = _revision(resolver, model.upstream), _revision(resolver, new.upstream)
    if not found or locked == found:
        known = new.lock({}).digest if new.is_pinned else "changed"
        locked, found = model.digest[: 3 + _SHORT], known[: 3 + _SHORT]
    return Outdated(model.name, locked, found, found, MOVED, Kind.UPSTREAM_MOVED)


def _resolved(resolver: Resolver, model: LockedModel) -> ResolvedModel:
    found = resolver.identify(model.requirement, name=model.name).keeping(model)
    return resolver.resolve(found, allow=model.allow)


def _version(resolver: Resolver, model: Model) -> str:
    """Return the version of a model: release, revision or digest; empty if none is known yet."""
    digest = model.digest if isinstance(model, LockedModel) else ""
    return model.release or _revision(resolver, model.upstream) or digest


def _revision(resolver: Resolver, upstream: str) -> str:
    revision = resolver.listings.registry.reference(upstream).revision if upstream else None
    return (revision or "")[:_SHORT]
