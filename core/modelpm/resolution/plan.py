"""The plan: the difference between the wanted models and the store. Pure."""

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
        steps: One per file, in the order of the models. A blob that two files share is fetched once.
    """

    steps: tuple[Step, ...]

    @property
    def download(self) -> int:
        """Bytes to fetch, of files with a known size."""
        return sum(s.file.size or 0 for s in self.steps if s.fetch)

    @property
    def unknown(self) -> int:
        """The number of files to fetch without a known size."""
        return sum(1 for s in self.steps if s.fetch and s.file.size is None)

    def of(self, model: str) -> "Plan":
        """Return the part of one model."""
        return Plan(tuple(s for s in self.steps if s.model == model))


def make_plan(models: Sequence[ResolvedModel], present: Collection[str]) -> Plan:
    """Decide what to fetch.

    Args:
        models: The wanted models.
        present: SHA-256 of the blobs that the store has.
    """
    steps = []
    coming = set(present)
    for model in models:
        idle = {a.path for a in model.archives} - {a.path for a in needed_archives(model, coming)}
        for file in model.files:
            fetch = file.path not in idle and not file.archive and (file.sha256 is None or file.sha256 not in coming)
            if file.sha256 is not None and (fetch or not file.unpack):
                coming.add(file.sha256)
            steps.append(Step(model.name, file, fetch))
    return Plan(tuple(steps))


def needed_archives(model: ResolvedModel, present: Collection[str]) -> list[ResolvedFile]:
    """Return the archives to unpack: those with a missing member, or without known members."""
    return [
        archive
        for archive in model.archives
        if not (members := model.members(archive)) or any(member.sha256 not in present for member in members)
    ]


def plan_learning(model: ResolvedModel, also: Collection[str] = ()) -> Plan:
    """Plan to fetch only files without a promised digest, to learn it, and some files whose bytes must be read."""
    unknown = {*also, *(archive.path for archive in needed_archives(model, ()))}
    return Plan(tuple(Step(model.name, f, fetch=not f.is_pinned or f.path in unknown) for f in model.files))
