"""Find models in the catalogs: first catalog wins, full names always work, and a broken one costs only itself.

Except where that would give another model than the user meant: a catalog of their own that cannot be read may have had
the id that a later one answers for.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from modelpm.api.events import Bus
from modelpm.api.kinds import Catalog
from modelpm.api.stages import Work
from modelpm.api.types import Finding, KnownFile, Severity
from modelpm.catalog.card import Card
from modelpm.catalog.entry import About, Entry
from modelpm.catalog.opened import Opened
from modelpm.catalog.place import Place
from modelpm.errors import Code, ModelpmError, NotFound, UsageError
from modelpm.text.shorthand import FILES
from modelpm.text.spec import CatalogSpec
from modelpm.text.suggest import did_you_mean, nearest, suggest
from modelpm.text.untrusted import printable

if TYPE_CHECKING:  # start-up: installing looks for no words
    from modelpm.catalog.built import Row
    from modelpm.catalog.remote.base import Remote
    from modelpm.catalog.search import Match, Wanted

_MOST_NEAR = 3
LATEST = "latest"  # what other tools call the recommended variant


class Catalogs:
    """The catalogs of one installation, in order of priority; each is opened when it is first needed. Thread-safe.

    Args:
        catalogs: Name and opener of each.
        places: Where those are that the user configured, by name; see :meth:`find`.
        bus: Gets a warning for everything that is skipped.
        cache: Folder of what is kept of catalogs, each in a folder of its name; None for nowhere.
    """

    def __init__(
        self,
        catalogs: Sequence[tuple[str, Callable[[], Catalog]]],
        *,
        places: Mapping[str, Place] = MappingProxyType({}),
        bus: Bus | None = None,
        cache: Path | None = None,
    ) -> None:
        self._opened = {name: Opened(name, opener, places.get(name)) for name, opener in catalogs}
        self._places = places
        self._bus = bus or Bus()
        self._cache = cache
        self._problems: dict[str, ModelpmError] = {}

    @property
    def catalogs(self) -> tuple[str, ...]:
        """The catalogs' names, in order of priority."""
        return tuple(self._opened)

    @property
    def places(self) -> Mapping[str, Place]:
        """Where the catalogs are that the user configured, by name."""
        return self._places

    def remote(self, catalog: str) -> "Remote | None":
        """Return the copy of a remote catalog; None if it is not remote."""
        opened = self._named(catalog)
        return opened.remote() if opened.is_remote else None

    @property
    def problems(self) -> tuple[ModelpmError, ...]:
        """Why catalogs or models were passed over so far, each once."""
        return tuple(self._problems.values())

    def names(self) -> tuple[str, ...]:
        """Return the full names, ``catalog/id``, of all models, without reading one."""
        return tuple(f"{opened.name}/{id_}" for opened in self._opened.values() for id_ in self._ids(opened))

    def find(self, id: str, catalog: str | None = None, *, choosing: bool = False) -> Entry:  # noqa: A002 - the word of the contract
        """Return a model by its id or an alias.

        Args:
            id: The id or alias.
            catalog: Where to look; none means the first catalog that has it.
            choosing: As of :meth:`read`.

        Raises:
            NotFound: No such model; the hints name what is near.
            UsageError: No such catalog, code ``short_form``; the model's file is not valid or needs a newer modelpm;
                or, code ``unreadable_catalog``, one of the user's own catalogs, which goes before the one that has the
                model, cannot be read.
            IntegrityError: A file name in it is hostile.
            PluginError: The catalog that was asked for fails.
        """
        opened, _, real = self._first((id,), catalog, choosing=choosing)
        return opened.entry(real)

    def read(self, spec: CatalogSpec, *, choosing: bool = False) -> tuple[Entry, CatalogSpec]:
        """Return the model that a spec names, and the spec in full: catalog, id and variant without alias.

        The whole spec may be an alias (``qwen3:8b``), and goes before its id. ``:latest`` is the recommended variant.

        Args:
            spec: The spec.
            choosing: Whether something is chosen by it, so that remote catalogs are asked for what is new; else only
                what is on this machine counts.

        Raises:
            ModelpmError: As :meth:`find`.
        """
        whole = f"{spec.id}:{spec.variant}" if spec.variant and not spec.release else spec.id
        opened, name, real = self._first(
            tuple(dict.fromkeys((whole, spec.id))), spec.catalog or None, choosing=choosing
        )
        entry = opened.entry(real)
        variant = spec.variant if name == spec.id else ""
        if variant not in {"", *(v.name for release in entry.releases for v in release.variants)}:
            if variant == LATEST:
                variant = ""
            elif real != spec.id and not spec.release:
                opened.refuse_size(spec.id, variant)
        return entry, CatalogSpec(entry.catalog, entry.id, spec.release, variant)

    def _first(self, names: Sequence[str], catalog: str | None, *, choosing: bool = False) -> tuple[Opened, str, str]:
        """Return the first catalog that has one of the names, that name, and the id that it is or stands for."""
        if catalog is None:
            return self._in_any(names, choosing=choosing)
        opened = self._named(catalog, names[-1])
        if choosing:
            opened.refresh()
        if (found := opened.first(names)) is None:
            raise self._unknown(names[-1], opened)
        return opened, *found

    def _in_any(self, names: Sequence[str], *, choosing: bool) -> tuple[Opened, str, str]:
        """As :meth:`_first`, in the catalogs that answer names which do not say theirs.

        One that cannot be read, or had the name, may have meant another model: no catalog behind it is believed.
        """
        doubts: list[_Doubt] = []
        for opened in (opened for opened in self._opened.values() if opened.is_trusted):
            try:
                if choosing:
                    opened.refresh()
                found = opened.first(names)
                if found is None and not opened.gone().isdisjoint(names):
                    doubts.append(_Doubt(opened.name, own=False))
            except ModelpmError as error:
                doubts.append(_Doubt(opened.name, own=opened.name in self._places, why=error))
                if not doubts[-1].own:
                    self._pass_over(opened, error)
                continue
            if found is not None:
                for doubt in doubts:
                    if opened.is_remote or doubt.own:
                        raise doubt.raised_by(f"{opened.name}/{found[0]}")
                return opened, *found
        raise self._unknown(names[-1])

    def search(self, wanted: "Wanted", *, choosing: bool = False) -> "tuple[Match, ...]":
        """Return the models that have what is wanted, the best match first.

        Args:
            wanted: Words, looked for in id, aliases, title, tags, tasks and description, and more. Punctuation does not
                matter, and a word that nothing has is read as the nearest one.
            choosing: As of :meth:`read`.
        """
        from modelpm.catalog.search import Match, offered, search  # start-up: installing looks for no words

        rows = [(opened.name, row) for opened in self._opened.values() for row in self._rows(opened, choosing=choosing)]
        found = []
        for number in search([row.slip for _, row in rows], wanted.text):
            catalog, row = rows[number]
            card = row.card
            fits, variant = offered(card, wanted)
            found += [Match(catalog, card, variant)] if fits else []
        return tuple(found)

    def cards(self, catalog: str, *, choosing: bool = False) -> "tuple[Card, ...]":
        """Return the cards of one catalog's models that can be read, by id.

        Raises:
            NotFound: No such catalog.
            ModelpmError: It cannot be read.
        """
        return tuple(row.card for row in self._built(self._named(catalog), choosing=choosing))

    def card(self, id_: str, catalog: str | None = None) -> Card:
        """Return the card of a model by its id or an alias; as :meth:`find`, from what is on this machine."""
        opened, _, real = self._first((id_,), catalog)
        return opened.card(real)

    def _rows(self, opened: Opened, *, choosing: bool) -> "Sequence[Row]":
        try:
            return self._built(opened, choosing=choosing)
        except ModelpmError as error:
            self._pass_over(opened, error)
            return ()

    def _built(self, opened: Opened, *, choosing: bool) -> "Sequence[Row]":
        """Return the models of a catalog that can be read; what cannot is said in one line, when it is first found."""
        from modelpm.catalog.built import Built  # start-up, as above

        if choosing:
            opened.refresh()
        with self._bus.during(Work.CHECKING, f"the catalog {opened.name}"):  # thousands of entries, the first time
            built = Built.of(opened, self._cache / opened.name if self._cache is not None else None)
        for row in built.rows:
            if row.problem:
                self._problems[f"{opened.name}/{row.id}"] = UsageError(row.problem, code=Code.INVALID_CATALOG)
        if built.fresh:
            first, more = built.fresh[0], len(built.fresh) - 1
            others = f", and so are {more} more" if more else ""
            audit = f"`modelpm catalog audit {opened.name}` lists what is wrong"
            self._bus.warn(
                f"the model `{opened.name}/{first.id}` cannot be read and is left out{others}: {first.problem}; {audit}"
            )
        return [row for row in built.rows if not row.problem]

    def recognize(self, sha256: str) -> tuple[KnownFile, ...]:
        """Return where the file of a digest is published, as far as some catalog knows; a broken one is passed over."""
        found: dict[KnownFile, None] = {}
        for opened in self._opened.values():
            try:
                found.update(dict.fromkeys(opened.recognize(sha256)))
            except ModelpmError as error:
                self._pass_over(opened, error)
        return tuple(found)

    def about(self, catalog: str) -> About:
        """Return what a catalog says of itself.

        Raises:
            NotFound: No such catalog.
            UsageError: Its ``catalog.toml`` is not valid.
            PluginError: It fails.
        """
        return self._named(catalog).about()

    def audit(self, catalog: str) -> tuple[Finding, ...]:
        """Look a catalog over for its maintainer; see :func:`modelpm.catalog.lint.audit_catalog`.

        That it cannot be read at all is a finding as well.

        Raises:
            NotFound: No such catalog.
        """
        asked = self._named(catalog)
        try:
            return asked.audit()
        except ModelpmError as error:
            return (Finding(Severity.REJECT, error.code, error.message),)

    def _named(self, catalog: str, model: str = "") -> Opened:
        if catalog in self._opened:
            return self._opened[catalog]
        hints = suggest(catalog, self._opened) or [f"there are: {', '.join(self._opened) or 'none'}"]
        if not model:
            raise NotFound(f"unknown catalog `{printable(catalog)}`", code=Code.UNKNOWN_CATALOG, hints=hints)
        short = f"{printable(catalog)}/{printable(model)}"
        raise UsageError(
            f"unknown catalog `{printable(catalog)}` in `{short}`",
            code=Code.SHORT_FORM,
            hints=[*hints, f"a repository of the Hugging Face Hub is written hf://{short}"],
        )

    def _ids(self, opened: Opened) -> tuple[str, ...]:
        try:
            return opened.ids()
        except ModelpmError as error:
            self._pass_over(opened, error)
            return ()

    def _pass_over(self, opened: Opened, error: ModelpmError) -> None:
        self._problems[opened.name] = error
        self._bus.warn(f"the catalog `{opened.name}` is passed over: {error}")

    def _unknown(self, wanted: str, asked: Opened | None = None) -> NotFound:
        names: dict[str, str] = {}  # what is near → how it is written
        untrusted = []
        for opened in self._opened.values():
            try:
                for name in (*opened.ids(), *opened.about().aliases):
                    short = asked is opened or (asked is None and opened.is_trusted)
                    names.setdefault(name, name if short else f"{opened.name}/{name}")
                    untrusted += [opened.name] if name == wanted and asked is None and not opened.is_trusted else []
            except ModelpmError as error:
                self._problems[opened.name] = error
        near = nearest(wanted, names, _MOST_NEAR) or [n for n in names if wanted in n][:_MOST_NEAR]
        hints = []
        if wanted.endswith(FILES):
            hints.append(f"a file is written with its folder, and `{printable(wanted)}` is not in this one")
        hints += [
            f"`{name}/{wanted}` is there: write it so, or `modelpm catalog trust {name}` to leave out `{name}/`"
            for name in untrusted
        ]
        meant = self._as_variant(wanted, names) or [names[name] for name in near]
        hints += [*did_you_mean(meant), "`modelpm search TEXT` looks through the catalogs"]
        hints += [
            f"the catalog `{name}` could not be read: {e}" for name, e in self._problems.items() if "/" not in name
        ]
        where = f"the catalog `{asked.name}` has" if asked else "no catalog has"
        what = f"no model `{printable(wanted)}`" if asked else f"a model `{printable(wanted)}`"
        if untrusted:
            where = "no catalog that is trusted has"
        return NotFound(f"{where} {what}", code=Code.UNKNOWN_MODEL, hints=hints)

    def _as_variant(self, wanted: str, names: Mapping[str, str]) -> list[str]:
        """Return the model and variant that a name like ``qwen3-8b-q5_k_m`` runs together."""
        model = max((name for name in names if wanted.startswith(f"{name}-")), key=len, default="")
        if not model:
            return []
        variant, catalog = wanted[len(model) + 1 :], names[model].removesuffix(model).rstrip("/")
        with suppress(ModelpmError):
            if any(variant == offer.name for offer in self.card(model, catalog or None).variants):
                return [f"{names[model]}:{variant}"]
        return []


class _Doubt(NamedTuple):
    """A catalog that may have meant another model by a name than the one that was found behind it.

    Attributes:
        catalog: Its name.
        own: Whether the user configured it, and it cannot be read.
        why: Why it cannot be read; None if it no longer has the name.
    """

    catalog: str
    own: bool
    why: ModelpmError | None = None

    def raised_by(self, found: str) -> ModelpmError:
        """Return the error of a model that was found behind it."""
        take = f"to take it from there anyway, write `{found}`"
        if self.why is None:
            why = f"the catalog `{self.catalog}` no longer has that model; `{found}` may be another one"
            return NotFound(why, code=Code.UNKNOWN_MODEL, hints=[take], catalog=self.catalog)
        return UsageError(
            f"the catalog `{self.catalog}` cannot be read, and is asked before `{found}`: {self.why}",
            code=Code.UNREADABLE_CATALOG,
            hints=[take, f"else fix the catalog, or take it out: `modelpm catalog remove {self.catalog}`"],
            catalog=self.catalog,
        )
