"""The plan: the difference between what is wanted and what is there. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from modelpm.resolution.resolve import ResolvedFile, ResolvedModel


@dataclass(frozen=True, slots=True)
class Step:
    """One file to fetch, or to reuse from the store.

    Attributes:
        model: The model, by name.
        file: The file.
        fetch: Whether its bytes must be fetched.
    """

    model: str
    file: ResolvedFile
    fetch: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """The planned work, with sizes.

    Attributes:
        steps: One a file, in the order of the models. A blob that two files share is fetched once.
    """

    steps: tuple[Step, ...]

    @property
    def download(self) -> int:
        """Bytes to fetch, as far as sizes are known."""
        return sum(s.file.size or 0 for s in self.steps if s.fetch)

    @property
    def unknown(self) -> int:
        """How many files to fetch have no known size."""
        return sum(1 for s in self.steps if s.fetch and s.file.size is None)

    def of(self, model: str) -> "Plan":
        """Return the part of one model."""
        return Plan(tuple(s for s in self.steps if s.model == model))


def make_plan(models: Sequence[ResolvedModel], present: Collection[str]) -> Plan:
    """Decide what to fetch.

    Args:
        models: What is wanted.
        present: sha256 of the blobs that the store has.
    """
    steps = []
    coming = set(present)
    for model in models:
        for file in model.files:
            fetch = file.sha256 is None or file.sha256 not in coming
            if file.sha256 is not None:
                coming.add(file.sha256)
            steps.append(Step(model.name, file, fetch))
    return Plan(tuple(steps))


def plan_learning(model: ResolvedModel) -> Plan:
    """Decide to fetch only what no source promises, in order to learn it."""
    return Plan(tuple(Step(model.name, file, fetch=not file.is_pinned) for file in model.files))
