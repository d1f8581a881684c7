"""The questions that the user's models and a project's models answer alike."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

from modelpm.environment.environment import Environment
from modelpm.environment.query import find_installed, installed_model, path_of
from modelpm.errors import NotFound
from modelpm.results.installed import InstalledModel

if TYPE_CHECKING:  # start-up
    from modelpm.results.report import Result


class Reader(ABC):
    """The read-only verbs that the user's models and a project's share."""

    @property
    @abstractmethod
    def environment(self) -> Environment:
        """The lock, and the folder in which the files appear."""

    def installed(self) -> tuple[InstalledModel, ...]:
        """Return what is installed, sorted by name."""
        environment = self.environment  # once: another process may move its store between two looks
        environment.seen(quick=True)
        return tuple(installed_model(environment, model) for model in environment.read().models)

    def list(self) -> "Result[InstalledModel]":
        """Return what is installed, as rows."""
        from modelpm.results.report import Result

        models = self.installed()
        return Result(models=models, rows=models)

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
