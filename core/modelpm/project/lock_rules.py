"""Rules for every lock, even one that a stranger wrote. Pure: judged from the manifest and the lock alone."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from modelpm.lockfile.model import MAX_LICENSE, LockedModel
from modelpm.project.drift import Reason
from modelpm.project.manifest import Manifest
from modelpm.text.untrusted import printable

SOURCE, DIR, LICENSE, ALLOW, SIGNATURE = "source", "dir", "license", "allow", "signature"
LOCK_AGAIN = "`modelpm lock` beside models.toml locks it again from its spec; or take models.lock from version control"
_PLACES = frozenset({"file", "pkg", "http", "https"})  # their references have no revision: the whole text is the place
_REVISION = re.compile(r"@(?!\.\.?(?:/|$))[^/@:?#]+(/|$)")


@dataclass(frozen=True, slots=True)
class Violation(Reason):
    """A rule that a lock breaks.

    Attributes:
        kind: ``source``, ``dir``, ``license``, ``signature``; or ``allow`` for a word that the manifest lacks.
        hint: The next step.
    """

    kind: str
    hint: str


def violations(models: Iterable[LockedModel], manifest: Manifest | None) -> list[Violation]:
    """Return the rules that locked models break, except those about sources.

    Args:
        models: The locked models, under the names of the manifest.
        manifest: Decides which code is allowed; without one, the bytes are checked against the lock's own ``allow``.
    """
    return [found for model in models for found in _of_model(model, manifest)]


def _of_model(model: LockedModel, manifest: Manifest | None) -> Iterator[Violation]:
    if manifest is not None and (words := set(model.allow) - manifest.words(model.name)):
        why = f"the lock allows {', '.join(map(printable, sorted(words)))}, and the manifest does not"
        yield Violation(model.name, why, ALLOW, LOCK_AGAIN)
    if manifest is not None and manifest.rules.must_be_signed(model.name) and not model.signatures:
        yield Violation(model.name, "the manifest requires a signature, and the lock has none", SIGNATURE, LOCK_AGAIN)
    if len(model.license) > MAX_LICENSE:
        why = f"its license has {len(model.license):,} characters; at most {MAX_LICENSE} are allowed"
        yield Violation(model.name, why, LICENSE, LOCK_AGAIN)


def is_clearly_of(spec: str, reference: str, path: str = "") -> bool:
    """Whether the texts alone show that a reference is in the place that a spec names.

    Only the scheme's source can show the opposite, because one place can be written in many ways.

    Args:
        spec: A reference as a user writes it.
        reference: One as a lock has it.
        path: One file of it; empty means the whole.
    """
    scheme, _, rest = spec.partition("://")
    if scheme.lower() in {"http", "https"}:  # schemes in which a digest follows `#`
        spec, reference = spec.partition("#")[0], reference.partition("#")[0]
    place = spec.rstrip("/?")
    if reference in {place, f"{place}/{path}"}:
        return True
    place = f"{scheme}://{re.split('[@:#?]', rest, maxsplit=1)[0]}"
    if scheme.lower() in _PLACES or not reference.startswith(place):
        return False
    revision = _REVISION.match(reference, len(place))
    return revision is not None and reference[revision.end() :] == path
