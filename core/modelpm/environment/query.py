"""Query the installed models: rows, paths, and names that were probably meant. Reads only the lock."""

import os
from collections.abc import Sequence
from pathlib import Path

from modelpm.environment.environment import Environment
from modelpm.errors import Code, NotFound
from modelpm.lockfile.model import LockedFile, LockedModel
from modelpm.results.installed import InstalledModel
from modelpm.store.blobs.shown import check
from modelpm.text.suggest import suggest
from modelpm.text.untrusted import printable


def named(environment: Environment, names: Sequence[str]) -> Sequence[LockedModel]:
    """Return the models of these names; no names mean all.

    Raises:
        NotFound: One of them is not installed.
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
        folder=environment.view.folder(model.name),
        files=model.files,
    )


def find_installed(environment: Environment, name: str) -> LockedModel:
    """Return the locked model of that name, or the only one whose spec or catalog name it is.

    Raises:
        NotFound: Code ``not_installed``; names the nearest.
    """
    lock = environment.read()
    found = lock.get(name)
    if found is not None:
        return found
    meant = [m for m in lock.models if name in {m.requirement.text, m.model}]
    if len(meant) == 1:
        return meant[0]
    hints = suggest(name, [m.name for m in lock.models], most=3) or ["`modelpm list` shows what is installed"]
    shown = printable(name)
    raise NotFound(
        f"`{shown}` is not installed",
        code=Code.NOT_INSTALLED,
        hints=[*hints, f"to install it: modelpm install {shown}"],
    )


def named_in(places: Sequence[Environment], names: Sequence[str]) -> list[tuple[Environment, Sequence[LockedModel]]]:
    """Return the models of these names, each where it is found first, else in the last place; no names mean all.

    Raises:
        NotFound: It is not in the last place either.
    """
    if not names:
        return [(place, place.read().models) for place in places]
    chosen: dict[str, list[LockedModel]] = {place.kind: [] for place in places}
    for name in dict.fromkeys(names):
        place = next((p for p in places if p.read().get(name) is not None), places[-1])
        chosen[place.kind].append(find_installed(place, name))
    return [(place, chosen[place.kind]) for place in places if chosen[place.kind]]


def path_of(environment: Environment, model: LockedModel, file: str | None = None, *, folder: bool = False) -> Path:
    """Return the path that a program is given.

    Args:
        environment: Where the model is.
        model: The model.
        file: One file of it; None means what programs are given: the file, the first shard, else the folder.
        folder: Whether the folder is wanted in any case.

    Raises:
        NotFound: The model has no such file, or it is not where it should be.
    """
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


def _look_at(environment: Environment, model: LockedModel, files: Sequence[LockedFile]) -> None:
    """Make sure that the view shows what is locked, before a program is given it.

    By a look at the files, without reading them; only a file that is not a link into the store, and of which nothing is
    known yet (its view was copied from another machine, or a clone brought it), is hashed, once.

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
    """Return the command that brings files of a model back."""
    if environment.kind == "project":
        return "modelpm sync"
    return f"modelpm install {model.requirement.text} --as {model.name}"
