"""Hold what a lock will write of a listing against the source: it must read it back, and serve the same file."""

from collections.abc import Sequence
from dataclasses import replace

from modelpm.api import FoundModel, Locator, ModelpmError, Parser, Reference, RemoteFile, Searching, Snapshot, Source
from modelpm.testing.promises import read, require


def check_references(source: Source, snapshot: Snapshot, secrets: Sequence[str]) -> None:
    """Assert that the reference of a listing, and that of each file, lead back to it.

    Raises:
        AssertionError: Says which one does not.
    """
    listing = str(snapshot.reference)
    for text in (listing, *(str(file.reference) for file in snapshot.files if file.reference is not None)):
        require(not any(secret in text for secret in secrets), "no reference holds a secret: locks are shared")
    again = _resolved(source, parsed(source, listing), listing)
    require(_facts(again) == _facts(snapshot), f"`{listing}`, which a lock writes, leads back to the same listing")
    for file in snapshot.files:
        _check_file(source, file, listing if file.reference is None else "", f"{listing}/{file.path}")


def check_search(source: Source, scheme: str, words: str) -> None:
    """Assert that a source finds models that it can list.

    Raises:
        AssertionError: Says which promise is broken.
    """
    require(isinstance(source, Searching), "a source with a search has `search(text, limit)`")
    assert isinstance(source, Searching)  # noqa: S101 - for the type; as required above
    found = tuple(source.search(words, 1))
    require(len(found) == 1, f"a search for `{words}` with the limit 1 finds one model, not {len(found)}")
    require(isinstance(found[0], FoundModel), f"search gives FoundModels, not a {type(found[0]).__name__}")
    spec = found[0].spec
    require(spec.startswith(f"{scheme}://"), f"a spec that search finds begins with {scheme}://, not {spec}")
    reference = replace(parsed(source, spec), file="", quantization="")
    require(bool(_resolved(source, reference, spec).files), f"`{spec}`, which search finds, has files")


def parsed(source: Source, text: str) -> Reference:
    """Return what a source reads in the text of a reference.

    Raises:
        AssertionError: It raises.
    """
    scheme, _, rest = text.partition("://")
    if not isinstance(source, Parser):
        return Reference(scheme, rest)
    try:
        return source.parse(rest)
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        raise AssertionError(f"broken promise: parse reads `{text}`, which a lock writes; it raised {said}") from error


def _check_file(source: Source, file: RemoteFile, listing: str, joined: str) -> None:
    text = joined if file.reference is None else str(file.reference)
    reference = parsed(source, text)
    if listing and reference.file:
        said = f"parse reads `{text}` as the file `{file.path}` of the listing, not `{reference.file}`"
        require(reference.file == file.path, said)
        _leads_to(source, file, reference, text)
    locations = source.locate(reference, file.path) if isinstance(source, Locator) else ()
    if locations:
        _check_locations(source, file, locations, text)
    elif not listing:  # a file with a reference of its own
        _leads_to(source, file, reference, text)


def _leads_to(source: Source, file: RemoteFile, reference: Reference, text: str) -> None:
    found = _resolved(source, replace(reference, file=""), text)
    wanted = reference.file or file.path
    require(any(other.path == wanted for other in found.files), f"`{text}` leads to a listing with `{wanted}`")


def _check_locations(source: Source, file: RemoteFile, locations: Sequence[str], text: str) -> None:
    wanted = read(source, file, file.locations[0], 0, None)
    for location in locations:
        try:
            found = read(source, file, location, 0, None)
        except (ModelpmError, OSError) as error:
            said = f"locate gives locations of `{text}` that open; {location} raised {type(error).__name__}: {error}"
            raise AssertionError(f"broken promise: {said}") from error
        require(found == wanted, f"locate gives locations of `{text}`, and {location} has other bytes")


def _resolved(source: Source, reference: Reference, text: str) -> Snapshot:
    try:
        return source.resolve(reference)
    except ModelpmError as error:
        said = f"`{text}` can be resolved; it raised {type(error).__name__}: {error}"
        raise AssertionError(f"broken promise: {said}") from error


def _facts(snapshot: Snapshot) -> list[tuple[str, int | None, str]]:
    return sorted((file.path, file.size, str(file.digest)) for file in snapshot.files)
