"""Open a catalog elsewhere by what the configuration says of it; what it needs is imported when it is needed."""

from dataclasses import dataclass
from pathlib import Path

from modelpm.api.events import Bus
from modelpm.api.types import Context
from modelpm.catalog.place import Medium, Place
from modelpm.catalog.remote.base import Remote
from modelpm.errors import UsageError


@dataclass(frozen=True, slots=True)
class Remotes:
    """Opens catalogs elsewhere.

    Attributes:
        cache: Where their copies are, each in a folder of its name.
        roots: Where the roots of trust are, which no cache may lose.
        bus: Is told of waits, and warned.
    """

    cache: Path
    roots: Path
    bus: Bus

    def open(self, place: Place, context: Context) -> Remote:
        """Return a catalog, without asking for anything.

        Raises:
            UsageError: It is signed, and python-tuf is not installed.
        """
        folder = self.cache / place.name
        if place.medium is Medium.GIT:
            from modelpm.catalog.remote.git import GitCatalog

            return GitCatalog(place, folder, context, self.bus)
        if place.medium is Medium.GALLERY:
            from modelpm.catalog.remote.gallery import GalleryCatalog

            return GalleryCatalog(place, folder, context, self.bus)
        if not place.root:
            from modelpm.catalog.remote.web import WebCatalog

            return WebCatalog(place, folder, context, self.bus)
        try:
            from modelpm.catalog.remote.signed import SignedCatalog
        except ImportError:
            why = f"the catalog `{place.name}` is signed, and needs python-tuf, which is not installed"
            raise UsageError(why, hints=["pip install 'modelpm[tuf]'"]) from None
        return SignedCatalog(place, folder, context, self.bus, self.root_of(place.name))

    def root_of(self, name: str) -> Path:
        """Return where the root of trust of a catalog is."""
        return self.roots / f"{name}.json"
