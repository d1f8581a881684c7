"""The index of a published catalog: one file that names every other by its digest. Pure.

A catalog that is published is a folder of plain files: ``catalog.toml``, ``models/<id>.toml`` and ``index.json``. Who
uses it fetches the index, searches by the cards in it, and fetches the entry of a model when it is asked for it. One
digest or signature over the index covers all.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Self

from modelpm.api.kinds import Catalog
from modelpm.api.types import CatalogText
from modelpm.catalog.card import Card
from modelpm.catalog.entry import About
from modelpm.catalog.parse import parse_about, parse_entry
from modelpm.errors import Code, UsageError, too_new
from modelpm.text.toml import MAX_BYTES, Table, TomlError
from modelpm.text.untrusted import ID_RULE, MODEL_ID, printable

NAME = "index.json"
SCHEMA = 1
MAX_INDEX = 1 << 26
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PORTAL = "if this is not the address of a catalog, correct it; a proxy or a captive portal may answer in its place"


def published(catalog: Catalog) -> bytes:
    """Return the bytes of ``index.json`` for a catalog, the same for the same files; one line a model.

    Raises:
        UsageError: A file of the catalog is not valid.
        NotFound: ``catalog.toml`` is missing.
        IntegrityError: A file name in an entry is hostile.
    """
    about = catalog.about()
    parse_about(about)
    head = {"schema": SCHEMA, "about": about.toml}
    lines = [f"{json.dumps(id_)}: {json.dumps(_listed(id_, catalog.get(id_)))}" for id_ in sorted(catalog.ids())]
    models = ",\n".join(lines)
    return f'{json.dumps(head)[:-1]}, "models": {{\n{models}\n}}}}\n'.encode()


def entry_path(id_: str) -> str:
    """Return where the entry of a model is in a published catalog."""
    return f"models/{id_}.toml"


@dataclass(frozen=True, slots=True)
class Index:
    """A published index. Its cards are read when they are asked for.

    Attributes:
        origin: Where it is from, for messages.
        about: The text of ``catalog.toml``.
        models: What stands there of each model, by id.
    """

    origin: str
    about: CatalogText
    models: Mapping[str, Mapping[str, Any]]

    @classmethod
    def parse(cls, data: bytes, origin: str, *, known: bool = False) -> Self:
        """Read the bytes of an index.

        Args:
            data: The bytes.
            origin: Where they are from.
            known: Whether they were looked at before, and are known by their digest.

        Raises:
            UsageError: They are not an index, code ``not_a_catalog``; or a newer modelpm made it, ``newer_schema``.
        """
        try:
            raw = json.loads(data, object_pairs_hook=None if known else _unique)
            if not isinstance(raw, dict) or "schema" not in raw:
                raise TomlError("it has no `schema`")
            table = Table(raw)
            schema = table.number("schema", f"{SCHEMA}", least=1)
            if schema > SCHEMA:
                raise too_new(origin, "schema", schema, SCHEMA, Code.NEWER_SCHEMA)
            models = table.table("models").values
            about = table.values.get("about")
            if not isinstance(about, str) or len(about) > MAX_BYTES:
                table.fail("about", "the text of `catalog.toml`")
        except (ValueError, RecursionError) as error:
            why = str(error) if isinstance(error, TomlError) else "it is not JSON"
            raise not_a_catalog(origin, why) from None
        return cls(origin, CatalogText(f"{origin}: about", about), models)

    def check(self) -> About:
        """Look at all of it, once, before it takes the place of a good copy.

        Raises:
            UsageError: A part of it is not valid.
        """
        about = parse_about(self.about)
        for id_ in self.models:
            if not MODEL_ID.fullmatch(id_):
                raise not_a_catalog(self.origin, f"`{printable(id_[:80])}` cannot be an id, which must be {ID_RULE}")
            self.card(id_)
            self.digest(id_)
        return about

    def card(self, id_: str) -> Card:
        """Return the card of a model.

        Raises:
            UsageError: It is not valid.
        """
        try:
            return Card.read(id_, self._of(id_).values)
        except TomlError as error:
            raise not_a_catalog(self.origin, f"{id_}: {error}") from None

    def stamps(self) -> Mapping[str, str]:
        """Return the digest of each entry, of an index that was checked."""
        return {id_: str(listed["sha256"]) for id_, listed in self.models.items()}

    def digest(self, id_: str) -> str:
        """Return the SHA-256 of a model's entry.

        Raises:
            UsageError: It is not valid.
        """
        try:
            return self._of(id_).text("sha256", "64 lower-case hexadecimal digits", ok=_SHA256.fullmatch)
        except TomlError as error:
            raise not_a_catalog(self.origin, f"{id_}: {error}") from None

    def _of(self, id_: str) -> Table:
        return Table(self.models).table(id_)


def not_a_catalog(origin: str, why: str) -> UsageError:
    """Return the error of an answer that is not an index."""
    return UsageError(f"{origin} is not the index of a catalog: {why}", code=Code.NOT_A_CATALOG, hints=[_PORTAL])


def _listed(id_: str, text: CatalogText) -> dict[str, Any]:
    card = Card.of(parse_entry("", text, id=id_))
    return {"sha256": sha256(text.toml.encode()).hexdigest(), **card.written()}


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise TomlError(f"it has `{printable(key[:80])}` twice")
        found[key] = value
    return found
