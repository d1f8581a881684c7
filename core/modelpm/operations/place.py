"""Identify the model of the files in one place of this machine: a catalog's, or a model of its own.

If a catalog has a model with exactly these digests, it is that model. Every other model has the ``file://`` reference
of its place as its spec, pinned by the digests of its bytes. Its lock also has the addresses at which a catalog or a
Hugging Face cache knows the same bytes.
"""

import glob
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from modelpm.api.types import Digest, KnownFile, RemoteFile, Snapshot
from modelpm.bundle.bundle import Taken
from modelpm.bundle.files import ModelFiles
from modelpm.errors import NotFound, UsageError
from modelpm.inspection.layouts.components import bare_stem
from modelpm.inspection.layouts.in_folder import Place, cached_at, is_generic
from modelpm.lockfile.requirement import Requirement
from modelpm.resolution.candidate import Candidate, FromCatalog
from modelpm.resolution.naming import default_names
from modelpm.resolution.resolve import ResolvedFile, ResolvedModel, from_catalog, judged
from modelpm.resolution.resolver import Resolver

_COMMIT = 40  # hexadecimal digits of a commit


@dataclass(frozen=True, slots=True)
class Placed:
    """The files in one place, with their digests.

    Attributes:
        resolver: Looks names up.
        files: The result of the search in the folder.
        place: The place of one model.
        taken: Every file in the folder, by its path.
    """

    resolver: Resolver
    files: ModelFiles
    place: Place
    taken: Mapping[str, Taken]

    @property
    def folder(self) -> Path:
        """The folder that lists the files."""
        return self.files.folder / self.place.folder

    def path(self, file: str) -> str:
        """Return a file's path in the folder."""
        return f"{self.place.folder}/{file}" if self.place.folder else file

    def model(self, name: str | None, allow: tuple[str, ...]) -> tuple[Candidate, ResolvedModel]:
        """Return the model, and the names it may have.

        Args:
            name: The name; None for the default ones.
            allow: The kinds of code that it may hold.

        Raises:
            ModelpmError: As for an install of the place: files of a set are missing, a name is hostile.
        """
        found, model = self._own(allow)
        weights = next((file for file in model.files if file.role == "weights"), model.files[0])
        known = self._known(weights)
        of_catalog = self._of_catalog(known, name, allow)
        if of_catalog is not None:
            return of_catalog
        published = next((each for each in known if "://" in each.model), None)
        names = (name,) if name else self._names(published, found.requirement.text)
        files = tuple(replace(file, sources=self._sources(file)) for file in model.files)
        license_ = published.license if published else ""
        return replace(found, name=names[0], further=names[1:]), replace(model, files=files, license=license_)

    def _own(self, allow: tuple[str, ...]) -> tuple[Candidate, ResolvedModel]:
        """Return the model that a source would make of the folder or the file, with the known digests."""
        place, reference_of = self.place, self.resolver.listings.registry.reference
        alone = place.is_loose and len(place.files) == 1
        apart = self.path(place.files[0]) in self.files.places  # a file that is not in a folder has no listing
        target = self.files.place(self.path(place.files[0])) if alone or apart else self.folder
        spec = target.as_uri() + (f":{place.variant}" if place.variant else "")
        include = tuple(map(glob.escape, place.files)) if place.is_loose and not (alone or apart) else ()
        below = f"{place.folder}/" if place.folder else ""
        paths = place.files if place.is_loose else [p.removeprefix(below) for p in self.taken if p.startswith(below)]
        files = []
        for path in paths:
            row, file = self.taken[self.path(path)], self.files.place(self.path(path))
            digest, own = Digest("sha256", row.sha256), reference_of(file.as_uri())
            files.append(RemoteFile(path, row.size, digest, (str(file),), own))
        reference = reference_of(spec)
        whole = replace(reference, file="", quantization="")
        self.resolver.listings.put(whole, Snapshot(whole, "", tuple(files)))
        found = Candidate(place.name, Requirement(spec, include), reference)
        return found, self.resolver.resolve(found, allow=allow)

    def _of_catalog(
        self, known: Iterable[KnownFile], name: str | None, allow: tuple[str, ...]
    ) -> tuple[Candidate, ResolvedModel] | None:
        here = {row.sha256 for row in self.taken.values()}
        for each in known:
            if "://" in each.model:
                continue
            with suppress(NotFound, UsageError):  # the catalog knows the digest, but no longer has the model
                found = self.resolver.identify(Requirement(each.model), name=name)
                target = found.target
                if isinstance(target, FromCatalog) and {file.sha256 for file in target.variant.files} <= here:
                    entry, release, variant = target.entry, target.release, target.variant
                    made = from_catalog(entry, release, variant, name=found.name, requirement=found.requirement)
                    return found, replace(judged(made), allow=allow)
        return None

    def _names(self, published: KnownFile | None, spec: str) -> tuple[str, ...]:
        """Return the default names: from the published file, else from the local file, repository or folder."""
        place, texts = self.place, [self.place.name, f"{self.place.owner}-{self.place.name}"]
        if published is not None and cached_at(self.folder.as_posix()) is None:
            stem, repo = bare_stem(published.path), published.model.rpartition("/")[2]
            text = repo if is_generic(stem) or not place.is_loose else stem
            texts = [text, f"{repo}-{text}"]
        return default_names(texts, spec)

    def _sources(self, file: ResolvedFile) -> tuple[str, ...]:
        """Return the place of a file, and the addresses at which the same bytes are published."""
        published = [str(each) for each in self._known(file) if "://" in each.model]
        cached = cached_at(self.folder.as_posix())
        if cached is not None and len(cached.revision) == _COMMIT:
            within = (self.folder / file.path).as_posix().removeprefix(f"{cached.folder}/")
            published.insert(0, f"hf://{cached.owner}/{cached.repo}@{cached.revision}/{within}")
        return tuple(dict.fromkeys([*file.sources, *published]))

    def _known(self, file: ResolvedFile) -> tuple[KnownFile, ...]:
        return self.resolver.catalogs.recognize(file.sha256 or "")
