"""The read-only verbs that the user's models and a project's models share."""

from abc import ABC, abstractmethod
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from modelpm.environment.environment import Environment
from modelpm.environment.query import find_installed, installed_model, meant, path_of
from modelpm.errors import NotFound
from modelpm.results.installed import InstalledModel

if TYPE_CHECKING:  # start-up
    from modelpm.config import Config
    from modelpm.library.services import Services
    from modelpm.results.report import Outdated, Result


class Reader(ABC):
    """The read-only verbs of an environment."""

    _services: "Services"

    @property
    def config(self) -> "Config":
        """The settings."""
        return self._services.config

    @property
    @abstractmethod
    def environment(self) -> Environment:
        """The lock, and the folder in which the files appear."""

    def installed(self) -> tuple[InstalledModel, ...]:
        """Return the installed models, sorted by name."""
        environment = self.environment  # once: another process may move its store between two looks
        environment.stay_registered(quick=True)
        return tuple(installed_model(environment, model) for model in environment.read().models)

    def list(self) -> "Result[InstalledModel]":
        """Return the installed models, as a result."""
        from modelpm.results.report import Result

        models = self.installed()
        return Result(models=models, rows=models)

    def is_installed(self, model: str) -> bool:
        """Whether a model of that name or spec is installed and complete."""
        try:
            return self.environment.complete(find_installed(self.environment, model))
        except NotFound:
            return False

    def name_of(self, model: str) -> str | None:
        """Return the name of the locked model with this name or spec, complete or not; None if there is none."""
        found, _ = meant(self.environment.read(), model)
        return found.name if found is not None else None

    def path(self, name: str, file: str | None = None, *, dir: bool = False, role: str = "") -> Path:  # noqa: A002
        """Return the path to give to a program: the file that it opens, the first of several shards, or the folder.

        Args:
            name: The model's name, or its spec.
            file: The path of one file in the model.
            dir: Whether to return the folder in any case.
            role: The role of the file, e.g. ``projector``; empty for the model itself.

        Raises:
            NotFound: It is not installed, or has no such file.
            UsageError: Several files have the role.
        """
        environment = self.environment
        environment.stay_registered(quick=True)
        return path_of(environment, find_installed(environment, name), file, folder=dir, role=role)

    def newer(self, *, skip: Collection[str] = ()) -> "tuple[Outdated, ...]":
        """Return which installed models have a newer version; check at most once a day, else return nothing.

        Emits an event ``update.available`` for each row. modelpm never calls this method by itself: an application
        calls it once its first window is open.

        Args:
            skip: Names of models to leave out, such as those that were just installed.
        """
        from modelpm.library.updates import newer

        return newer(self._services, self.environment, skip)
