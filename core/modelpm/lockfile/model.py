"""The locked model: one model, completely pinned."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from types import MappingProxyType
from typing import Any

from modelpm.lockfile.requirement import Requirement

MAX_LICENSE = 200  # characters: SPDX expressions are short, and what is longer is a text
_ARCHIVE = "archive:"  # what the source of a file begins with that comes out of an archive
_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class LockedFile:
    """One file of a locked model.

    Attributes:
        path: Relative POSIX path, checked.
        size: Bytes.
        sha256: 64 lower-case hexadecimal digits.
        sources: References, in order of preference; never locations.
        role: What it is for, e.g. ``weights`` or ``projector``; empty in a lock of an earlier modelpm.
        extra: Keys of a newer modelpm, kept.
    """

    path: str
    size: int
    sha256: str
    sources: tuple[str, ...]
    role: str = ""
    extra: Mapping[str, Any] = field(default_factory=lambda: _EMPTY, hash=False)


@dataclass(frozen=True, slots=True)
class LockedArchive:
    """An archive from which files of a locked model come.

    Attributes:
        path: Relative POSIX path, checked; it appears in no view.
        size: Bytes.
        sha256: 64 lower-case hexadecimal digits.
        sources: References, in order of preference.
        unpack: The kind of archive: ``zip``, ``tar.gz``, …; ``join`` for a part of a file.
        into: Of a part: the path of the whole file.
        extra: Keys of a newer modelpm, kept.
    """

    path: str
    size: int
    sha256: str
    sources: tuple[str, ...]
    unpack: str
    into: str = ""
    extra: Mapping[str, Any] = field(default_factory=lambda: _EMPTY, hash=False)


@dataclass(frozen=True, slots=True, init=False, repr=False, eq=False)  # start-up: only the kinds below are made
class Model:
    """The facts of a model besides its files; the attributes are keys of a lock's block, empty if none apply."""

    name: str
    requirement: Requirement
    _: KW_ONLY
    catalog: str = ""
    id: str = ""
    release: str = ""
    variant: str = ""
    upstream: str = ""
    format: str = ""
    license: str = ""
    allow: tuple[str, ...] = ()  # what it may hold that can run code: `pickle`
    signatures: tuple[str, ...] = ()  # who signed it, as an attestor said when it was locked or installed
    entry_point: str = ""  # what a program opens: a file, a folder, or `.`; empty in a lock of an earlier modelpm

    @property
    def model(self) -> str:
        """The catalog's full name, or the spec."""
        return f"{self.catalog}/{self.id}" if self.catalog else self.requirement.text

    def facts(self) -> dict[str, Any]:
        """Return the attributes that every kind of model has."""
        return {key: getattr(self, key) for key in Model.__slots__}


@dataclass(frozen=True, slots=True)
class LockedModel(Model):
    """One model, completely pinned."""

    files: tuple[LockedFile, ...]
    groups: tuple[str, ...] = ()
    archives: tuple[LockedArchive, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=lambda: _EMPTY, hash=False)

    @property
    def digest(self) -> str:
        """The identity that no mirror and no catalog changes."""
        return m1(self.files)

    @property
    def downloads(self) -> tuple[LockedFile, ...]:
        """What is fetched by itself: the files that come out of no archive, and the archives."""
        own = [file for file in self.files if not archive_of(file.sources)]
        return (*own, *(LockedFile(a.path, a.size, a.sha256, a.sources) for a in self.archives))

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def m1(files: Iterable[LockedFile]) -> str:
    """Return ``m1:`` and the SHA-256 over the lines ``SHA256␠␠SIZE␠␠PATH``, sorted by the path's UTF-8 bytes."""
    import hashlib  # start-up: not every command asks for the digest

    lines = (f"{f.sha256}  {f.size}  {f.path}\n" for f in sorted(files, key=lambda f: f.path.encode()))
    return "m1:" + hashlib.sha256("".join(lines).encode()).hexdigest()


def archive_of(sources: Sequence[str]) -> str:
    """Return the path of the archive that sources name; empty if they name none."""
    first = sources[0] if sources else ""
    return first.removeprefix(_ARCHIVE).partition("#")[0] if first.startswith(_ARCHIVE) else ""


def archive_source(archive: str, member: str) -> str:
    """Return the source of a file that comes out of an archive."""
    return f"{_ARCHIVE}{archive}#{member}"
