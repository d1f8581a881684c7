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
        models: The number of its models, in the copy of this machine.
        origin: Its folder or address, or the plugin that ships it.
        guarantee: ``signed``, ``pinned``, ``https``, ``git``, ``local`` or ``plugin``.
        trusted: Whether it answers short names.
        age: When the copy of a remote catalog was last the newest; empty if there is none.
        state: ``updated`` or ``unchanged``, after an update.
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
    """A new entry for a catalog.

    Attributes:
        id: Of the model.
        toml: The entry.
        path: The file; None if it was not written.
        warnings: The warnings.
    """

    id: str
    toml: str
    path: Path | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImportedModel:
    """The import of one model of a gallery.

    Attributes:
        name: Its name in the gallery.
        id: Its id in the catalog; empty if it has none.
        reason: Why it was left out; empty if it was imported.
        findings: The findings of ``catalog audit`` for its entry, without remarks.
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
        root_file: The file of that root.
        index: SHA-256 of the index.
        until: When the first signature expires.
        warnings: What the publisher must do soon.
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
        id: Its id in the catalog; for a source's search, the text after the scheme.
        catalog: The catalog, or empty if a source found it.
        spec: The spec that installs it.
        title: Its title.
        license: SPDX expression, or empty.
        tasks: E.g. ``chat``.
        variants: The names of its variants, the recommended one first.
        variant: The variant that fits the search best; empty if unknown.
        bytes: Its size, or None if unknown.
        installed: Whether some variant of it is installed.
        downloads: Recent downloads, or None if unknown.
        description: One or two sentences, or empty.
        deprecated: Whether its publisher advises against it.
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
