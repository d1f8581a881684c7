"""Check that the sources in a lock fit its specs, with the plugins and the catalogs on this machine."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote

from modelpm.environment.foreign import is_foreign
from modelpm.errors import Code, Denied, IntegrityError, ModelpmError
from modelpm.lockfile.model import LockedModel, archive_of
from modelpm.network.private import is_private
from modelpm.project.lock_rules import (
    ALLOW,
    DIR,
    LICENSE,
    LOCK_AGAIN,
    SIGNATURE,
    SOURCE,
    Violation,
    is_clearly_of,
    violations,
)
from modelpm.project.manifest import DEFAULT_DIR, Manifest
from modelpm.text.spec import CatalogSpec, UriSpec
from modelpm.text.untrusted import printable

if TYPE_CHECKING:  # start-up: what is clear from the texts needs no plugin
    from modelpm.api.types import Reference
    from modelpm.catalog import Catalogs, Entry
    from modelpm.catalog.drift import Drift
    from modelpm.plugins.registry import Registry

_BUILT_IN = "core"  # the built-in catalog names only public repositories and files of packages
_DIR = "name a new folder in `dir` of [settings] in models.toml, then run `modelpm lock`"
_POLICIES = {LICENSE: Code.POLICY, SIGNATURE: Code.UNSIGNED}
_SHOWN = 200  # characters of a reference


class Known(Protocol):
    """Plugins and catalogs, made at their first use, because most locks need neither."""

    @property
    def registry(self) -> "Registry":
        """The sources' plugins."""

    @property
    def catalogs(self) -> "Catalogs":
        """The catalogs on this machine."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Checks locked models against their specs.

    Attributes:
        known: Plugins and catalogs.
    """

    known: Known

    def violations(self, models: Iterable[LockedModel], manifest: Manifest | None) -> list[Violation]:
        """Return the rules that locked models break, from manifest and lock alone; open no catalog.

        Args:
            models: The locked models, under the names of the manifest.
            manifest: The manifest; None if only the lock counts.
        """
        models = tuple(models)
        found = violations(models, manifest)
        for model in models:
            strange = next(self._strange(model), None)
            if strange is not None:
                why = f"its source {strange} does not belong to its spec {_shown(model.requirement.text)}"
                found.append(Violation(model.name, why, SOURCE, LOCK_AGAIN))
        return found

    def entries(self, models: Iterable[LockedModel]) -> tuple[list[Violation], list[str]]:
        """Check models of catalogs against their entries.

        Returns:
            The refused sources; and a sentence for each file that its entry no longer names.
        """
        refused, moved = [], []
        for model in models:
            spec = model.requirement.spec
            if isinstance(spec, CatalogSpec):
                for reference, certain in self._unnamed(model, spec):
                    why = f"its source {_shown(reference)} is not named by the catalog's entry of {model.model}"
                    if certain:
                        refused.append(Violation(model.name, why, SOURCE, LOCK_AGAIN))
                    else:
                        moved.append(f"{model.name}: {why}; `modelpm upgrade {model.name}` moves to it")
                    break  # one line per model
        return refused, moved

    def drifts(self, models: Iterable[LockedModel]) -> Iterator["Drift"]:
        """Yield the drifts between locked models and the catalogs on this machine."""
        from modelpm.catalog.drift import drifts  # start-up, as above

        for model in models:
            spec = model.requirement.spec
            if isinstance(spec, CatalogSpec):
                try:
                    entry, _ = self.known.catalogs.read(spec)
                except ModelpmError:  # not on this machine
                    continue
                yield from drifts(entry, model)

    def drifted(self, models: Iterable[LockedModel], lock: str) -> list[str]:
        """Return a sentence for each such drift, and refuse blocked releases.

        Raises:
            Denied: Code ``blocked``.
        """
        from modelpm.catalog.drift import Kind  # start-up, as above

        said = list[str]()
        for drift in self.drifts(models):
            if drift.kind is Kind.BLOCKED:
                raise Denied(
                    f"{lock} is refused: {drift.name}: {drift.words}",
                    code=Code.BLOCKED,
                    hints=[f"choose another release or model, or take it out: `modelpm remove {drift.name}`"],
                    name=drift.name,
                )
            said.append(str(drift))
        return said

    def _strange(self, model: LockedModel) -> Iterator[str]:
        """Yield the references of a model that are outside the place that its spec names, printable."""
        spec = model.requirement.spec
        for text, path in _references(model):
            if isinstance(spec, CatalogSpec):
                if _BUILT_IN in {spec.catalog, model.catalog} and is_private(text):
                    yield _shown(text)
            elif not is_clearly_of(model.requirement.text, text, path) and not self._is_of(spec, text):
                yield _shown(text)

    def _is_of(self, spec: UriSpec, text: str) -> bool:
        wanted, found = self._parsed(spec), self._parsed(text)
        if wanted is None:  # no installed plugin can read it, so none can fetch it
            return spec.scheme == text.partition("://")[0].lower()
        return found is not None and _is_within(found, wanted)

    def _parsed(self, uri: UriSpec | str) -> "Reference | None":
        try:
            return self.known.registry.reference(uri)
        except ModelpmError:
            return None

    def _unnamed(self, model: LockedModel, spec: CatalogSpec) -> Iterator[tuple[str, bool]]:
        """Yield the references that the entry does not name, and whether that is more than a change of the entry."""
        try:
            entry: Entry | None = self.known.catalogs.read(spec)[0]
        except ModelpmError:  # not on this machine
            entry = None
        texts = entry.references() if entry is not None else frozenset[str]()
        named = [r for r in map(self._parsed, sorted(texts)) if r is not None]
        for text, path in _references(model):
            if any(is_clearly_of(name, text, path) for name in texts):
                continue
            found = self._parsed(text)
            if found is not None and any(_is_within(found, reference) for reference in named):
                continue
            if entry is None:
                if is_private(text):
                    yield text, True
                continue
            yield text, is_private(text) or not self._uses(entry, text.partition("://")[0].lower())

    def _uses(self, entry: "Entry", scheme: str) -> bool:
        """Whether a catalog uses a scheme; its other entries are read only if this entry does not use it."""
        if scheme in {text.partition("://")[0].lower() for text in entry.references()}:
            return True
        return any(scheme in card.schemes for card in self.known.catalogs.cards(entry.catalog))


