"""Keep the pins of a lock that git merged line by line: choose each model's pin from those in the merged text."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from urllib.parse import unquote

from modelpm.api.types import Reference
from modelpm.catalog import choose, satisfies
from modelpm.errors import ModelpmError
from modelpm.lockfile.canonical import block_text
from modelpm.lockfile.file import parse_block
from modelpm.lockfile.model import LockedModel
from modelpm.lockfile.salvage import Doubt, digests_in, references, single_file
from modelpm.project.lock_rules import is_clearly_of
from modelpm.resolution.candidate import Candidate, FromCatalog
from modelpm.resolution.resolver import Resolver
from modelpm.resolution.selection import format_of
from modelpm.text.spec import CatalogSpec

_VARIANT = re.compile(r'^variant = "([^"\\]*)"$', re.MULTILINE)
_SHOWN = 12  # characters of a revision


@dataclass(frozen=True, slots=True)
class Pin:
    """The pin of a model on one side.

    Attributes:
        release: Of a catalog's model; empty for others.
        upstream: The reference with its revision; empty if none is pinned.
        digest: Of a model whose source has no revisions; else empty.
    """

    release: str = ""
    upstream: str = ""
    digest: str = ""

    def __str__(self) -> str:
        revision = self.upstream.rpartition("@")[2] if "@" in self.upstream else ""
        return self.release or revision[:_SHOWN] or self.digest[: 3 + _SHOWN] or self.upstream


@dataclass(frozen=True, slots=True)
class Healer:
    """Finds the pins of one model.

    Attributes:
        resolver: Reads references and catalogs.
        found: The model that the manifest wants.
        doubt: What the merged text says of it.
    """

    resolver: Resolver
    found: Candidate
    doubt: Doubt

    def pins(self) -> list[Pin]:
        """Return the remaining pins: one, or several if both sides changed the model differently."""
        return sorted(self.doubt.pins(self._in), key=str)

    def pinned(self, pin: Pin) -> Candidate:
        """Return the wanted model at the release and revision of a pin."""
        target = self.found.target
        if isinstance(target, Reference):
            there = self._parsed(pin.upstream)
            found = replace(self.found, pin=self._locked_variant)
            return replace(found, target=replace(target, revision=there.revision)) if there else found
        requirement = self.found.requirement
        spec = CatalogSpec(target.entry.catalog, target.entry.id, f"=={pin.release}", self._variant)
        found = self.resolver.identify(requirement.asking(spec), name=self.found.name)
        if pin.upstream and isinstance(found.target, FromCatalog) and found.target.variant.upstream:
            variant = replace(found.target.variant, upstream=pin.upstream)
            found = replace(found, target=replace(found.target, variant=variant))
        return replace(found, requirement=requirement)

    def block(self, pin: Pin) -> LockedModel | None:
        """Return the block of a side with this pin, if it can be parsed."""
        readable = [m for m in self.doubt.models if m.requirement == self.found.requirement]
        found = next((m for m in readable if pin in self._in(block_text(m))), None)
        return found or (self._alone(pin.digest) if pin.digest else None)

    @property
    def _locked_variant(self) -> str:
        """The variant that both sides have locked, if they agree."""
        found = set(_VARIANT.findall(self.doubt.text))
        return found.pop() if len(found) == 1 else ""

    @property
    def _variant(self) -> str:
        spec = self.found.requirement.spec
        return spec.variant if isinstance(spec, CatalogSpec) else ""

    def _in(self, text: str) -> set[Pin]:
        target = self.found.target
        if not isinstance(target, Reference):
            return self._releases_in(target, text, self._revisions(text))
        if any(_place(r) == _place(target) for r in self._revisions(self.doubt.text)):
            return {Pin(upstream=_whole(r)) for r in self._revisions(text) if _place(r) == _place(target)}
        digests = {m.digest for m in self.doubt.models if m.requirement == self.found.requirement}
        return {Pin(digest=d) for d in digests_in(text) if d in digests or self._alone(d)}

    def _revisions(self, text: str) -> list[Reference]:
        return [r for uri in references(text) if (r := self._parsed(uri)) is not None and r.revision]

    def _alone(self, digest: str) -> LockedModel | None:
        """Return the model, if its spec names one file and the digest identifies the file."""
        text, requirement = self.doubt.text, self.found.requirement
        there = [uri for uri in references(text) if is_clearly_of(requirement.text, uri)]
        name = unquote(re.split("[?#]", there[0])[0]).rpartition("/")[2] if there else ""
        file = single_file(text, digest, name) if name else None
        if file is None:
            return None
        sources = tuple(uri for uri in there if "#" not in uri)[:1]
        files = (replace(file, sources=sources),)
        return LockedModel(self.found.name, requirement, files, upstream=there[0], format=format_of([file.path]))

    def _releases_in(self, target: FromCatalog, text: str, there: Sequence[Reference]) -> set[Pin]:
        """Return the release in a block, or the releases whose files are all in the text."""
        with suppress(ModelpmError):
            block = parse_block(text)
            said = self._parsed(block.upstream) if block.upstream else None
            return {Pin(block.release, _whole(said) if said is not None and said.revision else "")}
        spec = self.found.requirement.spec
        wanted = spec.release if isinstance(spec, CatalogSpec) else ""
        found = set[Pin]()
        for release in target.entry.releases:
            try:
                _, variant = choose(target.entry, f"=={release.version}", self._variant or None)
            except ModelpmError:  # withdrawn, or it has no such variant
                continue
            upstream = self._parsed(variant.upstream) if variant.upstream else None
            pins = {_whole(r) for r in there if upstream is not None and _place(r) == _place(upstream)}
            digests = [file.sha256 for file in variant.files if file.sha256]
            if (digests or pins) and all(digest in text for digest in digests) and satisfies(release.version, wanted):
                found |= {Pin(release.version, pin) for pin in pins or [""]}
        return found

    def _parsed(self, uri: str) -> Reference | None:
        try:
            return self.resolver.listings.registry.reference(uri)
        except ModelpmError:
            return None


def pins_of(resolver: Resolver, found: Candidate, said: Sequence[Doubt]) -> tuple[Healer, list[Pin]]:
    """Return the pins in the first of several texts that has one, with their healer."""
    tried = [(healer, healer.pins()) for healer in (Healer(resolver, found, doubt) for doubt in said)]
    return next((pair for pair in tried if pair[1]), tried[0])


def _place(reference: Reference) -> tuple[str, str]:
    return reference.scheme, reference.path


def _whole(reference: Reference) -> str:
    return str(replace(reference, file="", quantization=""))
