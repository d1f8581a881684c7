"""One catalog, opened when it is first needed; what its plugin raises becomes a ``PluginError``."""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

from modelpm.api.kinds import Catalog, Recognizer, Stamped
from modelpm.api.types import CatalogText, Finding, KnownFile
from modelpm.catalog.card import Card
from modelpm.catalog.entry import About, Entry
from modelpm.catalog.parse import parse_about, parse_entry
from modelpm.catalog.place import Place
from modelpm.errors import Code, Denied, ModelpmError, NotFound, PluginError
from modelpm.network.private import is_private
from modelpm.network.redact import redact_urls
from modelpm.text.suggest import did_you_mean, nearest
from modelpm.text.untrusted import MODEL_ID, printable

if TYPE_CHECKING:
    from modelpm.catalog.remote.base import Remote

_MOST_NEAR = 3
_T = TypeVar("_T")


@runtime_checkable
class Carded(Protocol):
    """A catalog that knows what a search shows without reading entries."""

    def card(self, id_: str) -> Card:
        """Return the card of a model."""


class Opened:
    """One catalog, opened when first needed; what its plugin raises becomes a ``PluginError``."""

    def __init__(self, name: str, opener: Callable[[], Catalog], place: Place | None = None) -> None:
        self.name, self.place = name, place
        self._opener = opener  # a callable, because a catalog is a plugin, which is imported only when it is asked
        self._catalog: Catalog | None = None
        self._about: tuple[CatalogText, About] | None = None

    @property
    def is_remote(self) -> bool:
        """Whether others can change it from outside this machine."""
        return self.place is not None and self.place.is_remote

    @property
    def is_trusted(self) -> bool:
        """Whether it answers names that do not say the catalog."""
        return self.place is None or self.place.trusted

    def refresh(self) -> None:
        """Have what a remote catalog says now, as far as :meth:`Remote.refresh` says.

        Raises:
            ModelpmError: It has no copy here, and none can be had.
        """
        if (remote := self.remote()) is not None:
            remote.refresh()

    def gone(self) -> frozenset[str]:
        """Return the names that a remote catalog no longer has."""
        remote = self.remote()
        return remote.gone() if remote is not None else frozenset()

    def remote(self) -> "Remote | None":
        """Return the remote catalog; None if it is not remote."""
        if not self.is_remote:
            return None
        from modelpm.catalog.remote.base import Remote  # start-up: few catalogs are elsewhere

        catalog = self._open()
        return catalog if isinstance(catalog, Remote) else None

    def stamps(self) -> Mapping[str, str]:
        """Return a text for each id that is another one once the model changed."""
        self.about()

        def stamped() -> Mapping[str, str] | None:
            catalog = self._open()
            return catalog.stamps() if isinstance(catalog, Stamped) else None

        stamps = self._ask(stamped)
        if stamps is None:
            stamps = {id_: self._digest(id_) for id_ in self.ids()}
        return {id_: stamps[id_] for id_ in sorted(stamps) if MODEL_ID.fullmatch(id_)}

    def card(self, id_: str) -> Card:
        """Return what a search shows of a model."""

        def carded() -> Card | None:
            catalog = self._open()
            return catalog.card(id_) if isinstance(catalog, Carded) else None

        return self._ask(carded) or Card.of(self.entry(id_))

    def ids(self) -> tuple[str, ...]:
        """Return the ids, once the catalog's own file is known to be one that this modelpm reads."""
        self.about()

        def listed() -> list[str]:
            return [id_ for id_ in self._open().ids() if MODEL_ID.fullmatch(id_)]

        return tuple(sorted(set(self._ask(listed))))

    def about(self) -> About:
        """Return what the catalog says of itself; it need not say anything."""
        try:
            text = self._text(lambda: self._open().about())
        except NotFound as error:
            if error.code != NotFound.code:
                raise
            return About("", {})
        if self._about is None or self._about[0] != text:  # hundreds of aliases, asked for at each look
            self._about = text, parse_about(text)
        return self._about[1]

    def refuse_size(self, alias: str, size: str) -> None:
        """Refuse what stands behind the colon of an alias, where other aliases say what may.

        Raises:
            NotFound: Code ``unknown_variant``.
        """
        there = [name for name in self.about().aliases if name.startswith(f"{alias}:")]
        if there:
            asked = f"{alias}:{size}"
            hints = [*did_you_mean(nearest(asked, there, _MOST_NEAR)), f"there are: {', '.join(there)}"]
            raise NotFound(f"no model is called `{printable(asked)}`", code=Code.UNKNOWN_VARIANT, hints=hints)

    def recognize(self, sha256: str) -> tuple[KnownFile, ...]:
        """Return where the file of a digest is published; nothing if the catalog knows no digests."""

        def known() -> tuple[KnownFile, ...]:
            catalog = self._open()
            return tuple(catalog.recognize(sha256)) if isinstance(catalog, Recognizer) else ()

        return self._ask(known)

    def audit(self) -> tuple[Finding, ...]:
        """Look it over for its maintainer."""
        from modelpm.catalog.lint import audit_catalog  # for maintainers; installing does without

        return self._ask(lambda: tuple(audit_catalog(self._open())))

    def first(self, names: Sequence[str]) -> tuple[str, str] | None:
        """Return the first of the names that is known here, and the id that it is or stands for.

        An id goes before an alias, and an alias for what is not there names nothing.
        """
        ids = frozenset(self.ids())
        if names[0] in ids:
            return names[0], names[0]
        aliases = self.about().aliases
        for name in names:
            real = name if name in ids else aliases.get(name)
            if real in ids:
                return name, str(real)
        return None

    def entry(self, id_: str) -> Entry:
        """Return a model.

        Raises:
            ModelpmError: It cannot be read, or may not name what it names.
        """
        text = self._text(lambda: self._open().get(id_))
        entry = parse_entry(self.name, text, id=id_)
        if self.place is not None and self.place.is_remote:
            refuse_private(entry, self.place.at)
        return entry

    def _digest(self, id_: str) -> str:
        try:
            return sha256(self._text(lambda: self._open().get(id_)).toml.encode(errors="replace")).hexdigest()
        except ModelpmError as error:
            return error.message

    def _open(self) -> Catalog:
        if self._catalog is None:
            self._catalog = self._opener()
        return self._catalog

    def _text(self, answer: Callable[[], CatalogText]) -> CatalogText:
        text = self._ask(answer)
        if not isinstance(text, CatalogText):
            raise PluginError(f"the catalog `{self.name}` answered with a {type(text).__name__}, not a CatalogText")
        return text

    def _ask(self, question: Callable[[], _T]) -> _T:
        try:
            return question()
        except ModelpmError:
            raise
        except Exception as error:
            cause = f"{type(error).__name__}: {error}".rstrip(": ")
            raise PluginError(f"the catalog `{self.name}` failed: {cause}") from error


def refuse_private(entry: Entry, at: str) -> None:
    """Refuse an entry from elsewhere that names files of this machine, or servers of a private network.

    Args:
        entry: The entry.
        at: Where its catalog is; one that is on this machine, or in that network, may name what is there.

    Raises:
        Denied: Code ``private_source``.
    """
    private = next((text for text in sorted(entry.references()) if is_private(text)), "")
    if private and not is_private(at):
        raise Denied(
            f"{entry.name} names `{printable(redact_urls(private))}`, which is on this machine or in a private network",
            code=Code.PRIVATE_SOURCE,
            hints=["a remote catalog must not name such an address: tell its publisher"],
        )
