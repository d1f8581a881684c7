"""How a locked model and its catalog's entry differ by now: each way has a code, words, and a weight. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from modelpm.catalog.entry import Entry, Variant
from modelpm.lockfile.model import LockedModel
from modelpm.text.untrusted import printable

_COMMIT = re.compile(r"@([0-9a-f]{40}(?:[0-9a-f]{24})?)(?:$|[/:])")


CHANGED = "its catalog entry changed since it was locked"
MOVED = "its upstream moved: the branch has another commit by now"


class Kind(StrEnum):
    """The ways, the gravest first."""

    BLOCKED = "blocked"
    YANKED = "yanked"
    RELEASE_GONE = "release_gone"
    ENTRY_CHANGED = "entry_changed"
    UPSTREAM_MOVED = "upstream_moved"
    DEPRECATED = "deprecated"
    NEW_RELEASE = "new_release"


@dataclass(frozen=True, slots=True)
class Drift:
    """One way in which a model is not what its catalog says by now.

    Attributes:
        name: The model's name in its environment.
        kind: The code.
        words: What it is.
        fix: What to do.
    """

    name: str
    kind: Kind
    words: str
    fix: str

    def __str__(self) -> str:
        return f"{self.name}: {self.words} [{self.kind}]; {self.fix}"


def drifts(entry: Entry, model: LockedModel) -> Iterator[Drift]:
    """Yield what an entry says of a locked model by now, the gravest first; nothing is asked for."""
    upgrade, name = f"`modelpm upgrade {model.name}` moves to it", model.name
    here = next((release for release in entry.releases if release.version == model.release), None)
    if here is None:
        yield Drift(name, Kind.RELEASE_GONE, f"{model.release} is not in the catalog any more", upgrade)
    elif here.blocked:
        why = f"{entry.name} {here.version} is blocked by its catalog: {printable(here.blocked)}"
        yield Drift(name, Kind.BLOCKED, why, "it is refused: choose another release or model")
    elif here.yanked:
        why = f"{entry.name} {here.version} is yanked: {printable(here.yanked)}"
        yield Drift(name, Kind.YANKED, why, upgrade)
    other_terms = bool(entry.license) and entry.license != model.license
    if here is not None and (other_terms or any(edited(v, model) for v in here.variants if v.name == model.variant)):
        yield Drift(name, Kind.ENTRY_CHANGED, CHANGED, upgrade)
    if entry.deprecated is not None:
        instead = entry.deprecated.replacement
        use = f"use `{entry.catalog}/{instead}`" if instead else "look for another model: `modelpm search`"
        yield Drift(name, Kind.DEPRECATED, f"{entry.name} is deprecated: {printable(entry.deprecated.reason)}", use)


def edited(variant: Variant, model: LockedModel) -> bool:
    """Whether an entry names other bytes, or another place for them, than it did when the model was locked.

    What an entry leaves open, a digest or a commit, cannot tell.
    """
    locked = {file.path: file for file in model.files}
    plain = [file for file in variant.files if not file.unpack]
    if any(file.path not in locked or file.sha256 not in {None, locked[file.path].sha256} for file in plain):
        return True
    if variant.files and len(plain) == len(variant.files) and len(locked) != len(plain):
        return True
    wanted, there = _COMMIT.search(variant.upstream), _COMMIT.search(model.upstream)
    if wanted is not None and there is not None and wanted[1] != there[1]:
        return True
    return bool(variant.upstream and model.upstream) and _place(variant.upstream) != _place(model.upstream)


def is_pinned(entry: Entry, model: LockedModel) -> bool:
    """Whether the entry says at which commit the files of a model are."""
    variants = [v for release in entry.releases if release.version == model.release for v in release.variants]
    return any(_COMMIT.search(v.upstream) for v in variants if v.name == model.variant)


def _place(upstream: str) -> str:
    """Return the repository of an upstream, without what is chosen in it."""
    scheme, _, rest = upstream.partition("://")
    return f"{scheme.lower()}://{re.split('[@:]', rest)[0]}".rstrip("/")
