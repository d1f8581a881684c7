"""From a request to a model whose every file is known. Pure: the caller passes catalog entries and listings in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from modelpm.api.types import Digest, Reference, RemoteFile, Snapshot
from modelpm.catalog import CatalogFile, Entry, Release, Variant
from modelpm.errors import Code, IntegrityError, NotFound
from modelpm.inspection.layouts import role_of
from modelpm.inspection.layouts.facts import facts_of
from modelpm.lockfile.model import MAX_LICENSE, LockedArchive, LockedFile, LockedModel, Model, archive_of
from modelpm.lockfile.requirement import Requirement
from modelpm.text.untrusted import check_paths, shortened


@dataclass(frozen=True, slots=True)
class ResolvedFile:
    """One file before its download, with what is known of it.

    Attributes:
        path: Relative POSIX path, checked.
        size: Bytes, or None if only the download can tell.
        digest: The digest that the bytes must have: SHA-256 if known, else the source's digest, or None.
        sources: References, in order of preference.
        remote: The file in the listing, if there was one.
        role: Its role, e.g. ``weights``.
        unpack: The kind of an archive, which is fetched for its members only.
        into: The path of the whole file, for an archive that is a part of a file.
    """

    path: str
    size: int | None
    digest: Digest | None
    sources: tuple[str, ...]
    remote: RemoteFile | None = None
    role: str = ""
    unpack: str = ""
    into: str = ""

    @property
    def archive(self) -> str:
        """The path of the archive that it comes from; empty if it is fetched directly."""
        return archive_of(self.sources)

    @property
    def sha256(self) -> str | None:
        """The SHA-256 of its content, if known."""
        return self.digest.hex if self.digest and self.digest.algorithm == "sha256" else None

    def has_own_sources(self, upstream: str) -> bool:
        """Whether its sources differ from its path at the model's upstream."""
        return self.sources not in ((), (_under(upstream, self.path),))

    @property
    def is_pinned(self) -> bool:
        """Whether its content is known before the download."""
        return self.sha256 is not None and self.size is not None


@dataclass(frozen=True, slots=True)
class Found:
    """The facts about a file from one of its sources.

    Attributes:
        text: The source as the catalog writes it.
        snapshot: Its listing, or None if none was needed or the source failed.
        remote: The file in it.
        is_fixed: Whether the catalog pins the source to one revision, so that its listing never changes.
    """

    text: str
    snapshot: Snapshot | None = None
    remote: RemoteFile | None = None
    is_fixed: bool = False


@dataclass(frozen=True, slots=True)
class ResolvedModel(Model):
    """One model with its chosen files, which may lack size or digest.

    Attributes:
        files: The chosen files.
        pinned: The listing's reference, the source of files without their own sources.
        warnings: The warnings for the user: deprecation, a missing variant.
        notes: The choices, for people.
    """

    files: tuple[ResolvedFile, ...]
    pinned: Reference | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_pinned(self) -> bool:
        """Whether the content of every file is known before the download."""
        return all(file.is_pinned for file in self.files) and all(map(self.members, self.archives))

    @property
    def archives(self) -> tuple[ResolvedFile, ...]:
        """The files that are fetched for their members only."""
        return tuple(file for file in self.files if file.unpack)

    def members(self, archive: ResolvedFile) -> tuple[ResolvedFile, ...]:
        """Return the known members of an archive."""
        return tuple(f for f in self.files if f.archive and (f.archive == archive.path or f.path == archive.into))

    @property
    def size(self) -> int | None:
        """Bytes of all files; None if one is not known."""
        packed = {a.path for a in self.archives if self.members(a)}  # the unpacked files count instead
        sizes = [file.size for file in self.files if file.path not in packed]
        return None if None in sizes else sum(size or 0 for size in sizes)

    def lock(self, learned: Mapping[str, tuple[str, int]], members: Sequence[LockedFile] = ()) -> LockedModel:
        """Return the locked model.

        Args:
            learned: SHA-256 and size, by path, of every file that was fetched or found in the store.
            members: The unpacked files, if they were not known before.
        """
        files, archives = list(members), list[LockedArchive]()
        for file in self.files:
            sha256, size = learned.get(file.path) or (file.sha256, file.size)
            if sha256 is None or size is None:
                msg = f"{file.path} was neither pinned nor fetched"
                raise AssertionError(msg)
            if file.unpack:
                archives.append(LockedArchive(file.path, size, sha256, file.sources, file.unpack, file.into))
            else:
                files.append(LockedFile(file.path, size, sha256, file.sources, file.role))
        facts = self.facts()
        if members:
            told = facts_of([RemoteFile(f.path, f.size, None, ()) for f in files])
            files = [replace(f, role=f.role or str(told.roles[f.path])) for f in files]
            facts["entry_point"] = told.entry_point
        return LockedModel(files=tuple(files), archives=tuple(archives), **facts)

    def completing(self, old: LockedModel) -> LockedModel:
        """Return a locked model of the same files, completed with keys that an earlier modelpm did not write."""
        roles = {file.path: file.role for file in self.files}
        files = tuple(replace(file, role=roles.get(file.path, file.role)) for file in old.files)
        return replace(
            old,
            requirement=self.requirement,
            variant=self.variant,
            format=self.format,
            allow=self.allow,
            entry_point=self.entry_point,
            files=files,
        )

    @classmethod
    def of_locked(cls, model: LockedModel) -> "ResolvedModel":
        """Return the model that fetches a locked model again."""
        files = tuple(
            ResolvedFile(f.path, f.size, Digest("sha256", f.sha256), f.sources, role=f.role) for f in model.files
        )
        files += tuple(
            ResolvedFile(a.path, a.size, Digest("sha256", a.sha256), a.sources, unpack=a.unpack, into=a.into)
            for a in model.archives
        )
        return cls(files=files, **model.facts())


