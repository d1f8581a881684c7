"""Programs that share an exporter: they differ in their name, and in where they keep their models."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from modelpm_apps.places import Places


@dataclass(frozen=True, slots=True)
class Program:
    """The part of an exporter that is data.

    Attributes:
        title: The program's name for people.
        candidates: Yields where the program may keep its models.
        places: The folders of the user.
    """

    title: str
    candidates: Callable[[Places], Iterable[Path]]
    places: Places

    def folders(self) -> Iterable[Path]:
        """Return where the program may keep its models."""
        return self.candidates(self.places)
