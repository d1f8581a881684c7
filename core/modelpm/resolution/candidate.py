"""A candidate: what a requirement asks for, and its name; only catalogs on this machine were asked."""

from collections.abc import Hashable
from dataclasses import dataclass, replace

from modelpm.api.types import Reference
from modelpm.catalog import Entry, Release, Variant
from modelpm.inspection.layouts.choose import ALL
from modelpm.lockfile.model import LockedModel
from modelpm.lockfile.requirement import Requirement


@dataclass(frozen=True, slots=True)
class FromCatalog:
    """A spec that a catalog answers: what it chose."""

    entry: Entry
    release: Release
    variant: Variant


@dataclass(frozen=True, slots=True)
class Candidate:
    """A requirement whose name is known; only catalogs on this machine were asked for it.

    Attributes:
        name: Its name in the environment.
        requirement: What is written to the lock.
        target: What the catalog chose, or the reference.
        further: Longer default names, for where the name is taken; empty if the user chose it.
        pin: The variant of a bare reference that is locked already.
    """

    name: str
    requirement: Requirement
    target: FromCatalog | Reference
    further: tuple[str, ...] = ()
    pin: str = ""

    @property
    def keys(self) -> tuple[Hashable, ...]:
        """What it asks for, in the words of :meth:`keys_of`."""
        if not isinstance(self.target, FromCatalog):
            return (self.requirement,)
        chosen = self.target
        return self.requirement, (chosen.entry.catalog, chosen.entry.id, chosen.release.version, chosen.variant.name)

    @staticmethod
    def keys_of(model: LockedModel) -> tuple[Hashable, ...]:
        """Return what a locked model answers: its requirement, and the choice of the catalog that made it."""
        asked = model.requirement
        if not model.catalog or asked.include or asked.exclude or asked.without:
            return (asked,)
        return asked, (model.catalog, model.id, model.release, model.variant)

    def is_met_by(self, model: LockedModel) -> bool:
        """Whether a locked model is what this asks for: the same spec, or another that chooses the same."""
        return not {*self.keys}.isdisjoint(self.keys_of(model))

    def keeping(self, old: LockedModel | None) -> "Candidate":
        """Return it with the variant that is locked; what an earlier modelpm locked without one took every file."""
        if old is None or isinstance(self.target, FromCatalog) or old.requirement != self.requirement:
            return self
        return replace(self, pin=old.variant or ALL)
