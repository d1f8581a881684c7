"""What a search finds and shows of a model, without its entry being read: made once of the entry. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from modelpm.catalog.choose import choose
from modelpm.catalog.entry import Entry, Release
from modelpm.errors import ModelpmError
from modelpm.text.toml import Table, any_text


@dataclass(frozen=True, slots=True)
class Offer:
    """A variant, as far as it can be chosen by it.

    Attributes:
        name: As in the entry.
        format: E.g. ``gguf``.
        size: Bytes of all files, or None if the catalog does not say.
        memory: Bytes of memory it takes, or None if the catalog does not say.
    """

    name: str
    format: str
    size: int | None = None
    memory: int | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """A model as a search knows it.

    Attributes:
        id: Unique in the catalog.
        title: For humans.
        description: One or two sentences, or empty.
        license: SPDX expression, or empty.
        tasks: E.g. ``chat``.
        tags: Words to find it by.
        releases: Their versions, as ordered in the entry.
        variants: The recommended one first, then those of the same release, then those that only others have.
        schemes: Those of its sources, which tell what the catalog uses.
        deprecated: Whether it should not be used any more.
    """

    id: str
    title: str
    description: str
    license: str
    tasks: tuple[str, ...]
    tags: tuple[str, ...]
    releases: tuple[str, ...]
    variants: tuple[Offer, ...]
    schemes: tuple[str, ...]
    deprecated: bool = False

    @classmethod
    def of(cls, entry: Entry) -> Self:
        """Return the card of an entry."""
        return cls(
            id=entry.id,
            title=entry.title,
            description=entry.description,
            license=entry.license,
            tasks=entry.tasks,
            tags=entry.tags,
            releases=tuple(release.version for release in entry.releases),
            variants=_offers(entry),
            schemes=tuple(sorted({text.partition("://")[0].lower() for text in entry.references()})),
            deprecated=entry.deprecated is not None,
        )

    @classmethod
    def read(cls, id_: str, raw: Mapping[str, Any]) -> Self:
        """Read a card as :meth:`written` leaves it; keys of a newer modelpm are ignored.

        Raises:
            TomlError: A value has another type.
        """
        table = Table(raw)
        return cls(
            id=id_,
            title=table.text("title", default=id_),
            description=table.text("description", ok=any_text, default=""),
            license=table.text("license", ok=any_text, default=""),
            tasks=table.texts("tasks"),
            tags=table.texts("tags"),
            releases=table.texts("releases"),
            variants=tuple(map(_read_offer, table.tables("variants", least=0))),
            schemes=table.texts("schemes"),
            deprecated=table.flag("deprecated"),
        )

    def written(self) -> dict[str, Any]:
        """Return the card for JSON; what is empty is left out."""
        lists = {key: list(getattr(self, key)) for key in ("tasks", "tags", "releases", "schemes")}
        variants = [_without_empty({k: getattr(v, k) for k in v.__slots__}) for v in self.variants]
        texts = {key: getattr(self, key) for key in ("title", "description", "license", "deprecated")}
        return _without_empty({**texts, **lists, "variants": variants})


def _offers(entry: Entry) -> tuple[Offer, ...]:
    found: dict[str, Offer] = {}
    chosen = _recommended(entry)
    for release in (chosen, *entry.releases):
        for variant in sorted(release.variants, key=lambda variant: variant.name != release.default_variant):
            offer = Offer(variant.name, variant.format, variant.size, variant.min_memory)
            found.setdefault(variant.name, offer)
    return tuple(found.values())


def _recommended(entry: Entry) -> Release:
    try:
        return choose(entry)[0]
    except ModelpmError:  # every release is withdrawn; choosing says so
        return entry.releases[0]


def _read_offer(table: Table) -> Offer:
    size, memory = (
        table.number(k, "a whole number of bytes") if k in table.values else None for k in ("size", "memory")
    )
    return Offer(table.text("name"), table.text("format"), size, memory)


def _without_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value or (value == 0 and value is not False)}
