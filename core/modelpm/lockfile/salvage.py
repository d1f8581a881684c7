"""Recover the pin of one model from a lock that git merged line by line, where its block is lost. Pure."""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import islice, product
from typing import NamedTuple, TypeVar

from modelpm.lockfile.model import LockedFile, LockedModel, m1

NAME = re.compile(r'^name = "([^"\\]*)"$', re.MULTILINE)
_ID = re.compile(r'^id = "([^"\\]*)"$', re.MULTILINE)
_SPEC = re.compile(r'^spec = (?:"([^"\\]*)"|\{ source = "([^"\\]*)".*)$', re.MULTILINE)
_PINNED = re.compile(r'^(?:upstream = |    )"([a-z][a-z0-9+.-]+://[^"\\]*)",?$')
_SHA256 = re.compile(r'^sha256 = "([0-9a-f]{64})"$')
_DIGEST = re.compile(r'^digest = "(m1:[0-9a-f]{64})"$', re.MULTILINE)
_FILE = (r"^size = ([0-9]{1,18})$", r'^sha256 = "([0-9a-f]{64})"$')
_MOST_TRIES = 1000
_T = TypeVar("_T")
Pinned = tuple[str, str]  # a reference, and the SHA-256 of the file that it is a source of; empty for an upstream


class Said(NamedTuple):
    """The pin of a model on one side.

    Attributes:
        text: The blocks that may be the model's, as they stand.
        own: Those of their lines that stand in a conflict, and so are this side's for certain.
    """

    text: str = ""
    own: str = ""


NOTHING = Said()


@dataclass(frozen=True, slots=True)
class Doubt:
    """The pins, on the sides of a merge, of a model whose block cannot be kept.

    Attributes:
        ours: What our side says.
        base: What both sides came from; only what is certain of it counts.
        theirs: What their side says.
        models: The blocks among them that can be read.
    """

    ours: Said = NOTHING
    base: Said = NOTHING
    theirs: Said = NOTHING
    models: tuple[LockedModel, ...] = ()

    @property
    def text(self) -> str:
        """All that the two sides say."""
        return self.ours.text + self.theirs.text

    def pins(self, of: Callable[[str], Collection[_T]]) -> set[_T]:
        """Return what the model may be pinned to: one pin, or several where both sides changed it differently.

        Args:
            of: Returns the model's pins in a text.
        """
        found = {pin for side in (self.ours, self.theirs) for pin in of(side.own) or of(side.text)}
        return found - set(of(self.base.own)) or found


def digests_in(text: str) -> frozenset[str]:
    """Return every digest of a model that a text has."""
    return frozenset(_DIGEST.findall(text))


def references(text: str) -> list[str]:
    """Return what a text pins: every upstream and source, each once."""
    return list(dict.fromkeys(uri for uri, _ in pins_in(text)))


def single_file(text: str, digest: str, path: str) -> LockedFile | None:
    """Return the only file of a model, from lines of several blocks: the digest proves which lines are its own."""
    sizes, hashes = (dict.fromkeys(re.findall(line, text, re.MULTILINE)) for line in _FILE)
    for size, sha256 in islice(product(sizes, hashes), _MOST_TRIES):
        file = LockedFile(path, int(size), sha256, ())
        if m1([file]) == digest:
            return file
    return None


def strangers_in(span: str) -> set[Pinned]:
    """Return the pins in a block that are not of its own spec, or all of them if that cannot be told."""
    specs = specs_in(span)
    ids = {spec.rpartition("/")[2].partition("@")[0].partition(":")[0] for spec in specs if "://" not in spec}
    if ids and set(_ID.findall(span)) <= ids:
        return set()
    return {pin for pin in pins_in(span) if not is_of(specs, pin)}


def specs_in(text: str) -> set[str]:
    """Return the specs in a text."""
    return {plain or source for plain, source in _SPEC.findall(text)}


def is_of(specs: Collection[str], pin: Pinned) -> bool:
    """Whether a pin is in the place that one of the specs names, as far as the texts tell."""
    stem = stem_of(pin)
    return any(spec == stem or (spec.startswith(stem) and spec[len(stem)] in "@:/#") for spec in specs)


def pins_in(text: str) -> Iterator[Pinned]:
    """Yield what the lines of a text pin."""
    sha256 = ""
    for line in text.splitlines():
        if found := _SHA256.match(line):
            sha256 = found[1]
        elif found := _PINNED.match(line):
            yield found[1], sha256 if line.startswith(" ") else ""


def is_torn(span: str) -> bool:
    """Whether a block pins one place to two revisions."""
    found: dict[str, set[str]] = {}
    for uri, _ in pins_in(span):
        place, _, rest = uri.partition("@")
        found.setdefault(place, set()).add(rest.partition("/")[0])
    return any(len(revisions) > 1 for revisions in found.values())


def stem_of(pin: Pinned) -> str:
    """Return a reference without revision and file: what stays the same when a model changes."""
    return pin[0].partition("@")[0]
