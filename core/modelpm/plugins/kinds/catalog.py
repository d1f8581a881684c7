"""A catalog: names models. One that fails is passed over, and the next one is asked."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from modelpm.api.kinds import Catalog, Recognizer, Stamped
from modelpm.api.types import CatalogText, Context, KnownFile
from modelpm.plugins.guard import Guarded, Types, signed
from modelpm.plugins.kinds import Kind, Trust

_R = TypeVar("_R")


def modelpm_catalog(name: str, context: Context) -> Catalog | None:
    """Open the catalog ``name``. Group ``modelpm.catalog.v1``."""


class GuardedCatalog(Guarded[Catalog]):
    """A catalog."""

    __slots__ = ()
    METHODS = ("ids", "get", "about")

    def ids(self) -> Iterable[str]:
        """As :meth:`modelpm.api.Catalog.ids`."""
        return self._ask_all(lambda catalog: catalog.ids(), str, "id")

    def get(self, id: str) -> CatalogText:  # noqa: A002 - the contract's name
        """As :meth:`modelpm.api.Catalog.get`."""
        return self._ask(lambda catalog: catalog.get(id), CatalogText, "entry")

    def about(self) -> CatalogText:
        """As :meth:`modelpm.api.Catalog.about`."""
        return self._ask(lambda catalog: catalog.about(), CatalogText, "description of the catalog")

    def stamps(self) -> Mapping[str, str] | None:
        """As :meth:`modelpm.api.Stamped.stamps`; None if the plugin keeps no stamps."""
        made = self.made
        if not isinstance(made, Stamped):
            return None
        stamps = self._ask(lambda _: made.stamps(), Mapping, "stamps")
        return {str(id_): str(stamp) for id_, stamp in stamps.items()}

    def recognize(self, sha256: str) -> Iterable[KnownFile]:
        """As :meth:`modelpm.api.Recognizer.recognize`; empty if the plugin knows no digests."""
        made = self.made
        if not isinstance(made, Recognizer):
            return ()
        return self._ask_all(lambda _: made.recognize(sha256), KnownFile, "known file")

    def _ask(self, call: Callable[[Catalog], _R], wanted: Types = object, what: str = "") -> _R:
        def asked() -> _R:
            with signed(self.entry):
                return super(GuardedCatalog, self)._ask(call, wanted, what)

        return self.waits.bounded(self.entry, "a question to the catalog", asked)


KIND = Kind("catalog", "catalog", modelpm_catalog, GuardedCatalog.of, Trust.OPEN)