def foreign_folders(root: Path, named: Iterable[str], models: Iterable[LockedModel]) -> list[Violation]:
    """Return the folders that a view may not use, because they exist and modelpm did not make them.

    The default folder is exempt: no text chose it, and modelpm replaces nothing in it that it did not make.

    Args:
        root: The project.
        named: The folders in manifest and lock; empty for the default.
        models: The locked models.
    """
    models = tuple(models)
    return [
        Violation("", f"its `dir` `{printable(name)}` is an existing folder that modelpm did not make", DIR, _DIR)
        for name in sorted({*named} - {"", DEFAULT_DIR})
        if is_foreign(root / name, models)
    ]


def refuse(found: Iterable[Violation], lock: str) -> None:
    """Raise an error for the rules that a lock breaks, if any; the most severe decides.

    Raises:
        IntegrityError: Sources or folder do not fit spec and manifest.
        Denied: A license is too long, or a signature is missing that the manifest requires.
    """
    refused = sorted((o for o in found if o.kind != ALLOW), key=lambda o: o.kind in _POLICIES)
    if not refused:
        return
    first = refused[0]
    message = "\n".join([f"{lock} is refused", *map(str, refused)])
    hints = list(dict.fromkeys(o.hint for o in refused))
    if first.kind in _POLICIES:
        raise Denied(message, code=_POLICIES[first.kind], hints=hints, name=first.name)
    raise IntegrityError(message, code=Code[f"lock_{first.kind}".upper()], hints=hints, name=first.name)


def _references(model: LockedModel) -> Iterator[tuple[str, str]]:
    if model.upstream:
        yield model.upstream, ""
    archives = {archive.path for archive in model.archives}
    sourced = [(file.path, file.sources) for file in model.files]
    sourced += [(archive.path, archive.sources) for archive in model.archives]
    for path, sources in sourced:
        for source in sources:
            if archive_of((source,)) not in archives:  # an archive is judged by its own sources
                yield source, path


def _is_within(found: "Reference", place: "Reference") -> bool:
    """Whether a reference is in the repository, the folder or the file that another names."""
    if found.scheme != place.scheme or not _is_plain(found.file):
        return False
    here, there = (reference.path.rstrip("/") for reference in (found, place))
    if found.scheme in {"http", "https"}:
        here, there = here.partition("#")[0], there.partition("#")[0]
    rest = here.removeprefix(there)
    return here == there or (here.startswith(there + "/") and _is_plain(rest[1:]))


def _is_plain(path: str) -> bool:
    """Whether no part of a path leads upwards, however it is encoded."""
    parts = re.split(r"[/\\]", unquote(unquote(path)))
    return not {".", ".."} & set(parts)


def _shown(text: str) -> str:
    from modelpm.network.redact import redact_urls

    text = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return f"`{printable(redact_urls(text))}`"
