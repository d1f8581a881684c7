"""Find releases newer than the locked one, inside the spec and beyond it, and the spec that allows them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from packaging.version import Version

from modelpm.api.events import Bus
from modelpm.catalog import Entry, Release, choose
from modelpm.errors import Interrupted, ModelpmError, NotFound
from modelpm.events.call import Call
from modelpm.lockfile.model import LockedModel
from modelpm.operations.acquire import Installer, Task
from modelpm.operations.lock import learn, same, say_untold, untold, would_compare
from modelpm.resolution.resolve import WantedModel
from modelpm.resolution.resolver import Resolver
from modelpm.resolution.spec import CatalogSpec, parse_spec
from modelpm.results.report import Change, Outdated, Result

_SHORT = 12  # digits of a revision or digest that tell it from others


def outdated(resolver: Resolver, models: Sequence[LockedModel], bus: Bus) -> Result[Outdated]:
    """Return a row for every model of which there is something newer, or something to know; and what failed.

    Args:
        resolver: Asks catalogs and sources.
        models: What is locked.
        bus: Gets a warning for each model of which only the bytes could tell.
    """
    rows, errors = [], []
    for model in models:
        try:
            row = _row(resolver, model, bus)
        except Interrupted:
            raise
        except ModelpmError as error:
            error.details.setdefault("name", model.name)
            errors.append(error)
        else:
            rows += [row] if row is not None else []
    return Result(rows=tuple(rows), errors=tuple(errors))


def held_back(resolver: Resolver, models: Sequence[LockedModel]) -> list[str]:
    """Say which models have a newer release that their specs do not allow; asks catalogs only."""
    notes = []
    for model in models:
        spec = parse_spec(model.wish.spec)
        if not isinstance(spec, CatalogSpec) or not spec.release:
            continue
        try:
            entry = resolver.catalogs.find(spec.id, spec.catalog or None)
            newest = _newest(entry, spec.variant).version
            allowed = choose(entry, spec.release, spec.variant or None)[0].version
        except ModelpmError:  # said where it matters: when the model is upgraded
            continue
        if newest != allowed:
            notes.append(
                f"{model.name} {newest} exists; `{model.wish.spec}` does not allow it: "
                f"`modelpm upgrade {model.name} --latest` does"
            )
    return notes


def latest(resolver: Resolver, spec: str) -> str:
    """Return the spec as it must be to allow the newest release; as it is, where it does or where there are none."""
    parsed = parse_spec(spec)
    if not isinstance(parsed, CatalogSpec) or not parsed.release:
        return spec
    entry = resolver.catalogs.find(parsed.id, parsed.catalog or None)
    newest, _ = choose(entry, None, parsed.variant or None)
    if choose(entry, parsed.release, parsed.variant or None)[0].version == newest.version:
        return spec
    plain = parsed.release.replace(".", "").isdecimal()
    parts = len(parsed.release.split(".")) if plain else 1
    return f"{entry.name}@{_beginning(newest.version, parts)}" + (f":{parsed.variant}" if parsed.variant else "")


def _beginning(version: str, parts: int) -> str:
    """Return the first numbers of a version: what follows them, as in ``2.0rc1``, is allowed by them, too."""
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
    """Move models of the user's environment to the newest their specs allow; where one fails, others are finished.

    Args:
        installer: Resolves, and fetches.
        models: Which.
        call: The user, the cancellation, and the bus for events.
        fetch: Whether to fetch what only its bytes can tell of, to know whether it changed.
        to_latest: Whether specs are rewritten that do not allow the newest release.
        dry_run: Whether to say what would be done only.
    """
    errors: list[ModelpmError] = []
    moves: list[tuple[LockedModel, WantedModel]] = []
    for old in models:
        with _collecting(old, errors):
            new = _newest_of(installer.resolver, old, to_latest=to_latest)
            if not same(old, new) or (untold(new) and fetch):
                moves.append((old, new))
            elif untold(new):
                say_untold(old.name, call.bus)
    planned = installer.plan([new for _, new in moves])
    changes: list[Change] = []
    for (old, new), task in zip(moves, planned, strict=True):
        with _collecting(old, errors):
            if same(old, new):
                change = would_compare(old, new) if dry_run else _compared(installer, old, task, call)
            else:
                change = _upgraded(installer, old, task, call, dry_run=dry_run)
            changes += [change] if change is not None else []
    return Result(changes=tuple(changes), errors=tuple(errors), dry_run=dry_run)


@contextmanager
def _collecting(model: LockedModel, errors: list[ModelpmError]) -> Iterator[None]:
    """Collect the failure of one model, so that the others are finished; an interruption ends all."""
    try:
        yield
    except Interrupted:
        raise
    except ModelpmError as error:
        error.details.setdefault("name", model.name)
        errors.append(error)


def _newest_of(resolver: Resolver, old: LockedModel, *, to_latest: bool) -> WantedModel:
    wish = old.wish
    spec = latest(resolver, wish.spec) if to_latest else wish.spec
    found = resolver.identify(spec, name=old.name, include=wish.include, exclude=wish.exclude)
    return resolver.resolve(found, allow=old.allow)


def _upgraded(installer: Installer, old: LockedModel, task: Task, call: Call, *, dry_run: bool) -> Change:
    before = old.release or _revision(installer.resolver, old.upstream) or old.digest
    if dry_run:
        return replace(installer.would(task), action="upgrade", before=before)
    installer.check_space([task])
    _, change = installer.install(task, call=call)
    return replace(change, action="upgrade", before=before)


def _compared(installer: Installer, old: LockedModel, task: Task, call: Call) -> Change | None:
    """Fetch what no source promises; where it is what is locked, nothing was done."""
    installer.check_space([task])
    learned, downloaded = learn(installer, task.model, call, old)
    if learned.digest == old.digest:
        return None
    (again,) = installer.plan([WantedModel.of_locked(learned)])
    change = _upgraded(installer, old, again, call, dry_run=False)
    return replace(change, downloaded=downloaded + (change.downloaded or 0))


def _row(resolver: Resolver, model: LockedModel, bus: Bus) -> Outdated | None:
    spec = parse_spec(model.wish.spec)
    if not isinstance(spec, CatalogSpec):
        return _of_source(resolver, model, bus)
    entry = resolver.catalogs.find(spec.id, spec.catalog or None)
    allowed, _ = choose(entry, spec.release or None, spec.variant or None)
    newest = _newest(entry, spec.variant)
    note = _note(resolver, entry, allowed, model, bus)
    if allowed.version == newest.version == model.release and not note:
        return None
    return Outdated(model.name, model.release, allowed.version, newest.version, note)


def _newest(entry: Entry, variant: str) -> Release:
    try:
        return choose(entry, None, variant or None)[0]
    except NotFound:  # the newest has no such variant any more
        return choose(entry)[0]


def _note(resolver: Resolver, entry: Entry, allowed: Release, model: LockedModel, bus: Bus) -> str:
    here = next((r for r in entry.releases if r.version == model.release), None)
    if here is None:
        return f"{model.release} is not in the catalog any more"
    if here.blocked or here.yanked:
        return f"blocked: {here.blocked}" if here.blocked else f"yanked: {here.yanked}"
    if allowed.version != model.release:
        return ""
    new = _resolved(resolver, model)
    if not same(model, new):
        return "its catalog entry changed"
    if untold(new):
        say_untold(model.name, bus)
    return ""


def _of_source(resolver: Resolver, model: LockedModel, bus: Bus) -> Outdated | None:
    new = _resolved(resolver, model)
    if same(model, new):
        if untold(new):
            say_untold(model.name, bus)
        return None
    locked, found = _revision(resolver, model.upstream), _revision(resolver, new.upstream)
    if not found or locked == found:
        known = new.lock({}).digest if all(f.is_pinned for f in new.files) else "changed"
        locked, found = model.digest[: 3 + _SHORT], known[: 3 + _SHORT]
    return Outdated(model.name, locked, found, found)


def _resolved(resolver: Resolver, model: LockedModel) -> WantedModel:
    wish = model.wish
    found = resolver.identify(wish.spec, name=model.name, include=wish.include, exclude=wish.exclude)
    return resolver.resolve(found, allow=model.allow)


def _revision(resolver: Resolver, upstream: str) -> str:
    from modelpm.resolution.listings import parse_reference

    revision = parse_reference(resolver.listings.registry, upstream).revision if upstream else None
    return (revision or "")[:_SHORT]
