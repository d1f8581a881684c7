"""A candidate: the named target of a requirement, found without the network."""

from collections.abc import Hashable
from dataclasses import dataclass, replace

from modelpm.api.types import Reference
from modelpm.catalog import Entry, Release, Variant
from modelpm.inspection.layouts.choose import ALL
from modelpm.lockfile.model import LockedModel
from modelpm.lockfile.requirement import Requirement


@dataclass(frozen=True, slots=True)
class FromCatalog:
    """The choice of a catalog for a spec."""

    entry: Entry
    release: Release
    variant: Variant


@dataclass(frozen=True, slots=True)
class Candidate:
    """A requirement with a name, found without the network.

    Attributes:
        name: Its name in the environment.
        requirement: The requirement for the lock.
        target: The catalog's choice, or the reference.
        further: Longer default names, if the name is taken; empty if the user chose it.
        pin: The locked variant of a bare reference.
    """

    name: str
    requirement: Requirement
    target: FromCatalog | Reference
    further: tuple[str, ...] = ()
    pin: str = ""

    @property
    def keys(self) -> tuple[Hashable, ...]:
        """What it asks for, comparable with :meth:`keys_of`."""
        if not isinstance(self.target, FromCatalog):
            return (self.requirement,)
        chosen = self.target
        return self.requirement, (chosen.entry.catalog, chosen.entry.id, chosen.release.version, chosen.variant.name)

    @staticmethod
    def keys_of(model: LockedModel) -> tuple[Hashable, ...]:
        """Return the requests that a locked model meets: its requirement, and the catalog's choice."""
        asked = model.requirement
        if not model.catalog or asked.include or asked.exclude or asked.without:
            return (asked,)
        return asked, (model.catalog, model.id, model.release, model.variant)

    def is_met_by(self, model: LockedModel) -> bool:
        """Whether a locked model meets it: with the same spec, or with another spec for the same choice."""
        return not {*self.keys}.isdisjoint(self.keys_of(model))

    def keeping(self, old: LockedModel | None) -> "Candidate":
        """Return it with the locked variant; a model that was locked without a variant has every file."""
        if old is None or isinstance(self.target, FromCatalog) or old.requirement != self.requirement:
            return self
        return replace(self, pin=old.variant or ALL)
