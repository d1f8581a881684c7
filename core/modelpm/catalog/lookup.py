"""Find models in the catalogs: first catalog wins, full names always work, and a broken one costs only itself.

Except where that would give another model than the user meant: a catalog of their own that cannot be read may have had
the id that a later one answers for.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TypeVar

from modelpm.api.events import Bus
from modelpm.api.kinds import Catalog, Recognizer
from modelpm.api.types import CatalogText, Finding, KnownFile, Severity
from modelpm.catalog.entry import About, Entry
from modelpm.catalog.parse import parse_about, parse_entry
from modelpm.errors import Code, ModelpmError, NotFound, PluginError, UsageError
from modelpm.text.shorthand import FILES
from modelpm.text.spec import CatalogSpec
from modelpm.text.suggest import did_you_mean, nearest, suggest
from modelpm.text.untrusted import MODEL_ID, printable

_MOST_NEAR = 3
LATEST = "latest"  # what other tools call the recommended variant
_T = TypeVar("_T")


class Catalogs:
    """The catalogs of one installation, in order of priority; each is opened when it is first needed. Thread-safe.

    Args:
        catalogs: Name and opener of each.
        own: Names of those that the user configured; see :meth:`find`.
        bus: Gets a warning for everything that is skipped.
    """

    def __init__(
        self,
        catalogs: Sequence[tuple[str, Callable[[], Catalog]]],
        *,
        own: Collection[str] = (),
        bus: Bus | None = None,
    ) -> None:
        self._opened = {name: _Opened(name, opener) for name, opener in catalogs}
        self._own = frozenset(own)
        self._bus = bus or Bus()
        self._problems: dict[str, ModelpmError] = {}

    @property
    def catalogs(self) -> tuple[str, ...]:
        """The catalogs' names, in order of priority."""
        return tuple(self._opened)

    @property
    def problems(self) -> tuple[ModelpmError, ...]:
        """Why catalogs or models were passed over so far, each once."""
        return tuple(self._problems.values())

    def names(self) -> tuple[str, ...]:
        """Return the full names, ``catalog/id``, of all models, without reading one."""
        return tuple(f"{opened.name}/{id_}" for opened in self._opened.values() for id_ in self._ids(opened))

    def find(self, id: str, catalog: str | None = None) -> Entry:  # noqa: A002 - the word of the contract
        """Return a model by its id or an alias.

        Args:
            id: The id or alias.
            catalog: Where to look; none means the first catalog that has it.

        Raises:
            NotFound: No such model; the hints name what is near.
            UsageError: No such catalog, code ``short_form``; the model's file is not valid or needs a newer modelpm;
                or, code ``unreadable_catalog``, one of the user's own catalogs, which goes before the one that has the
                model, cannot be read.
            IntegrityError: A file name in it is hostile.
            PluginError: The catalog that was asked for fails.
        """
        opened, _, real = self._first((id,), catalog)
        return opened.entry(real)

    def read(self, spec: CatalogSpec) -> tuple[Entry, CatalogSpec]:
        """Return the model that a spec names, and the spec in full: catalog, id and variant without alias.

        The whole spec may be an alias (``qwen3:8b``), and goes before its id. ``:latest`` is the recommended variant.

        Raises:
            ModelpmError: As :meth:`find`.
        """
        whole = f"{spec.id}:{spec.variant}" if spec.variant and not spec.release else spec.id
        opened, name, real = self._first(tuple(dict.fromkeys((whole, spec.id))), spec.catalog or None)
        entry = opened.entry(real)
        variant = spec.variant if name == spec.id else ""
        if variant not in {"", *(v.name for release in entry.releases for v in release.variants)}:
            if variant == LATEST:
                variant = ""
            elif real != spec.id and not spec.release:
                opened.refuse_size(spec.id, variant)
        return entry, CatalogSpec(entry.catalog, entry.id, spec.release, variant)

    def _first(self, names: Sequence[str], catalog: str | None) -> "tuple[_Opened, str, str]":
        """Return the first catalog that has one of the names, that name, and the id that it is or stands for."""
        if catalog is not None:
            opened = self._named(catalog, names[-1])
            if (found := opened.first(names)) is not None:
                return opened, *found
            raise self._unknown(names[-1], opened)
        doubt: tuple[str, ModelpmError] | None = None
        for opened in self._opened.values():
            try:
                found = opened.first(names)
            except ModelpmError as error:
                if opened.name in self._own:
                    doubt = doubt or (opened.name, error)
                else:
                    self._pass_over(opened, "", error)
                continue
            if found is not None and doubt is not None:
                raise _unreadable(*doubt, f"{opened.name}/{found[0]}")
            if found is not None:
                return opened, *found
        raise self._unknown(names[-1])

    def entries(self, catalog: str | None = None) -> Iterator[Entry]:
        """Yield every model that can be read, by catalog and id; what cannot is noted in ``problems``.

        Args:
            catalog: Whose; none means of all.

        Raises:
            NotFound: No such catalog.
            ModelpmError: The one that was asked for cannot be read.
        """
        asked = self._named(catalog) if catalog is not None else None
        for opened in self._opened.values() if asked is None else (asked,):
            for id_ in self._ids(opened) if asked is None else asked.ids():
                try:
                    entry = opened.entry(id_)
                except ModelpmError as error:
                    self._pass_over(opened, f"/{id_}", error)
                else:
                    yield entry

    def search(self, text: str = "", *, task: str = "", license: str = "", format: str = "") -> tuple[Entry, ...]:  # noqa: A002 - the command's options
        """Return the models that have every word of ``text``, the best match first.

        Args:
            text: Words, looked for in id, aliases, title, tags, tasks and description; none means all models.
                Punctuation does not matter, and a word that nothing has is read as the nearest one.
            task: Only models for this task, or for what else people call it: ``tts``.
            license: Only models under this license.
            format: Only models with a variant of this format.
        """
        from modelpm.catalog.search import Card, by_id, passes, search  # start-up: installing looks for no words

        aliases: dict[str, dict[str, list[str]]] = {}
        cards = []
        for entry in self.entries():
            if entry.catalog not in aliases:
                aliases[entry.catalog] = by_id(self._named(entry.catalog).about().aliases)
            if passes(entry, task=task, license=license, format=format):
                cards.append(Card.of(entry, aliases[entry.catalog].get(entry.id, ())))
        return search(cards, text)

    def recognize(self, sha256: str) -> tuple[KnownFile, ...]:
        """Return where the file of a digest is published, as far as some catalog knows; a broken one is passed over."""
        found: dict[KnownFile, None] = {}
        for opened in self._opened.values():
            try:
                found.update(dict.fromkeys(opened.recognize(sha256)))
            except ModelpmError as error:
                self._pass_over(opened, "", error)
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

    def _named(self, catalog: str, model: str = "") -> "_Opened":
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

    def _ids(self, opened: "_Opened") -> tuple[str, ...]:
        try:
            return opened.ids()
        except ModelpmError as error:
            self._pass_over(opened, "", error)
            return ()

    def _pass_over(self, opened: "_Opened", model: str, error: ModelpmError) -> None:
        self._problems[opened.name + model] = error
        self._bus.warn(f"the {'model' if model else 'catalog'} `{opened.name}{model}` is passed over: {error}")

    def _unknown(self, wanted: str, asked: "_Opened | None" = None) -> NotFound:
        names: dict[str, str] = {}  # what is near → how it is written
        for opened in self._opened.values():
            try:
                for name in (*opened.ids(), *opened.about().aliases):
                    names.setdefault(name, name if asked in {None, opened} else f"{opened.name}/{name}")
            except ModelpmError as error:
                self._problems[opened.name] = error
        near = nearest(wanted, names, _MOST_NEAR) or [n for n in names if wanted in n][:_MOST_NEAR]
        hints = [*did_you_mean([names[name] for name in near]), "`modelpm search TEXT` looks through the catalogs"]
        if wanted.endswith(FILES):
            hints.insert(0, f"a file is written with its folder, and `{printable(wanted)}` is not in this one")
        hints += [
            f"the catalog `{name}` could not be read: {e}" for name, e in self._problems.items() if "/" not in name
        ]
        where = f"the catalog `{asked.name}` has" if asked else "no catalog has"
        what = f"no model `{printable(wanted)}`" if asked else f"a model `{printable(wanted)}`"
        return NotFound(f"{where} {what}", code=Code.UNKNOWN_MODEL, hints=hints)