def from_catalog(
    entry: Entry, release: Release, variant: Variant, *, name: str, requirement: Requirement
) -> ResolvedModel:
    """Return the model of a catalog, with what the catalog knows."""
    check_paths(f.path for f in variant.files)
    license_, warned = license_of(entry.license, entry.name)
    wanted = [f for f in variant.files if (f.role or role_of(f.path)) not in requirement.without] or variant.files
    files = tuple(_of_catalog(f, variant.upstream) for f in wanted)
    return ResolvedModel(
        name=name,
        requirement=requirement,
        files=files,
        catalog=entry.catalog,
        id=entry.id,
        release=release.version,
        variant=variant.name,
        upstream=variant.upstream,
        format=variant.format,
        license=license_,
        warnings=(*_deprecation(entry), *warned),
    )


def of_entry(
    listed: ResolvedModel, entry: Entry, release: Release, variant: Variant, *, requirement: Requirement
) -> ResolvedModel:
    """Return the variant of an entry without files, from its upstream's listing.

    Args:
        listed: The files that the entry's globs and its upstream's reference choose.
        entry: The entry, whose license wins over the listing's.
        release: The release.
        variant: The variant.
        requirement: The requirement for the lock.
    """
    license_, warned = license_of(entry.license, entry.name)
    return replace(
        listed,
        requirement=requirement,
        catalog=entry.catalog,
        id=entry.id,
        release=release.version,
        variant=variant.name,
        format=variant.format,
        license=license_ or listed.license,
        warnings=(*_deprecation(entry), *warned, *listed.warnings),
        notes=(),  # the catalog chose
    )


def complete(model: ResolvedModel, snapshot: Snapshot, *, is_fixed: bool) -> ResolvedModel:
    """Complete a catalog's model from its upstream's listing, and compare the two.

    Args:
        model: The model from the catalog.
        snapshot: The listing.
        is_fixed: Whether the catalog pins the upstream. If so, a contradiction is an error. If not, the upstream has
            moved on, which is a warning, and only the bytes that the catalog promises are accepted.

    Raises:
        IntegrityError: They contradict each other, and the upstream is pinned.
        NotFound: The listing has no such file.
    """
    upstream = str(snapshot.reference)
    there = {f.path: f for f in snapshot.files}
    files, warnings = [], list(model.warnings)
    for file in model.files:
        remote = there.get(file.path)
        if remote is None:
            if file.has_own_sources(model.upstream):
                files.append(file)
                continue
            raise NotFound(f"{upstream} has no file `{shortened(file.path)}`, which {model.model} names")
        if other := contradiction(file, remote):
            if is_fixed:
                raise _contradicted(file, model.model, upstream, other)
            warnings.append(_moved_on(file, model.model, upstream, other))
            files.append(file)
            continue
        own = file.has_own_sources(model.upstream)
        sources = file.sources if own else (_under(upstream, file.path),)
        files.append(replace(_learned(file, remote), sources=sources))
    check_paths(f.path for f in files)
    theirs, warned = ("", ()) if model.license else license_of(snapshot.license, upstream)
    return replace(
        model,
        files=tuple(files),
        upstream=upstream,
        pinned=snapshot.reference,
        license=model.license or theirs,
        warnings=(*warnings, *warned),
    )


