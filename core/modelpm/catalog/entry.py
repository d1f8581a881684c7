"""A model in a catalog: entry → release → variant → file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

UNPACK = ("zip", "tar", "tar.gz", "tar.xz", "tar.bz2", "tar.zst", "gz", "zst", "join")
"""What ``unpack`` of a file may say without another plugin."""
JOIN = "join"


@dataclass(frozen=True, slots=True)
class About:
    """The metadata of a catalog.

    Attributes:
        title: For humans, or empty.
        aliases: Other names for models, also with a colon as other tools write them (``qwen3:8b``): name → id.
    """

    title: str
    aliases: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CatalogFile:
    """One file of a variant.

    Attributes:
        path: Relative POSIX path, checked.
        size: Bytes, or None if it is learned from the source's listing.
        sha256: 64 lower-case hexadecimal digits, or None if it is learned.
        sources: References in order of preference; empty means the variant's upstream and the path.
        role: What it is for, e.g. ``projector``; empty if its name tells.
        unpack: Of an archive: its kind, such as ``zip``; the model has its members. ``join`` for a part of a file.
        into: Of a part: the path of the whole file.
    """

    path: str
    size: int | None
    sha256: str | None
    sources: tuple[str, ...]
    role: str = ""
    unpack: str = ""
    into: str = ""


@dataclass(frozen=True, slots=True)
class Variant:
    """One form in which a release exists, e.g. one quantization.

    Attributes:
        name: Unique in the release.
        format: E.g. ``gguf``, ``safetensors``.
        quantization: E.g. ``Q4_K_M``; empty if it does not apply.
        min_memory: Bytes of memory it takes to run, or None if the catalog does not say.
        upstream: Reference of the listing the files are from; empty if every file has sources.
        files: Empty if the upstream's listing tells: then the reference and the globs choose among its files.
        include: Globs of which one must match a file of the listing.
        exclude: Globs of which none may match.
    """

    name: str
    format: str
    quantization: str
    min_memory: int | None
    upstream: str
    files: tuple[CatalogFile, ...]
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @property
    def size(self) -> int | None:
        """Bytes of all files, or None if the size of one is not known."""
        sizes = [file.size for file in self.files] or [None]
        return None if None in sizes else sum(size for size in sizes if size is not None)


@dataclass(frozen=True, slots=True)
class Release:
    """One version of a model.

    Attributes:
        version: PEP 440, as written.
        default_variant: Name of the recommended variant.
        variants: At least one.
        yanked: Why it is not newly chosen; empty means it is.
        blocked: Why it is refused even where it is locked; empty means it is not.
    """

    version: str
    default_variant: str
    variants: tuple[Variant, ...]
    yanked: str
    blocked: str


@dataclass(frozen=True, slots=True)
class Deprecated:
    """Why a model should not be used any more, and the id of what to use instead, or an empty text."""

    reason: str
    replacement: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One model of a catalog.

    Attributes:
        catalog: The name under which the catalog is known here.
        id: Unique in the catalog.
        title: For humans; the id if there is none.
        description: One or two sentences, or empty.
        license: SPDX expression, or empty if unknown.
        homepage: A reference or URL, or empty.
        tasks: E.g. ``chat``, ``embedding``.
        tags: Words to find it by.
        releases: At least one, as ordered in the file.
        deprecated: Set where it should not be used any more.
        runtime: Settings for the programs that run it: shown and passed on, never interpreted.
    """

    catalog: str
    id: str
    title: str
    description: str
    license: str
    homepage: str
    tasks: tuple[str, ...]
    tags: tuple[str, ...]
    releases: tuple[Release, ...]
    deprecated: Deprecated | None = None
    runtime: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def name(self) -> str:
        """The full name, ``catalog/id``."""
        return f"{self.catalog}/{self.id}"

    def references(self) -> frozenset[str]:
        """Return every place that it names for files."""
        variants = [variant for release in self.releases for variant in release.variants]
        files = [file for variant in variants for file in variant.files]
        return frozenset({v.upstream for v in variants if v.upstream} | {s for file in files for s in file.sources})