class _Opened:
    """One catalog, opened when first needed; what its plugin raises becomes a ``PluginError``."""

    def __init__(self, name: str, opener: Callable[[], Catalog]) -> None:
        self.name = name
        self._opener = opener  # a callable, because a catalog is a plugin, which is imported only when it is asked
        self._catalog: Catalog | None = None
        self._about: tuple[CatalogText, About] | None = None

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
        """Return where the file of a digest is published; nothing where the catalog knows no digests."""

        def known() -> tuple[KnownFile, ...]:
            catalog = self._open()
            return tuple(catalog.recognize(sha256)) if isinstance(catalog, Recognizer) else ()

        return self._ask(known)

    def audit(self) -> tuple[Finding, ...]:
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
        text = self._text(lambda: self._open().get(id_))
        return parse_entry(self.name, text, id=id_)

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


def _unreadable(catalog: str, error: ModelpmError, found: str) -> UsageError:
    return UsageError(
        f"the catalog `{catalog}` cannot be read, and is asked before `{found}`: {error}",
        code=Code.UNREADABLE_CATALOG,
        hints=[
            f"to take it from there all the same, write `{found}`",
            f"else fix the catalog, or remove `{catalog}` from `[catalogs]` in config.toml",
        ],
        catalog=catalog,
    )
