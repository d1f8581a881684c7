"""The space that each model takes; each byte counts once."""

from collections import defaultdict
from dataclasses import dataclass

from modelpm.api.stages import Work
from modelpm.environment.environment import Environment
from modelpm.environment.roots import Roots, Survey
from modelpm.errors import ModelpmError
from modelpm.store.gc import leftovers


@dataclass(frozen=True, slots=True)
class Share:
    """One part of the space of a store.

    Attributes:
        kind: ``model``; or ``shared`` (by several models), ``held`` (by folders, and by projects that cannot be read or
            were not seen lately), ``unneeded``, ``partial``, ``quarantine``, ``draft``.
        name: The model; empty for the other kinds.
        environment: ``user``, or the path of the project's lock; empty for the other kinds.
        files: The number of blobs, or of other files.
        bytes: Their size; for a model, of the blobs that no other model has.
    """

    kind: str
    name: str
    environment: str
    files: int
    bytes: int


def shares(environment: Environment) -> tuple[Share, ...]:
    """Return all parts of a store's space, the largest first.

    Raises:
        StoreError: A root or the store cannot be read.
    """
    with environment.store.bus.during(Work.CHECKING, str(environment.store.root)):
        return _shares(environment)


def _shares(environment: Environment) -> tuple[Share, ...]:
    survey = Roots(environment).survey(strict=False)
    owners, needed = _owners(environment, survey), survey.needed
    found: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for sha256, size in environment.store.blobs():
        who = owners.get(sha256, set())
        if len(who) == 1:
            ((label, name),) = who
            found["model", name, label].append(size)
        else:
            found["shared" if who else "held" if sha256 in needed else "unneeded", "", ""].append(size)
    for other in leftovers.others(environment.store.layout):
        found[other.kind, "", ""].append(other.bytes)
    rows = [Share(*key, len(sizes), sum(sizes)) for key, sizes in found.items()]
    return tuple(sorted(rows, key=lambda row: (-row.bytes, row.name, row.environment)))


def _owners(own: Environment, survey: Survey) -> dict[str, set[tuple[str, str]]]:
    """Return, by digest, the models that have the blob, each with its environment."""
    owners: dict[str, set[tuple[str, str]]] = defaultdict(set)
    others = [(str(e.lock_path), e) for e in Roots(own).environments(survey.standings)]
    for label, each in [("user", own), *others]:
        try:
            models = each.read().models
        except ModelpmError:  # in the middle of a merge, or damaged
            continue
        for model in models:
            for file in model.files:
                owners[file.sha256].add((label, model.name))
    return owners
