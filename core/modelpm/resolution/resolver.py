"""From specs to wanted models: fetches the listings that the pure ``resolve`` needs."""

from dataclasses import dataclass, replace

from modelpm.api.types import Reference, Snapshot
from modelpm.catalog import Catalogs, Entry, Release, Variant, choose
from modelpm.errors import Denied, NotFound, PluginError, StoreError, Unavailable, UsageError
from modelpm.lockfile.model import LockedModel
from modelpm.lockfile.requirement import Requirement
from modelpm.resolution.code import needed_words
from modelpm.resolution.listings import Listings
from modelpm.resolution.resolve import (
    Found,
    ResolvedFile,
    ResolvedModel,
    complete,
    complete_file,
    file_in,
    from_catalog,
    from_listing,
    name_of_reference,
    name_of_variant,
)
from modelpm.resolution.selection import refuse_pickles
from modelpm.text.spec import CatalogSpec
from modelpm.text.untrusted import check_model_name, printable

# Why one source cannot be asked while another may be: it is away or refuses, has no such file, or no plugin serves it.
_FAILURES = (Unavailable, Denied, NotFound, UsageError, PluginError, StoreError)


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
    """

    name: str
    requirement: Requirement
    target: FromCatalog | Reference

    def is_met_by(self, model: LockedModel) -> bool:
        """Whether a locked model is what this asks for: the same spec, or another that chooses the same."""
        if model.requirement == self.requirement:
            return True
        if not isinstance(self.target, FromCatalog) or model.requirement.include or model.requirement.exclude:
            return False
        chosen = (
            self.target.entry.catalog,
            self.target.entry.id,
            self.target.release.version,
            self.target.variant.name,
        )
        return chosen == (model.catalog, model.id, model.release, model.variant)


@dataclass(frozen=True, slots=True)
class Resolver:
    """Turns specs into wanted models.

    Attributes:
        catalogs: Where names are looked up.
        listings: Where sources are asked, once a run each.
    """

    catalogs: Catalogs
    listings: Listings

    def identify(self, requirement: Requirement, *, name: str | None = None) -> Candidate:
        """Give a requirement its name, without the network.

        Raises:
            UsageError: The spec or the name is malformed, or no plugin serves its scheme.
            NotFound: No catalog has it, or not that release or variant.
            Denied: Its catalog has blocked it.
        """
        if name is not None:
            check_model_name(name)
        spec = requirement.spec
        if isinstance(spec, CatalogSpec):
            entry = self.catalogs.find(spec.id, spec.catalog or None)
            release, variant = choose(entry, spec.release or None, spec.variant or None)
            full = CatalogSpec(entry.catalog, entry.id, spec.release, variant.name if spec.variant else "")
            chosen = FromCatalog(entry, release, variant)
            return Candidate(name or name_of_variant(entry, release, variant), requirement.asking(full), chosen)
        reference = self.listings.registry.reference(spec)
        return Candidate(name or name_of_reference(reference), requirement.asking(spec), reference)

    def resolve(self, found: Candidate, *, allow_pickle: bool = False) -> ResolvedModel:
        """Return the wanted model, after asking its source where the catalog does not say all.

        Raises:
            ModelpmError: As :func:`modelpm.resolution.resolve.from_listing` and the source say.
        """
        model = self._resolved(found, allow_pickle=allow_pickle)
        return replace(model, allow=needed_words(model, [f.path for f in model.files]))

    def _resolved(self, found: Candidate, *, allow_pickle: bool) -> ResolvedModel:
        if isinstance(found.target, Reference):
            snapshot = self._listed(found.target)
            return from_listing(
                found.target, snapshot, name=found.name, requirement=found.requirement, allow_pickle=allow_pickle
            )
        chosen = found.target
        model = from_catalog(
            chosen.entry, chosen.release, chosen.variant, name=found.name, requirement=found.requirement
        )
        if not allow_pickle:
            refuse_pickles([f.path for f in model.files], model.format, model.model)
        if self._needs_listing(model):
            model = self._with_upstream(model)
        for file in model.files:
            if file.has_own_sources(model.upstream):
                model = complete_file(model, file, self._asked(file))
        return model

    def _with_upstream(self, model: ResolvedModel) -> ResolvedModel:
        """Ask the upstream; one that cannot be asked is passed over where every file has sources of its own."""
        reference = self.listings.registry.reference(model.upstream)
        try:
            snapshot = self._listed(reference)
        except _FAILURES:
            if model.files and all(file.has_own_sources(model.upstream) for file in model.files):
                return model
            raise
        return complete(model, snapshot, is_fixed=_is_fixed(reference, snapshot))

    def _asked(self, file: ResolvedFile) -> list[Found]:
        """Ask each source of a file that is not pinned, or that may know what the catalog does not say.

        Raises:
            ModelpmError: The first source's failure, where none could be asked and the file's bytes are not known.
        """
        found, errors = [], []
        for text in file.sources:
            try:
                found.append(self._of_source(file, text))
            except _FAILURES as error:
                errors.append(error)
                found.append(Found(text))
        if len(errors) == len(found) and not file.is_pinned:
            raise errors[0]
        return found

    def _of_source(self, file: ResolvedFile, text: str) -> Found:
        reference = self.listings.registry.reference(text)
        source = self.listings.registry.source(reference.scheme)
        if file.is_pinned and source.locate(reference, file.path):
            return Found(text)
        snapshot = self._listed(reference)
        path = reference.file or file.path
        remote = file_in(snapshot, path)
        if remote is None:
            raise NotFound(f"{snapshot.reference} has no file `{printable(path)}`")
        return Found(text, snapshot, remote, _is_fixed(reference, snapshot))

    def _listed(self, reference: Reference) -> Snapshot:
        snapshot = self.listings.of(reference)
        self.listings.put(snapshot.reference, snapshot)
        return snapshot

    def _needs_listing(self, model: ResolvedModel) -> bool:
        """Whether the catalog leaves something open: sizes, digests, or the revision of a source that has them."""
        if not model.upstream:
            return False
        if not model.files or not model.is_pinned:
            return True
        reference = self.listings.registry.reference(model.upstream)
        source = self.listings.registry.source(reference.scheme)
        return reference.revision is None and not source.locate(reference, model.files[0].path)


def _is_fixed(reference: Reference, snapshot: Snapshot) -> bool:
    """Tell whether a reference names a revision that never changes: it stands for itself."""
    return reference.revision is not None and reference.revision == snapshot.reference.revision
