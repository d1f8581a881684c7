"""A catalog of which the whole is on this machine: each version in a folder of its own, and the newest is used."""

import re
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from modelpm.api.folder_catalog import FolderCatalog
from modelpm.api.types import CatalogText
from modelpm.catalog.parse import parse_about
from modelpm.catalog.remote.base import Remote
from modelpm.catalog.remote.state import State
from modelpm.disk import explained, system
from modelpm.errors import Code, ModelpmError, NotFound
from modelpm.store.gc.leftovers import remove_tree

VERSION = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
"""The name of a version: a commit, or the SHA-256 of what it was made from."""


class CopiedCatalog(Remote):
    """A catalog elsewhere that is copied as a whole; ``State.digest`` names the version."""

    def ids(self) -> Iterable[str]:
        """As :meth:`modelpm.api.Catalog.ids`."""
        return self._copy.ids()

    def get(self, id: str) -> CatalogText:  # noqa: A002 - the contract's name
        """As :meth:`modelpm.api.Catalog.get`."""
        return self._copy.get(id)

    def about(self) -> CatalogText:
        """As :meth:`modelpm.api.Catalog.about`."""
        return self._copy.about()

    def stamps(self) -> Mapping[str, str]:
        """As :meth:`modelpm.api.Stamped.stamps`."""
        return self._copy.stamps()

    def update(self, *, hurried: bool = False) -> bool:
        """As :meth:`Remote.update`; the version before stays for processes that read it."""
        before = self.state.digest
        changed = super().update(hurried=hurried)
        if changed:
            kept = {before, self.state.digest}
            for path in list(self.folder.iterdir()):
                if path.name not in kept and VERSION.fullmatch(path.name.removesuffix(".new")):
                    remove_tree(path)
        return changed

    @property
    def _copy(self) -> FolderCatalog:
        version = self.state.digest
        if not self._has(version):
            hint = f"`modelpm catalog update {self.place.name}` brings it"
            what = f"the catalog `{self.place.name}` is not on this machine"
            raise NotFound(what, hints=[hint], code=Code.UNREADABLE_CATALOG)
        return FolderCatalog(self.folder / version)

    def _has(self, version: str) -> bool:
        return bool(version) and (self.folder / version).is_dir()

    def _draft(self, version: str) -> Path:
        """Return where a version is written before it is complete; the path does not exist."""
        draft = self.folder / f"{version}.new"
        remove_tree(draft)
        return draft

    def _complete(self, draft: Path, version: str, before: State) -> State:
        """Give a draft its place; return the state before, with the version and the names that are gone.

        Raises:
            ModelpmError: The draft is not a catalog.
        """
        names, folder = self._names(draft), self.folder / version
        remove_tree(folder)
        with explained(folder, "write"):
            system.replace(draft, folder)
        had = set(before.gone)
        with suppress(ModelpmError):  # it was the good copy; a user may have removed it
            had |= self._names(self.folder / before.digest) if before.digest else set()
        return replace(before, digest=version, gone=tuple(had - names))

    def _names(self, version: Path) -> set[str]:
        """Return the ids and aliases of a version."""
        folder = FolderCatalog(version)
        try:
            about = folder.about()
        except NotFound:
            raise self._not_a_catalog() from None
        return {*folder.ids(), *parse_about(about).aliases}

    @abstractmethod
    def _not_a_catalog(self) -> ModelpmError:
        """Return the error of a copy without ``catalog.toml``."""
