"""The search index of one catalog: a slip and a card a model, kept in the cache; only models that changed are read.

It is kept as plain text between separators: of 10,000 models, the cards of those that are found are parsed, not all.
"""

import json
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Self

from modelpm.catalog.card import Card
from modelpm.catalog.opened import Opened
from modelpm.catalog.search import by_id, slip
from modelpm.disk import make_folder
from modelpm.disk.atomic import write_atomic
from modelpm.disk.reading import read_bytes
from modelpm.errors import ModelpmError, StoreError
from modelpm.text.toml import TomlError

_CAP = 1 << 28
_SCHEMA = "1"
_NAME = "search"
_RECORD, _FIELD = "\x1e", "\x1f"


class Row(NamedTuple):
    """One model.

    Attributes:
        id: Of the model.
        stamp: Another one once the model changed.
        slip: What it is found by; empty if it cannot be read.
        text: Its card, as JSON; empty if it cannot be read.
        problem: Why it cannot be read.
    """

    id: str
    stamp: str
    slip: str
    text: str
    problem: str = ""

    @property
    def card(self) -> Card:
        """The card of a model that can be read."""
        return Card.read(self.id, json.loads(self.text))


class Built(NamedTuple):
    """The search index of a catalog.

    Attributes:
        about: Digest of the catalog's own file, where the aliases are.
        rows: The models, by id.
        fresh: Those that were read just now, and cannot be.
    """

    about: str = ""
    rows: tuple[Row, ...] = ()
    fresh: tuple[Row, ...] = ()

    @classmethod
    def of(cls, opened: Opened, folder: Path | None) -> Self:
        """Return the index of a catalog as it stands, and keep it.

        Args:
            opened: The catalog.
            folder: Where it is kept; None for nowhere.

        Raises:
            ModelpmError: The catalog cannot be read.
        """
        aliases = by_id(opened.about().aliases)
        about = sha256(json.dumps(aliases, sort_keys=True).encode()).hexdigest()
        kept = cls._read(folder)
        before = {row.id: row for row in kept.rows} if kept.about == about else {}
        rows, fresh = [], []
        for id_, stamp in opened.stamps().items():
            row = before.get(id_)
            if row is None or row.stamp != stamp:
                row = _row(opened, id_, stamp, aliases.get(id_, []))
                fresh += [row] if row.problem else []
            rows.append(row)
        made = cls(about, tuple(rows), tuple(fresh))
        if folder is not None and made[:2] != kept[:2]:
            with suppress(StoreError):  # it saves work, and is needed for nothing else
                made._write(folder)
        return made

    @classmethod
    def _read(cls, folder: Path | None) -> Self:
        if folder is None:
            return cls()
        try:
            head, *rows = read_bytes(folder / _NAME, _CAP).decode().split(_RECORD)
            schema, about = head.split(_FIELD)
            return cls(about, tuple(Row(*row.split(_FIELD)) for row in rows)) if schema == _SCHEMA else cls()
        except (OSError, ValueError, TypeError):  # TypeError: a record has another number of fields
            return cls()

    def _write(self, folder: Path) -> None:
        records = [(_SCHEMA, self.about), *self.rows]
        if any(mark in field for row in self.rows for field in row for mark in (_RECORD, _FIELD)):
            return  # a stamp of a plugin may be anything
        make_folder(folder, below=folder.parent.parent)
        write_atomic(folder / _NAME, _RECORD.join(map(_FIELD.join, records)).encode(), durable=False)


def _row(opened: Opened, id_: str, stamp: str, aliases: list[str]) -> Row:
    try:
        card = opened.card(id_)
    except (ModelpmError, TomlError) as error:
        return Row(id_, stamp, "", "", str(error))
    return Row(id_, stamp, slip(card, aliases), json.dumps(card.written(), separators=(",", ":")))
