"""Mutants that each switch off a promise as a whole, in words that name it. Every one is to be killed."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Aimed:
    """A promise, switched off.

    Attributes:
        promise: What no longer holds.
        path: The file, relative to the repository.
        old: Text that stands in it once.
        new: What replaces it.
        tests: Files or ids of tests that must notice.
    """

    promise: str
    path: str
    old: str
    new: str
    tests: Sequence[str]

    def apply(self, source: str) -> str:
        """Return the mutated source.

        Raises:
            ValueError: The old text does not stand there exactly once: the list is stale.
        """
        if source.count(self.old) != 1:
            msg = f"{self.path} has {source.count(self.old)} times, not once: {self.old!r}"
            raise ValueError(msg)
        return source.replace(self.old, self.new)


def _listed() -> tuple[Aimed, ...]:
    text = Path(__file__).with_name("aimed.toml").read_text(encoding="utf-8")
    return tuple(Aimed(**table) for table in tomllib.loads(text)["mutant"])


AIMED = _listed()
