"""From specs to wanted models: fetches the listings that the pure ``resolve`` needs."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from modelpm.api.inspection import Facts
from modelpm.api.stages import Work
from modelpm.api.types import Reference, RemoteFile, Snapshot
from modelpm.catalog import Catalogs, choose
from modelpm.errors import Code, Denied, NotFound, PluginError, StoreError, Unavailable, UsageError
from modelpm.inspection.headers import BRIEF
from modelpm.inspection.inspection import Inspection
from modelpm.lockfile.requirement import Requirement
from modelpm.resolution.cancellable import unless
from modelpm.resolution.candidate import Candidate, FromCatalog
from modelpm.resolution.choice import Asked, unclear
from modelpm.resolution.listed import asked_of, from_listing
from modelpm.resolution.listings import Listings
from modelpm.resolution.naming import names_of_reference, names_of_variant
from modelpm.resolution.resolve import (
    Found,
    ResolvedFile,
    ResolvedModel,
    complete,
    complete_file,
    file_in,
    from_catalog,
    judged,
    of_entry,
)
from modelpm.text.spec import CatalogSpec
from modelpm.text.untrusted import check_model_name, printable

# Failures after which another source may work: it is away or refuses, lacks the file, or no plugin serves it.
_FEW = 8  # branches in a hint
_FAILURES = (Unavailable, Denied, NotFound, UsageError, PluginError, StoreError)


@dataclass(frozen=True, slots=True)
class Resolver:
    """Turns specs into wanted models.

    Attributes:
        catalogs: Look up names.
        listings: Ask sources, each once per run.
        inspection: Reads headers, if names do not tell variants apart.
    """

    catalogs: Catalogs
    listings: Listings
    inspection: Inspection

    def identify(self, requirement: Requirement, *, name: str | None = None) -> Candidate:
        """Give a requirement its name, without the network.

        Raises:
            UsageError: The spec or the name is malformed, or no plugin serves its scheme.
            NotFound: No catalog has it, or the catalog lacks the release or variant.
            Denied: Its catalog has blocked it.
        """
        if name is not None:
            check_model_name(name)
        spec = requirement.spec
        if isinstance(spec, CatalogSpec):
            entry, full = self.catalogs.read(spec, choosing=True)
            release, variant = choose(entry, full.release or None, full.variant or None)
            names = (name,) if name else names_of_variant(entry, release, variant)
            return Candidate(names[0], requirement.asking(full), FromCatalog(entry, release, variant), names[1:])
        reference = self.listings.registry.reference(spec)
        names = (name,) if name else names_of_reference(reference)
        return Candidate(names[0], requirement.asking(spec), reference, names[1:])

    def resolve(self, found: Candidate, *, allow: Sequence[str] = ()) -> ResolvedModel:
        """Return the wanted model; ask its source for what the catalog does not tell.

        Args:
            found: The candidate.
            allow: The kinds of code that it may hold; the inspection checks its bytes later.

        Raises:
            ModelpmError: As :func:`modelpm.resolution.resolve.from_listing` and the source say.
        """
        return replace(self._resolved(found), allow=tuple(allow))

    def _resolved(self, found: Candidate) -> ResolvedModel:
        if isinstance(found.target, Reference):
            snapshot = self._listed(found.target)
            try:
                return self._from_listing(found.target, snapshot, found.name, found.requirement, found.pin)
            except NotFound as error:
                if error.code != Code.NO_WEIGHTS:
                    raise
                raise self._with_branches(error, found.target) from None
        chosen = found.target
        if not chosen.variant.files:
            return self._from_upstream(found, chosen)
        model = from_catalog(
            chosen.entry, chosen.release, chosen.variant, name=found.name, requirement=found.requirement
        )
        if self._needs_listing(model):
            model = self._with_upstream(model)
        for file in model.files:
            if file.has_own_sources(model.upstream):
                model = complete_file(model, file, self._asked(file))
        return judged(model)

    def _from_listing(
        self, reference: Reference, snapshot: Snapshot, name: str, requirement: Requirement, pin: str = ""
    ) -> ResolvedModel:
        headers = self.headers(snapshot, asked_of(reference, snapshot, requirement, pin))
        return from_listing(reference, snapshot, name=name, requirement=requirement, pin=pin, headers=headers)

    def headers(self, snapshot: Snapshot, asked: Asked) -> dict[str, Facts]:
        """Return the facts from headers of a listing's files, by path, if names tell too little to choose."""
        files = unclear(snapshot.files, asked)
        if not files:
            return {}
        with self.listings.bus.during(Work.CHECKING, asked.what):
            return unless(self.listings.cancelled, lambda: self._read(snapshot, files))

    def _read(self, snapshot: Snapshot, files: Sequence[RemoteFile]) -> dict[str, Facts]:
        """Return the facts of all these headers; stop if one cannot be read."""
        source = self.listings.registry.source(snapshot.reference.scheme)
        reader, found = self.inspection.headers(BRIEF), dict[str, Facts]()
        for file in files:
            if (facts := reader.read(source, file, file.locations[0])) is None:
                return {}
            found[file.path] = facts
        return found

    def _with_branches(self, error: NotFound, reference: Reference) -> NotFound:
        """Return the error of a listing without weights, with the branches that may have them."""
        branches: tuple[str, ...] = ()
        with suppress(*_FAILURES):
            branches = self.listings.registry.source(reference.scheme).branches(reference)
        others = [name for name in branches if name != (reference.revision or "main")]
        if not others:
            return error
        shown = ", ".join(f"{reference.scheme}://{reference.path}@{printable(name)}" for name in others[:_FEW])
        more = f" and {len(others) - _FEW} more" if len(others) > _FEW else ""
        hints = [f"other branches may have them: {shown}{more}", *error.hints]
        return NotFound(error.message, code=error.code, hints=hints, **error.details)

    def _from_upstream(self, found: Candidate, chosen: FromCatalog) -> ResolvedModel:
        """Return a variant whose files its upstream's listing tells."""
        variant = chosen.variant
        reference = self.listings.registry.reference(variant.upstream)
        asked = replace(found.requirement, include=variant.include, exclude=variant.exclude)
        listed = self._from_listing(reference, self._listed(reference), found.name, asked)
        return of_entry(listed, chosen.entry, chosen.release, variant, requirement=found.requirement)

    def _with_upstream(self, model: ResolvedModel) -> ResolvedModel:
        """Ask the upstream; ignore its failure if every file has its own sources."""
        reference = self.listings.registry.reference(model.upstream)
        try:
            snapshot = self._listed(reference)
        except _FAILURES:
            if model.files and all(file.has_own_sources(model.upstream) for file in model.files):
                return model
            raise
        return complete(model, snapshot, is_fixed=_is_fixed(reference, snapshot))

    def _asked(self, file: ResolvedFile) -> list[Found]:
        """Ask each source of a file that is not pinned, or that may know what the catalog does not tell.

        Raises:
            ModelpmError: The first source's failure, if all failed and the file's digest is unknown.
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
        """Whether the catalog lacks sizes, digests, or the revision of a source that has them."""
        if not model.upstream:
            return False
        if not model.is_pinned:
            return True
        reference = self.listings.registry.reference(model.upstream)
        source = self.listings.registry.source(reference.scheme)
        return reference.revision is None and not source.locate(reference, model.files[0].path)


def _is_fixed(reference: Reference, snapshot: Snapshot) -> bool:
    """Whether a reference names a revision that never changes."""
    return reference.revision is not None and reference.revision == snapshot.reference.revision
