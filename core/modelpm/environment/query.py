"""What is installed: rows, paths, and names that were probably meant. Reads the lock, nothing else."""

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from modelpm.environment.environment import Environment
from modelpm.errors import Code, NotFound
from modelpm.lockfile.model import LockedFile, LockedModel
from modelpm.results.installed import InstalledModel
from modelpm.store.blobs.shown import check
from modelpm.text.suggest import suggest
from modelpm.text.untrusted import printable


class Reader(ABC):
    """What can be asked of the user's models and of a project's alike, without changing them."""

    @property
    @abstractmethod
    def environment(self) -> Environment:
        """The lock, and the folder in which the files appear."""

    def installed(self) -> tuple[InstalledModel, ...]:
        """Return what is installed, sorted by name."""
        environment = self.environment  # once: each time it is asked for, somebody may have moved its store
        environment.seen(quick=True)
        return tuple(installed_model(environment, model) for model in environment.read().models)

    def is_installed(self, model: str) -> bool:
        """Whether a model of that name or spec is installed and complete."""
        try:
            return self.environment.complete(find_installed(self.environment, model))
        except NotFound:
            return False

    def path(self, name: str, file: str | None = None, *, dir: bool = False) -> Path:  # noqa: A002 - the option's name
        """Return the path that a program is given: the file, the first shard of a split GGUF, else the folder.

        Args:
            name: The model's name.
            file: One file of it.
            dir: Whether the folder is wanted in any case.

        Raises:
            NotFound: It is not installed, or has no such file.
        """
        environment = self.environment
        environment.seen(quick=True)
        return path_of(environment, find_installed(environment, name), file, folder=dir)

    def _named(self, names: Sequence[str]) -> Sequence[LockedModel]:
        """Return the models of these names; no names mean all."""
        return [find_installed(self.environment, name) for name in names] or self.environment.read().models


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
    meant = [m for m in lock.models if name in {m.wish.spec, m.model}]
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

    By a look at the files, without reading them; only a file that is no link into the store, and that nothing is known
    of yet (its view was copied from another machine, or a clone brought it), is hashed, once.

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
    return f"modelpm install {model.wish.spec} --as {model.name}"
