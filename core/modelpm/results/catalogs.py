"""The results of verbs about catalogs: frozen values whose attributes are the keys of the command line's rows."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class CatalogRow:
    """A catalog.

    Attributes:
        name: Its name here.
        title: Its own title, or empty.
        models: How many it has, as far as this machine knows.
        origin: Its folder or address, or the plugin that ships it.
        guarantee: ``signed``, ``pinned``, ``https``, ``git``, ``local`` or ``plugin``.
        trusted: Whether it answers names that do not say the catalog.
        age: When the copy of a remote catalog was last the newest; empty if there is none.
        state: ``updated`` or ``unchanged``, where it was asked for.
    """

    name: str
    title: str
    models: int
    origin: str
    guarantee: str
    trusted: bool = True
    age: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry that was made for a catalog.

    Attributes:
        id: Of the model.
        toml: The entry.
        path: Where it was written; None for nowhere.
        warnings: What went wrong without stopping it.
    """

    id: str
    toml: str
    path: Path | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImportedModel:
    """What became of a model of a gallery.

    Attributes:
        name: As the gallery has it.
        id: Its id in the catalog; empty if it has none.
        reason: Why it was left out; empty if it was imported.
        findings: What `catalog audit` says of its entry, remarks aside.
    """

    name: str
    id: str
    reason: str = ""
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Published:
    """A catalog that was signed.

    Attributes:
        version: Of the newest timestamp.
        root: SHA-256 of the first root of trust, which clients pin.
        root_file: Where that root is.
        index: SHA-256 of the index.
        until: When the first signature runs out.
        warnings: What must be done soon.
    """

    version: int
    root: str
    root_file: Path
    index: str
    until: datetime
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A model that a search found.

    Attributes:
        id: Its id in the catalog; of a source's search, what follows the scheme.
        catalog: The catalog, or empty if a source found it.
        spec: What installs it.
        title: For humans.
        license: SPDX expression, or empty.
        tasks: E.g. ``chat``.
        variants: The names of all, the recommended one first.
        variant: The one that fits what was asked for best; empty if unknown.
        bytes: Its size, or None if unknown.
        installed: Whether some variant of it is installed.
        downloads: How often it was downloaded lately, or None if unknown.
        description: One or two sentences, or empty.
        deprecated: Whether it should not be used any more.
    """

    id: str
    catalog: str
    spec: str
    title: str
    license: str
    tasks: tuple[str, ...]
    variants: tuple[str, ...] = ()
    variant: str = ""
    bytes: int | None = None
    installed: bool = False
    downloads: int | None = None
    description: str = ""
    deprecated: bool = False
