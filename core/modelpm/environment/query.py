"""Query the installed models: rows, paths, and the nearest names. Reads only the lock."""

import os
from collections.abc import Sequence
from pathlib import Path

from modelpm.environment.environment import Environment, as_listed, entry_point
from modelpm.errors import Code, NotFound, UsageError
from modelpm.lockfile.file import Lock
from modelpm.lockfile.model import LockedFile, LockedModel
from modelpm.results.installed import InstalledModel
from modelpm.store.blobs.shown import check
from modelpm.text.suggest import did_you_mean, suggest
from modelpm.text.untrusted import printable

_FEW = 8  # names in a message


def models_named(environment: Environment, names: Sequence[str]) -> Sequence[LockedModel]:
    """Return the models of these names; no names mean all.

    Raises:
        NotFound: A model is not installed.
    """
    return [find_installed(environment, name) for name in names] or environment.read().models


def installed_model(environment: Environment, model: LockedModel) -> InstalledModel:
    """Return the row of a locked model."""
    return InstalledModel(
        name=model.name,
        model=model.model,
        release=model.release,
        variant=model.variant,
        format=model.format,
        license=model.license,
        bytes=model.size,
        digest=model.digest,
        source=model.upstream or (model.files[0].sources or ("",))[0],
        environment=environment.kind,
        path=environment.path(model),
        entry_point=entry_point(model),
        folder=environment.view.folder(model.name),
        files=model.files,
    )


def find_installed(environment: Environment, name: str, others: Sequence[Environment] = ()) -> LockedModel:
    """Return the locked model of that name or spec; see :func:`meant`.

    Args:
        environment: Its environment.
        name: Its name or spec.
        others: Environments that were searched before; their names count for the hint.

    Raises:
        NotFound: Code ``not_installed``; names the nearest.
    """
    lock = environment.read()
    found, several = meant(lock, name)
    if found is not None:
        return found
    known = [m.name for place in (environment, *others) for m in place.read().models]
    near = did_you_mean([m.name for m in several[:_FEW]]) or suggest(name, known, most=3)
    shown = printable(name)
    raise NotFound(
        f"`{shown}` is not installed",
        code=Code.NOT_INSTALLED,
        hints=near or ["`modelpm list` shows the installed models"],
    )


def meant(lock: Lock, name: str) -> tuple[LockedModel | None, list[LockedModel]]:
    """Return the locked model of that name or spec; and, if several have the spec, these.

    Several names of the same bytes are one model; several variants of one model are not.
    """
    found = lock.get(name)
    if found is not None:
        return found, []
    others = [m for m in lock.models if name == m.requirement.text]
    others = others or [m for m in lock.models if name.casefold() in _spellings(m)]
    same = len({m.digest for m in others}) == 1
    return (others[0] if same else None), others


def _spellings(model: LockedModel) -> set[str]:
    """Return the specs that mean a locked model, folded."""
    texts = {model.requirement.text, model.model, model.id}
    return {text.casefold() for text in texts | {f"{t}:{model.variant}" for t in texts} if text}


def models_named_in(
    places: Sequence[Environment], names: Sequence[str]
) -> list[tuple[Environment, Sequence[LockedModel]]]:
    """Return the models of these names, each from the first place that has it; no names mean all.

    Raises:
        NotFound: No place has a model.
    """
    if not names:
        return [(place, place.read().models) for place in places]
    chosen: dict[str, list[LockedModel]] = {place.kind: [] for place in places}
    for name in dict.fromkeys(names):
        place = next((p for p in places if meant(p.read(), name)[0] is not None), places[-1])
        chosen[place.kind].append(find_installed(place, name, places[:-1]))
    return [(place, chosen[place.kind]) for place in places if chosen[place.kind]]


def path_of(
    environment: Environment, model: LockedModel, file: str | None = None, *, folder: bool = False, role: str = ""
) -> Path:
    """Return the path to give to a program.

    Args:
        environment: The environment of the model.
        model: The model.
        file: One file of it; None means the entry point: a file, the first of several shards, or the folder.
        folder: Whether to return the folder in any case.
        role: The role of the file, e.g. ``projector``; empty for the model itself.

    Raises:
        NotFound: The model has no such file, or the file is missing from the view.
        UsageError: Several files have the role.
    """
    if role and file is None and not folder:
        file = file_of_role(model, role)
    if folder:
        path = environment.view.folder(model.name)
    elif file is None:
        path = environment.path(model)
    else:
        paths = [f.path for f in model.files]
        if file not in paths:
            hints = suggest(file, paths) or [f"there are: {', '.join(f'`{printable(p)}`' for p in paths[:8])}"]
            raise NotFound(f"`{model.name}` has no file `{printable(file)}`", hints=hints)
        path = environment.view.file(model.name, file)
    if not path.exists():
        os.fsencode(path)  # raises where the locale cannot even name it
        raise NotFound(
            f"`{model.name}` is installed, but {path} is gone",
            code=Code.MISSING,
            hints=[f"to bring it back: {_cure(environment, model)}"],
        )
    _look_at(environment, model, [f for f in model.files if file in {None, f.path}])
    return path


def file_of_role(model: LockedModel, role: str) -> str:
    """Return the one file of a role that a program opens.

    Raises:
        NotFound: No file of the model has that role.
        UsageError: Several files have it.
    """
    from modelpm.inspection.layouts import components  # start-up: only a role needs the rules
    from modelpm.inspection.layouts.roles import role_of

    by_path = {f.path: f.role or str(role_of(f.path)) for f in model.files}
    found = [c for c in components(as_listed(model.files)) if by_path[c.files[0].path] == role]
    if not found:
        known = dict.fromkeys(by_path.values())
        raise NotFound(
            f"`{model.name}` has no file of the role `{printable(role)}`", hints=[f"its roles: {', '.join(known)}"]
        )
    if len(found) > 1:
        names = ", ".join(f"`{printable(c.files[0].path)}`" for c in found[:_FEW])
        raise UsageError(
            f"`{model.name}` has {len(found)} files of the role `{printable(role)}`: {names}",
            code=Code.CHOOSE_VARIANT,
            hints=[f"choose one: modelpm path {model.name} {printable(found[0].files[0].path)}"],
        )
    paths = [f.path for f in found[0].files]
    return found[0].entry_point if found[0].entry_point in paths else paths[0]


def _look_at(environment: Environment, model: LockedModel, files: Sequence[LockedFile]) -> None:
    """Check that the view shows the locked files, before a program gets their path.

    Reads no file, except one that is not a link into the store and has never been hashed (its view was copied from
    another machine): that file is hashed once.

    Raises:
        NotFound: A file is missing, or something else is in its place.
    """
    view = environment.view
    for file in files:
        if view.shows(model.name, file):
            continue
        path = view.file(model.name, file.path)
        problem = check(view.store, path, file.sha256, file.size, quick=True)
        if problem is not None:
            raise NotFound(
                f"`{model.name}` cannot be used: {path} is not the file that is locked: {problem}",
                code=Code.MISSING,
                hints=[_cure(environment, model)],
            )


def _cure(environment: Environment, model: LockedModel) -> str:
    """Return the command that restores files of a model."""
    if environment.kind == "project":
        asked = model.groups and not set(model.groups) & set(environment.read().default_groups)
        return f"modelpm sync --group {model.groups[0]}" if asked else "modelpm sync"
    return f"modelpm install {model.requirement.text} --as {model.name}"
