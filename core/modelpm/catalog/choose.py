"""Choose a release and a variant of an entry. Pure."""

from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from modelpm.catalog.entry import Entry, Release, Variant
from modelpm.errors import Code, Denied, NotFound, UsageError
from modelpm.text.suggest import suggest
from modelpm.text.untrusted import printable

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet


def choose(entry: Entry, release: str | None = None, variant: str | None = None) -> tuple[Release, Variant]:
    """Return the newest release that fits, and its variant.

    Args:
        entry: The model.
        release: A version or its beginning (``1`` is the newest 1.x), or a PEP 440 specifier; none means the newest.
        variant: A variant's name; none means the release's default.

    Raises:
        UsageError: ``release`` is neither a version nor a specifier.
        NotFound: Nothing fits; lists what there is. Code ``yanked`` where only withdrawn releases do.
        Denied: What fits is blocked.
    """
    chosen = _release(entry, release or "")
    return chosen, _variant(entry, chosen, (variant or chosen.default_variant).lower())


def satisfies(version: str, wanted: str) -> bool:
    """Whether a release's version is one of those that a spec asks for; an empty ``wanted`` asks for any.

    Raises:
        UsageError: As :func:`choose`.
    """
    return _specifier(wanted).contains(version, prereleases=True)


def _release(entry: Entry, wanted: str) -> Release:
    releases = {Version(release.version): release for release in entry.releases}
    specifier = _specifier(wanted)
    good = [version for version, release in releases.items() if not release.yanked and not release.blocked]
    # As everywhere in Python: a pre-release only where it is named or there is nothing else.
    newest = max(specifier.filter(good), default=None)
    if newest is not None:
        return releases[newest]
    fitting = [releases[version] for version in sorted(specifier.filter(releases, prereleases=True))]
    pinned = _pinned(wanted)
    exact = [release for release in fitting if Version(release.version) == pinned]
    if blocked := [release for release in exact or fitting if release.blocked]:
        raise _blocked(entry, blocked[-1])
    if exact:
        return exact[0]
    raise _no_release(entry, wanted, fitting)


def _specifier(wanted: str) -> "SpecifierSet":
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # start-up: addresses have no releases

    try:
        version = Version(wanted)
    except InvalidVersion:
        pass
    else:
        final = not (version.is_prerelease or version.is_postrelease or version.local)
        return SpecifierSet(f"=={version}.*" if final else f"=={version}")
    try:
        return SpecifierSet(wanted)
    except InvalidSpecifier:
        newest = ["without `@` you get the newest release"] if wanted.lower() in {"latest", "newest"} else []
        raise UsageError(
            f"`{printable(wanted)}` is neither a release nor a range of releases",
            hints=newest
            or ["write `@1.0` for the newest 1.0.x, `@1` for the newest 1.x, or a range such as `@>=1,<2`"],
        ) from None


def _pinned(wanted: str) -> Version | None:
    """Return the one version that is named in full, as `1.0` or `==1.0`, or None."""
    try:
        return Version(wanted.lstrip("= "))
    except InvalidVersion:
        return None


def _blocked(entry: Entry, release: Release) -> Denied:
    return Denied(
        f"{entry.name} {release.version} is blocked by its catalog: {printable(release.blocked)}",
        code=Code.BLOCKED,
        hints=["it is refused even if it is locked; choose another release or model"],
    )


def _no_release(entry: Entry, wanted: str, fitting: list[Release]) -> NotFound:
    there = ", ".join(_labelled(release) for release in entry.releases)
    asked = f"{entry.name}@{printable(wanted)}" if wanted else entry.name
    if fitting:
        last = fitting[-1]
        return NotFound(
            f"{asked}: every release that fits was withdrawn; {last.version}: {printable(last.yanked)}",
            code=Code.YANKED,
            hints=[f"there are: {there}", f"to take it anyway, use its full name: {entry.name}@{last.version}"],
        )
    return NotFound(f"unknown release {asked}", code=Code.UNKNOWN_RELEASE, hints=[f"there are: {there}"])


def _labelled(release: Release) -> str:
    state = " (blocked)" if release.blocked else " (withdrawn)" if release.yanked else ""
    return release.version + state


def _variant(entry: Entry, release: Release, name: str) -> Variant:
    for variant in release.variants:
        if variant.name == name:
            return variant
    names = [variant.name for variant in release.variants]
    hints = [*suggest(name, names, before=f"{entry.id}:"), f"there are: {', '.join(names)}"]
    raise NotFound(
        f"{entry.name} {release.version} has no variant `{printable(name)}`", code=Code.UNKNOWN_VARIANT, hints=hints
    )
