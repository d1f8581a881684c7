"""From a source's listing to a model whose every file is known. Pure: the caller passes the listing in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from modelpm.api.inspection import Facts
from modelpm.api.types import Reference, Snapshot
from modelpm.catalog.entry import JOIN
from modelpm.errors import Code, IntegrityError, UsageError
from modelpm.lockfile.file import MAX_LOCK_BYTES
from modelpm.lockfile.requirement import Requirement
from modelpm.resolution.choice import Asked, select
from modelpm.resolution.resolve import ResolvedFile, ResolvedModel, license_of, listed_file
from modelpm.text.untrusted import check_paths, shortened

_LINES = 170  # bytes of a file's lines in a lock, without its path and its sources


def asked_of(reference: Reference, snapshot: Snapshot, requirement: Requirement, pin: str = "") -> Asked:
    """Return the selection from a listing.

    Args:
        reference: The requested reference.
        snapshot: Its listing.
        requirement: Has the options.
        pin: The locked variant of a bare reference, if any.
    """
    return Asked(
        str(replace(reference, file="", quantization="")),
        reference.file or _only_file(reference, snapshot),
        reference.quantization,
        requirement.include,
        requirement.exclude,
        requirement.without,
        pin=pin,
    )


def from_listing(
    reference: Reference,
    snapshot: Snapshot,
    *,
    name: str,
    requirement: Requirement,
    pin: str = "",
    headers: Mapping[str, Facts] | None = None,
) -> ResolvedModel:
    """Return the model that a source lists.

    Args:
        reference: The requested reference.
        snapshot: Its listing.
        name: The model's name.
        requirement: The requirement for the lock.
        pin: The locked variant of a bare reference, if any.
        headers: Facts from headers, by path, for files whose names tell too little.

    Raises:
        IntegrityError: A file name is hostile.
        NotFound: Nothing matches.
        UsageError: A variant must be chosen.
    """
    asked = asked_of(reference, snapshot, requirement, pin)
    chosen = select(snapshot.files, asked, headers or {})
    _check_taken([f.path for f in chosen.files])
    files = tuple(replace(listed_file(f, snapshot), role=str(chosen.roles[f.path])) for f in chosen.files)
    files = _with_parts(files, chosen.joined)
    _check_fits_a_lock(files, asked.what)
    license_, warned = license_of(snapshot.license, str(snapshot.reference))
    return ResolvedModel(
        name=name,
        requirement=requirement,
        files=files,
        upstream=str(snapshot.reference),
        variant=chosen.variant,
        format=chosen.format,
        license=license_,
        entry_point=chosen.entry_point,
        pinned=snapshot.reference,
        warnings=(*chosen.warnings, *warned),
        notes=chosen.notes,
    )


def _with_parts(files: Sequence[ResolvedFile], joined: Mapping[str, str]) -> tuple[ResolvedFile, ...]:
    """Return the files, with the parts among them marked for joining, in the order of the parts."""
    parts = {file.path: replace(file, unpack=JOIN, into=joined[file.path]) for file in files if file.path in joined}
    return (*(file for file in files if file.path not in parts), *(parts[path] for path in joined))


def _only_file(reference: Reference, snapshot: Snapshot) -> str:
    """Return the file if the reference names one file, not a folder or repository that holds one."""
    only = snapshot.files[0] if len(snapshot.files) == 1 else None
    is_itself = only and only.reference and only.reference.path == reference.path.partition("#")[0]
    return only.path if only and is_itself else ""


def _check_taken(paths: Sequence[str]) -> None:
    """Check the names of the selected files, and of no others.

    Raises:
        IntegrityError: Code ``hostile_name``; says how to continue without the file.
    """
    try:
        check_paths(paths)
    except IntegrityError as error:
        hints = ["leave the file out with --exclude GLOB, or take what you need with --include GLOB", *error.hints]
        raise IntegrityError(error.message, code=error.code, hints=hints, **error.details) from None


def lock_size(files: Iterable[ResolvedFile]) -> int:
    """Return the approximate bytes of files in a lock."""
    return sum(_LINES + len(file.path) + sum(map(len, file.sources)) for file in files)


def _check_fits_a_lock(files: Sequence[ResolvedFile], what: str) -> None:
    """Refuse a model that no lock can hold, before any download.

    Raises:
        UsageError: Code ``too_many_files``.
    """
    if lock_size(files) > MAX_LOCK_BYTES:
        raise UsageError(
            f"{shortened(what)} has {len(files):,} files to take, more than a lock holds",
            code=Code.TOO_MANY_FILES,
            hints=["take a part of them with --include GLOB"],
        )
