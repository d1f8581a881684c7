"""A published catalog over http: its index, asked for with conditions, and each entry by the digest in it."""

import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256

from modelpm.api.types import CatalogText, Context
from modelpm.catalog.card import Card
from modelpm.catalog.index import MAX_INDEX, NAME, Index, entry_path
from modelpm.catalog.parse import parse_about
from modelpm.catalog.place import Place
from modelpm.catalog.remote.base import Remote
from modelpm.catalog.remote.server import Server, check_pin
from modelpm.catalog.remote.state import State
from modelpm.disk import make_folder
from modelpm.disk.atomic import write_atomic
from modelpm.disk.reading import read_bytes
from modelpm.errors import Code, IntegrityError, NotFound, UsageError
from modelpm.store.gc.leftovers import remove_marker
from modelpm.text.toml import MAX_BYTES
from modelpm.text.untrusted import printable

_NOT_HERE = Code.UNREADABLE_CATALOG
_NOT_PUBLISHED = "its publisher must build index.json and put it beside catalog.toml"


class WebCatalog(Remote):
    """A catalog with an index on a web server."""

    def ids(self) -> Iterable[str]:
        """As :meth:`modelpm.api.Catalog.ids`."""
        return self._index.models

    def about(self) -> CatalogText:
        """As :meth:`modelpm.api.Catalog.about`."""
        return self._index.about

    def stamps(self) -> Mapping[str, str]:
        """As :meth:`modelpm.api.Stamped.stamps`: the digests of the entries."""
        return self._index.stamps()

    def card(self, id_: str) -> Card:
        """Return what the index says of a model."""
        return self._index.card(id_)

    def get(self, id: str) -> CatalogText:  # noqa: A002 - the contract's name
        """As :meth:`modelpm.api.Catalog.get`; an entry that is not here is fetched, and kept by its digest.

        Raises:
            NotFound: No such id; or it is not here, and nothing is chosen now.
            OfflineError: It is not here, and the network is forbidden.
            IntegrityError: The server has another entry than the index says, also after the index was asked for again.
        """
        try:
            return self._entry(id)
        except IntegrityError:  # most likely it was published between the index and now
            if not self.update(hurried=True):
                raise
            return self._entry(id)

    def update(self, *, hurried: bool = False) -> bool:
        """As :meth:`Remote.update`."""
        changed = super().update(hurried=hurried)
        if changed:
            self.__dict__.pop("_index", None)
            wanted = {f"{digest}.toml" for digest in self.stamps().values()}
            for path in list((self.folder / "models").glob("*.toml")):
                if path.name not in wanted:
                    remove_marker(path)
        return changed

    @cached_property
    def _index(self) -> Index:
        state = self.state
        if state.expires and time.time() > state.expires:
            until = f"{datetime.fromtimestamp(state.expires, UTC):%Y-%m-%d %H:%M} UTC"
            raise expired(self.place, f"the signatures of its copy ran out on {until}")
        data = self._kept(NAME, MAX_INDEX)
        if not state.digest or data is None or sha256(data).hexdigest() != state.digest:
            hint = f"`modelpm catalog update {self.place.name}` brings it"
            raise NotFound(f"the catalog `{self.place.name}` is not on this machine", hints=[hint], code=_NOT_HERE)
        return Index.parse(data, f"{self.place.at}/{NAME}", known=True)

    def _newer(self, before: State, context: Context) -> State:
        if self.place.sha256 == before.digest and self._is_here(before):
            return before  # there is one that is taken, and it is here
        if not self._is_here(before):  # it was damaged, or removed
            before = replace(before, digest="", tag="", modified="")
        with closing(Server(context)) as server:
            found = self._fetched(server, before)
        if found is None:
            return before
        data, after = found
        digest = sha256(data).hexdigest()
        check_pin(self.place, f"{self.place.at}/{NAME}", digest)
        if digest == before.digest:
            return after
        index = Index.parse(data, f"{self.place.at}/{NAME}")
        names = {*index.models, *index.check().aliases}
        after = replace(after, digest=digest, gone=tuple(self._missing(before, names)))
        write_atomic(self.folder / NAME, data, durable=False)
        return after

    def _fetched(self, server: Server, before: State) -> tuple[bytes, State] | None:
        """Return the bytes of the newest index and what came with it; None where it is the one that is here."""
        return server.newer(f"{self.place.at}/{NAME}", before, ["check the address", _NOT_PUBLISHED])

    def _is_here(self, state: State) -> bool:
        data = self._kept(NAME, MAX_INDEX)
        return data is not None and sha256(data).hexdigest() == state.digest

    def _missing(self, before: State, names: set[str]) -> Iterable[str]:
        """Return what the copy had, or had before, and the newer one has not."""
        had = set(before.gone)
        data = self._kept(NAME, MAX_INDEX)
        if before.digest and data is not None:
            old = Index.parse(data, NAME, known=True)
            had |= {*old.models, *parse_about(old.about).aliases}
        return had - names

    def _entry(self, id_: str) -> CatalogText:
        index = self._index
        if id_ not in index.models:
            raise NotFound(f"the catalog `{self.place.name}` has no model `{printable(id_)}`")
        digest, url = index.digest(id_), f"{self.place.at}/{entry_path(id_)}"
        data = self._kept(f"models/{digest}.toml", MAX_BYTES)
        if data is None or sha256(data).hexdigest() != digest:
            if not self._awake:
                raise NotFound(f"the entry of {self.place.name}/{id_} is not on this machine", code=_NOT_HERE)
            data = self._brought(url, digest)
        try:
            return CatalogText(url, data.decode())
        except UnicodeDecodeError as error:
            raise UsageError(f"{url}: it is not UTF-8 at byte {error.start}", code=Code.INVALID_CATALOG) from None

    def _brought(self, url: str, digest: str) -> bytes:
        try:
            with closing(Server(self.context)) as server:
                data = server.get(url, cap=MAX_BYTES).body
        except NotFound as error:
            raise IntegrityError(f"{error.message}, though the index of the catalog names it") from error
        actual = sha256(data).hexdigest()
        if actual != digest:
            raise IntegrityError(
                f"{url} is not what the index of the catalog says: expected sha256 {digest}, got {actual}",
                code=Code.DIGEST_MISMATCH,
                hints=["try again later; its publisher must build index.json after every change"],
                expected=digest,
                actual=actual,
            )
        make_folder(self.folder / "models", below=self.folder)
        write_atomic(self.folder / "models" / f"{digest}.toml", data, durable=False)
        return data

    def _kept(self, name: str, cap: int) -> bytes | None:
        try:
            return read_bytes(self.folder / name, cap)
        except OSError:
            return None


def expired(place: Place, what: str) -> IntegrityError:
    """Return the error of a catalog whose signatures have run out."""
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    return IntegrityError(
        f"the catalog `{place.name}` is refused: {what}, and this machine's clock says {now}",
        code=Code.CATALOG_EXPIRED,
        hints=[
            "if the clock is wrong, set it",
            f"else ask for newer ones: `modelpm catalog update {place.name}`",
            "where that brings none, its publisher must run `modelpm catalog refresh DIR`",
            "a server on the way may keep newer ones from you: try another network",
        ],
    )
