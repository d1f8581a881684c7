"""The library's verbs for catalogs: add, update, trust and remove them, and publish one."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelpm.api.stages import Work
from modelpm.config.edit import given_path
from modelpm.errors import ModelpmError, UsageError
from modelpm.library.arguments import as_list
from modelpm.library.services import Services
from modelpm.network.redact import redact_urls
from modelpm.operations.catalogs import CatalogList, Trust
from modelpm.results.catalogs import CatalogRow, ImportedModel, NewEntry, Published
from modelpm.results.report import Result
from modelpm.text.spec import UriSpec

if TYPE_CHECKING:  # an extra
    from modelpm.catalog.remote.publish import Publisher

_NEEDS = "signing a catalog needs python-tuf, which is not installed"


@dataclass(frozen=True, slots=True)
class CatalogVerbs:
    """Keeps the list of catalogs of a manager.

    Attributes:
        services: The services that it uses.
    """

    services: Services

    def list(self) -> tuple[CatalogRow, ...]:
        """Return the catalogs in the order in which modelpm asks them, without asking their servers."""
        services = self.services
        configured, found = {row.name: row for row in self._list().rows()}, []
        for name in services.catalogs.catalogs:
            if name in configured:
                found.append(configured[name])
                continue
            try:
                title = services.catalogs.about(name).title
            except ModelpmError:  # a problem of this catalog; a warning says so
                title = ""
            models = sum(full.startswith(f"{name}/") for full in services.catalogs.names())
            origin = str(services.registry.entry("catalog", name))
            found.append(CatalogRow(name, title, models, origin, "plugin"))
        return tuple(found)

    def add(
        self,
        name: str,
        at: str,
        *,
        root: str | Path | None = None,
        sha256: str = "",
        trust_on_first_use: bool = False,
        trusted: bool = False,
        user: str | None = None,
    ) -> Result[CatalogRow]:
        """Read a catalog and add it to the configuration; afterwards ``name/id`` works.

        Args:
            name: Its name here.
            at: A folder, ``https://host/catalog``, or a repository: ``git+https://…``, ``git@host:path``.
            root: The root of trust of a signed catalog.
            sha256: The digest of its ``index.json``; no other index is accepted.
            trust_on_first_use: Whether to believe the root of trust that the server offers now.
            trusted: Whether the catalog answers short names, without ``name/``.
            user: The user whom the audit log names.

        Raises:
            ModelpmError: It is not a catalog, cannot be read, or must not be trusted; nothing was changed.
        """
        self.services.config.check()
        trust = Trust(given_path(root, "--root") if root is not None else None, sha256, trust_on_first_use)
        row = self._list().add(name, at, trust, trusted=trusted, user=user)
        return Result(rows=(row,), warnings=self.services.warnings.taken())

    def remove(self, name: str, *, user: str | None = None) -> None:
        """Remove a catalog from the configuration; its installed models stay.

        Raises:
            NotFound: It is not configured.
        """
        self.services.config.check()
        self._list().remove(name, user=user)

    def trust(self, name: str, *, user: str | None = None) -> CatalogRow:
        """Let a catalog answer short names, after the catalogs before it.

        Raises:
            NotFound: It is not configured.
        """
        self.services.config.check()
        return self._list().trust(name, user=user)

    def update(self, names: str | Sequence[str] = (), *, user: str | None = None) -> Result[CatalogRow]:
        """Refresh remote catalogs now; if one fails, the others are still refreshed.

        Args:
            names: Names of catalogs, or one name; none means all.
            user: The user whom the audit log names.

        Raises:
            NotFound: A catalog is not configured.
        """
        result = self._list().update(as_list(names)[0], user=user)
        return result.with_warnings(self.services.warnings.taken())

    def new_entry(self, spec: str, *, id: str = "", out: str | Path | None = None) -> NewEntry:  # noqa: A002
        """Make a catalog entry from a source's listing and the headers of its files.

        Args:
            spec: A reference such as ``hf://owner/repo@revision``; with ``:VARIANT``, only that variant.
            id: Its id in the catalog; by default it is made from the repository's name.
            out: The file to write, or the folder of a catalog; None writes nothing.

        Raises:
            UsageError: The spec names a model of a catalog, or the id is malformed.
            ModelpmError: The source fails, or the file exists.
        """
        import tomli_w

        from modelpm.lockfile.requirement import Requirement
        from modelpm.operations.new_entry import entry_of, write_entry
        from modelpm.operations.show import show

        requirement = Requirement(spec)
        if not isinstance(requirement.spec, UriSpec):
            raise UsageError(f"`{spec}` names a model of a catalog", hints=["write a reference: hf://owner/repo"])
        resolver = self.services.resolver()
        details = show(resolver, self.services.measurer(resolver), requirement, ())
        variant = resolver.listings.registry.reference(requirement.spec).quantization
        values = entry_of(details, id, variant)
        path = write_entry(values, given_path(out, "--out")) if out is not None else None
        return NewEntry(values["id"], tomli_w.dumps(values), path, self.services.warnings.taken())

    def import_gallery(self, gallery: str | Path, folder: str | Path) -> Result[ImportedModel]:
        """Convert a gallery of LocalAI into a catalog's folder; return a row for each model.

        Args:
            gallery: The YAML file, or its address.
            folder: A new or empty folder.

        Raises:
            UsageError: It is not a gallery, or PyYAML is not installed.
            ModelpmError: It cannot be read, or the folder is not empty.
        """
        from modelpm.catalog.gallery.read import entries_in
        from modelpm.operations.import_gallery import gallery_bytes, import_gallery

        place, shown = given_path(folder, "DIR"), redact_urls(str(gallery))
        with self.services.bus.during(Work.IMPORTING, shown):
            data = gallery_bytes(str(gallery), self.services.registry)
            rows = import_gallery(entries_in(data, shown), place)
        return Result(rows=rows, warnings=self.services.warnings.taken())

    def build(self, folder: str | Path) -> Path:
        """Write the index of a catalog, for a web server, and return its path.

        Args:
            folder: The catalog.

        Raises:
            ModelpmError: It is not a catalog, or an entry is invalid.
        """
        from modelpm.api.folder_catalog import FolderCatalog
        from modelpm.catalog.index import NAME, published
        from modelpm.disk.atomic import write_atomic

        place = given_path(folder, "DIR")
        with self.services.bus.during(Work.CHECKING, str(place)):
            index = published(FolderCatalog(place))
        write_atomic(place / NAME, index)
        return place / NAME

    def begin(self, folder: str | Path, keys: str | Path | None = None) -> Published:
        """Make keys and a root of trust for a catalog, and sign it.

        Args:
            folder: The catalog.
            keys: A new folder for the keys; by default the catalog's path with ``-keys``.

        Raises:
            ModelpmError: It is already signed, or invalid.
        """
        return self._publisher(folder, keys).begin()

    def sign(self, folder: str | Path, keys: str | Path | None = None, *, new_keys: Collection[str] = ()) -> Published:
        """Build and sign the index of a changed catalog.

        Args:
            folder: The catalog.
            keys: As of :meth:`begin`.
            new_keys: Roles whose stolen or lost key is replaced: ``root``, ``targets``, ``snapshot``, ``timestamp``.
                This needs the old key of the root.

        Raises:
            ModelpmError: It was never signed, a key is missing, or it is invalid.
        """
        return self._publisher(folder, keys).sign(new_keys)

    def refresh(self, folder: str | Path, keys: str | Path | None = None) -> Published:
        """Renew the short-lived signatures, in a daily job; arguments as of :meth:`begin`.

        Raises:
            ModelpmError: It was never signed, or a key is missing.
        """
        return self._publisher(folder, keys).refresh()

    def _publisher(self, folder: str | Path, keys: str | Path | None) -> "Publisher":
        try:
            from modelpm.catalog.remote.publish import Publisher
        except ImportError:
            raise UsageError(_NEEDS, hints=["pip install 'modelpm[tuf]'"]) from None
        place = given_path(folder, "DIR")
        return Publisher(
            place, given_path(keys, "--keys") if keys is not None else place.with_name(f"{place.name}-keys")
        )

    def _list(self) -> CatalogList:
        from modelpm.library.wiring import make_remotes, places_of

        services = self.services
        config, bus = services.config, services.bus
        places, remotes = places_of(config, bus), make_remotes(config, bus)
        return CatalogList(config.paths.config, places, remotes, services.registry, bus)
