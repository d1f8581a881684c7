"""The list of catalogs: add, remove, trust and update one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from modelpm.api.events import Bus
from modelpm.api.folder_catalog import FolderCatalog
from modelpm.catalog.opened import Opened
from modelpm.catalog.place import Medium, Place, is_url
from modelpm.catalog.remote.opening import Remotes
from modelpm.config.edit import unset_setting, write_value
from modelpm.disk import make_folder
from modelpm.disk.atomic import write_atomic
from modelpm.disk.reading import read_bytes
from modelpm.errors import Code, ModelpmError, NotFound, UsageError
from modelpm.events.acts import acting
from modelpm.http import address
from modelpm.plugins.registry import Registry
from modelpm.results.catalogs import CatalogRow
from modelpm.results.report import Result
from modelpm.store.gc.leftovers import remove_marker, remove_tree
from modelpm.text.suggest import suggest
from modelpm.text.untrusted import ID_RULE, MODEL_ID, printable

_MAX_ROOT = 512_000
_SHORT = 12


@dataclass(frozen=True, slots=True)
class Trust:
    """The protection of a new catalog against tampering: at most one of these.

    Attributes:
        root: The root of trust of a signed catalog, as a file.
        sha256: The digest of the only index to accept.
        first_use: Whether to believe the root that the server offers now.
    """

    root: Path | None = None
    sha256: str = ""
    first_use: bool = False


@dataclass(frozen=True, slots=True)
class CatalogList:
    """The catalogs of the configuration.

    Attributes:
        path: The user's ``config.toml``.
        places: Where the configured catalogs are, by name.
        remotes: Opens remote catalogs.
        registry: Knows how the network is used.
        bus: Is told of acts, and warned.
    """

    path: Path
    places: Mapping[str, Place]
    remotes: Remotes
    registry: Registry
    bus: Bus

    def rows(self) -> list[CatalogRow]:
        """Return every configured catalog, from the copies on this machine."""
        return [self._row(place) for place in self.places.values()]

    def add(self, name: str, at: str, trust: Trust, *, trusted: bool = False, user: str | None = None) -> CatalogRow:
        """Read a catalog and add it to the configuration.

        Args:
            name: Its name here.
            at: A folder, a URL, or a repository.
            trust: Its protection against tampering.
            trusted: Whether it answers short names.
            user: The user whom the audit log names.

        Raises:
            UsageError: The name is taken or malformed, or this is not a catalog.
            ModelpmError: It cannot be read, or must not be trusted; nothing was changed.
        """
        self._check_name(name)
        if sum((trust.root is not None, bool(trust.sha256), trust.first_use)) > 1:
            raise UsageError("--root, --sha256 and --trust-on-first-use exclude each other")
        if not is_url(at):
            return self._add_folder(name, at, trust, user)
        value: dict[str, Any] = {"url": at, **({"sha256": trust.sha256.lower()} if trust.sha256 else {})}
        place = Place.of(name, {**value, "root": "?" if trust.root or trust.first_use else ""})
        _check_address(place, trust)
        root = self._root(place, trust)
        if root is not None:
            value["root"] = sha256(root).hexdigest()
        value |= {"trusted": True} if trusted else {}
        place = Place.of(name, value)
        details = {"at": place.at, "root": place.root, "sha256": place.sha256, "first_use": trust.first_use}
        with acting(self.bus, "catalog.add", resource_type="catalog", resource_id=name, user=user, details=details):
            remove_tree(self.remotes.cache / name)
            try:
                if root is not None:
                    make_folder(self.remotes.roots, below=self.remotes.roots.parent)
                    write_atomic(self.remotes.root_of(name), root)
                self.remotes.open(place, self.registry.context("catalog", name)).update()
            except ModelpmError:
                remove_marker(self.remotes.root_of(name))
                remove_tree(self.remotes.cache / name)
                raise
            self._write(name, value)
        return self._row(place)

    def remove(self, name: str, *, user: str | None = None) -> None:
        """Remove a catalog and its copy from the configuration; its installed models stay.

        Raises:
            NotFound: It is not configured.
        """
        self._configured(name)
        with acting(self.bus, "catalog.remove", resource_type="catalog", resource_id=name, user=user):
            unset_setting(self.path, f"catalogs.{name}")
            remove_marker(self.remotes.root_of(name))
            remove_tree(self.remotes.cache / name)

    def trust(self, name: str, *, user: str | None = None) -> CatalogRow:
        """Let a remote catalog answer short names.

        Raises:
            NotFound: It is not configured.
        """
        place = self._configured(name)
        if not place.trusted:
            with acting(self.bus, "catalog.trust", resource_type="catalog", resource_id=name, user=user):
                write_value(self.path, ["catalogs", name, "trusted"], value=True)
        return self._row(Place(name, place.at, place.medium, place.sha256, place.root))

    def update(self, names: Sequence[str], *, user: str | None = None) -> Result[CatalogRow]:
        """Refresh the copies of remote catalogs now; if one fails, the others are still refreshed.

        Args:
            names: Which; none means all.
            user: The user whom the audit log names.

        Raises:
            NotFound: One is not configured.
        """
        rows, errors = [], []
        for place in [self._configured(name) for name in names] or self.places.values():
            if not place.is_remote:
                rows += [self._row(place, "unchanged")] if names else []
                continue
            try:
                with acting(
                    self.bus, "catalog.update", resource_type="catalog", resource_id=place.name, user=user
                ) as act:
                    changed = self.remotes.open(place, self.registry.context("catalog", place.name)).update()
                    act.details["changed"] = changed
            except ModelpmError as error:
                error.details.setdefault("catalog", place.name)
                errors.append(error)
            else:
                rows.append(self._row(place, "updated" if changed else "unchanged"))
        return Result(rows=tuple(rows), errors=tuple(errors))

    def _add_folder(self, name: str, at: str, trust: Trust, user: str | None) -> CatalogRow:
        if trust != Trust():
            raise UsageError("--root, --sha256 and --trust-on-first-use are for remote catalogs; this is a folder")
        folder = Path(at).expanduser().absolute()
        opened = Opened(name, lambda: FolderCatalog(folder))
        if not (folder / "catalog.toml").exists():
            raise UsageError(
                f"{printable(str(folder))} is not a catalog: it has no catalog.toml",
                code=Code.NOT_A_CATALOG,
                hints=_instead(folder),
            )
        opened.ids()
        details = {"at": str(folder)}
        with acting(self.bus, "catalog.add", resource_type="catalog", resource_id=name, user=user, details=details):
            write_value(self.path, ["catalogs", name], str(folder))
        return self._row(Place.of(name, str(folder)))

    def _check_name(self, name: str) -> None:
        if not MODEL_ID.fullmatch(name):
            raise UsageError(f"`{printable(name)}` cannot be the name of a catalog: it must be {ID_RULE}")
        if name in self.places:
            raise UsageError(
                f"there is a catalog `{name}` already, at {self.places[name].at}",
                code=Code.NAME_TAKEN,
                hints=[f"take another name, or remove that one first: modelpm catalog remove {name}"],
            )
        if name in self.registry.names("catalog"):
            raise UsageError(
                f"the name `{name}` is taken by a catalog that comes with a plugin",
                code=Code.NAME_TAKEN,
                hints=["take another name"],
            )

    def _configured(self, name: str) -> Place:
        if name in self.places:
            return self.places[name]
        if name in self.registry.names("catalog"):
            raise UsageError(
                f"the catalog `{name}` comes with a plugin, and is not in the configuration",
                hints=["uninstall the plugin, or leave it out: MODELPM_DISABLE_PLUGINS=DISTRIBUTION"],
            )
        hints = suggest(name, self.places) or ["`modelpm catalog list` lists the catalogs"]
        raise NotFound(f"no catalog `{printable(name)}` is configured", code=Code.UNKNOWN_CATALOG, hints=hints)

    def _root(self, place: Place, trust: Trust) -> bytes | None:
        """Return the root of trust for a new catalog; None if it is not signed."""
        if trust.root is not None:
            try:
                return read_bytes(trust.root, _MAX_ROOT, follow=True)
            except OSError as error:
                raise UsageError(f"--root {trust.root} cannot be read: {error.strerror}") from error
        if place.medium is not Medium.WEB or trust.sha256:
            return None
        from modelpm.catalog.remote.server import Server

        server = Server(self.registry.context("catalog", place.name))
        try:
            root = server.get(f"{place.at}/metadata/1.root.json", cap=_MAX_ROOT).body
        except NotFound as error:
            if not trust.first_use:
                return None
            raise NotFound(f"{place.at} is not signed: {error.message}", hints=["leave the option out"]) from error
        finally:
            server.close()
        digest = sha256(root).hexdigest()
        if not trust.first_use:
            raise UsageError(
                f"the catalog at {place.at} is signed, and nothing says by whom",
                hints=[
                    "get its root of trust from its publisher by another way, and give it: --root FILE",
                    f"or believe the one that the server offers now ({digest[:_SHORT]}…): --trust-on-first-use",
                ],
            )
        self.bus.warn(
            f"the root of trust that {place.at} offers now is believed: its sha256 is {digest}; "
            "compare it with what the publisher says"
        )
        return root

    def _write(self, name: str, value: Mapping[str, Any]) -> None:
        import tomlkit

        table = tomlkit.inline_table()
        table.update(value)
        write_value(self.path, ["catalogs", name], table)

    def _row(self, place: Place, state: str = "") -> CatalogRow:
        opened = Opened(place.name, lambda: FolderCatalog(Path(place.at).expanduser()), place)
        age = ""
        if place.is_remote:
            remote = self.remotes.open(place, self.registry.context("catalog", place.name))
            opened, age = Opened(place.name, lambda: remote, place), remote.age
        try:
            title, models = opened.about().title, len(opened.ids())
        except ModelpmError:  # a warning or doctor says why
            title, models = "", 0
        short = place.guarantee or "local"
        return CatalogRow(place.name, title, models, place.at, short, place.trusted, age, state)


def _instead(path: Path) -> list[str]:
    """Return what to do with a path that is not the folder of a catalog."""
    if path.suffix in {".yaml", ".yml"} and path.is_file():
        return [f"a gallery is used by its URL, or made a catalog's folder: modelpm catalog import {path} DIR"]
    return ["a catalog is a folder with `catalog.toml` and `models/<id>.toml`, or a URL"]


def _check_address(place: Place, trust: Trust) -> None:
    """Refuse an address with secrets, which belong in no file, and options that its medium does not have."""
    if place.medium is Medium.GIT and trust != Trust():
        raise UsageError("--root, --sha256 and --trust-on-first-use are for catalogs over https; this is a repository")
    if place.medium is Medium.GALLERY and (trust.root or trust.first_use):
        raise UsageError("--root and --trust-on-first-use are for signed catalogs; this is a gallery, use --sha256")
    if trust.sha256 and not (len(trust.sha256) == 64 and set(trust.sha256.lower()) <= set("0123456789abcdef")):  # noqa: PLR2004
        raise UsageError("--sha256 must be 64 hexadecimal digits: the digest of the catalog's index.json")
    if not place.at.startswith(("http://", "https://")):
        return
    found = address(place.at)
    if found.username is not None or found.is_signed or found.has_secret:
        raise UsageError(
            f"the address at {found.origin} holds a user, password or token, which belongs in no file",
            hints=[f'name it in the configuration: [credentials."{found.origin}"] token-env = "NAME"'],
        )