def complete_file(model: ResolvedModel, file: ResolvedFile, found: Sequence[Found]) -> ResolvedModel:
    """Complete a catalog's file that has its own sources, and compare it with their listings.

    The first source that knows the file decides. A source with other bytes is left out or, if the catalog itself
    promised the bytes, kept as it is written, because it may have them again.

    Args:
        model: Has the file.
        file: The file from the catalog.
        found: What each of its sources says, in order of preference.

    Raises:
        IntegrityError: A source that never changes contradicts the catalog.
    """
    learned, sources, warnings, license_ = file, [], list(model.warnings), model.license
    for source in found:
        if source.remote is None or source.snapshot is None:
            sources.append(source.text)
            continue
        if other := contradiction(file, source.remote):
            if source.is_fixed:
                raise _contradicted(file, model.model, source.text, other)
            warnings.append(_moved_on(file, model.model, source.text, other))
            sources.append(source.text)
        elif other := contradiction(learned, source.remote):
            warnings.append(_left_out(file, model.model, source.text, other))
        else:
            learned = _learned(learned, source.remote)
            sources.append(reference_in(source.snapshot, source.remote))
            if not license_:
                license_, warned = license_of(source.snapshot.license, source.text)
                warnings += warned
    learned = replace(learned, sources=tuple(dict.fromkeys(sources)))
    files = tuple(learned if each is file else each for each in model.files)
    return replace(model, files=files, license=license_, warnings=tuple(warnings))


def file_in(snapshot: Snapshot, path: str) -> RemoteFile | None:
    """Return the file of that path; the only file of a listing fits every path."""
    found = next((f for f in snapshot.files if f.path == path), None)
    return snapshot.files[0] if found is None and len(snapshot.files) == 1 else found


def _learned(file: ResolvedFile, remote: RemoteFile) -> ResolvedFile:
    size = remote.size if file.size is None else file.size
    return replace(file, size=size, digest=file.digest or remote.digest, remote=file.remote or remote)


def judged(model: ResolvedModel) -> ResolvedModel:
    """Return a catalog's model with the roles and the entry point that the names of its files tell."""
    facts = facts_of([RemoteFile(f.path, f.size, None, ()) for f in model.files])
    files = tuple(replace(f, role=f.role or str(facts.roles[f.path])) for f in model.files)
    return replace(model, files=files, entry_point=facts.entry_point)


def license_of(text: str, where: str) -> tuple[str, tuple[str, ...]]:
    """Return the license for the lock, and a warning if it is too long: cut, it would be another license."""
    if len(text) <= MAX_LICENSE:
        return text, ()
    why = f"the license of {where} counts as unknown: it has {len(text):,} characters, more than {MAX_LICENSE}"
    return "", (why,)


def _of_catalog(file: CatalogFile, upstream: str) -> ResolvedFile:
    digest = Digest("sha256", file.sha256) if file.sha256 else None
    sources = file.sources or (_under(upstream, file.path),)
    return ResolvedFile(file.path, file.size, digest, sources, role=file.role, unpack=file.unpack, into=file.into)


def listed_file(file: RemoteFile, snapshot: Snapshot) -> ResolvedFile:
    """Return a file of a listing."""
    return ResolvedFile(file.path, file.size, file.digest, (reference_in(snapshot, file),), file)


def reference_in(snapshot: Snapshot, file: RemoteFile) -> str:
    """Return the reference of one file of a listing, pinned as the listing is."""
    return str(file.reference) if file.reference else _under(str(snapshot.reference), file.path)


def _under(upstream: str, path: str) -> str:
    return f"{upstream.rstrip('/')}/{path}"


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A contradiction between a listing and the known facts: ``digest`` or ``size``, and both values."""

    what: str
    expected: str
    actual: str


def contradiction(file: ResolvedFile, remote: RemoteFile) -> Contradiction | None:
    """Return the contradiction between a listing and the known facts of a file; None if there is none."""
    theirs = remote.digest
    if file.digest and theirs and file.digest.algorithm == theirs.algorithm and file.digest != theirs:
        return Contradiction("digest", str(file.digest), str(theirs))
    if file.size is not None and remote.size is not None and file.size != remote.size:
        return Contradiction("size", str(file.size), str(remote.size))
    return None


def _contradicted(file: ResolvedFile, model: str, source: str, other: Contradiction) -> IntegrityError:
    return IntegrityError(
        f"the entry {model} contradicts its source: it says that `{shortened(file.path)}` has the {other.what} "
        f"{other.expected}, and {source} has {other.actual}",
        code=Code.ENTRY_CONTRADICTED,
        hints=["the entry is wrong, or the file was changed under its commit: tell the catalog's maintainer"],
        file=file.path,
        expected=other.expected,
        actual=other.actual,
    )


def _moved_on(file: ResolvedFile, model: str, source: str, other: Contradiction) -> str:
    return (
        f"{source} has another `{shortened(file.path)}` than {model} promises ({other.what} {other.actual}, expected"
        f" {other.expected}); only the promised bytes are taken [upstream_moved]"
    )


def _left_out(file: ResolvedFile, model: str, source: str, other: Contradiction) -> str:
    return (
        f"{source} is left out: it has another `{shortened(file.path)}` than the first source of {model}"
        f" ({other.what} {other.actual}, expected {other.expected})"
    )


def _deprecation(entry: Entry) -> tuple[str, ...]:
    if entry.deprecated is None:
        return ()
    instead = f"; use `{entry.deprecated.replacement}`" if entry.deprecated.replacement else ""
    return (f"{entry.id} is deprecated: {entry.deprecated.reason}{instead}",)
