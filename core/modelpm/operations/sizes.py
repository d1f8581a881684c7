"""What takes the space: by model, each byte counted once."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from modelpm.environment import Environment
from modelpm.errors import ModelpmError
from modelpm.operations.roots import Roots
from modelpm.store import leftovers


@dataclass(frozen=True, slots=True)
class Share:
    """One part of what a store holds.

    Attributes:
        kind: ``model``; or ``shared`` (by several models), ``unneeded``, ``partial``, ``quarantine``, ``draft``.
        name: The model; empty for the other kinds.
        environment: ``user``, or the path of the project's lock; empty for the other kinds.
        files: How many blobs, or other things.
        bytes: Their size; of a model, those of the blobs that no other model has.
    """

    kind: str
    name: str
    environment: str
    files: int
    bytes: int


def shares(environment: Environment) -> tuple[Share, ...]:
    """Return what takes the space of a store, the largest first; together it is all of it.

    Raises:
        StoreError: A root or the store cannot be read.
    """
    owners: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for label, each in _environments(environment):
        for model in each.read().models:
            for file in model.files:
                owners[file.sha256].add((label, model.name))
    found: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for sha256, size in environment.store.blobs():
        who = owners.get(sha256, set())
        if len(who) == 1:
            ((label, name),) = who
            found["model", name, label].append(size)
        else:
            found["shared" if who else "unneeded", "", ""].append(size)
    for other in leftovers.others(environment.store.layout):
        found[other.kind, "", ""].append(other.bytes)
    rows = [Share(*key, len(sizes), sum(sizes)) for key, sizes in found.items()]
    return tuple(sorted(rows, key=lambda row: (-row.bytes, row.name, row.environment)))


def _environments(own: Environment) -> Sequence[tuple[str, Environment]]:
    try:
        others = [(str(e.lock_path), e) for e in Roots(own).environments()]
    except ModelpmError:  # a root that cannot be read; prune refuses, a sum need not
        others = []
    return [("user", own), *others]
