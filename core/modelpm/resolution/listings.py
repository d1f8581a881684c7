"""From references to locations: where the bytes of one file can be fetched now. Locations never leave the process."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event, Lock

from modelpm.api.events import Bus
from modelpm.api.stages import Work
from modelpm.api.types import Digest, Reference, RemoteFile, Snapshot
from modelpm.errors import Code, IntegrityError, ModelpmError, NotFound, UsageError
from modelpm.lockfile.model import LockedFile, LockedModel
from modelpm.network.mirrors import mirrored
from modelpm.network.redact import redact_urls
from modelpm.plugins.registry import Registry
from modelpm.resolution.cancellable import unless
from modelpm.resolution.resolve import ResolvedFile, ResolvedModel, contradiction, file_in
from modelpm.text.untrusted import printable
from modelpm.transfer import Origin


@dataclass(slots=True)
class Listings:
    """Resolves each reference once per run. Thread-safe.

    Attributes:
        registry: The sources.
        mirrors: URI prefixes, each with those to try instead; see :mod:`modelpm.network.mirrors`.
        cancelled: Set it from another thread to end the wait for an answer.
        bus: Gets a stage while a source is asked.
    """

    registry: Registry
    mirrors: Mapping[str, Sequence[str]] = field(default_factory=dict)
    cancelled: Event = field(default_factory=Event)
    bus: Bus = field(default_factory=Bus)
    _snapshots: dict[Reference, Snapshot] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def of(self, reference: Reference) -> Snapshot:
        """Return the whole listing behind a reference, without its selection.

        Raises:
            Interrupted: Cancelled.
            ModelpmError: As the source says.
        """
        whole = replace(reference, file="", quantization="")
        with self._lock:
            if whole not in self._snapshots:
                source = self.registry.source(whole.scheme)
                with self.bus.during(Work.RESOLVING, redact_urls(str(whole))):
                    self._snapshots[whole] = unless(self.cancelled, lambda: source.resolve(whole))
            return self._snapshots[whole]

    def put(self, reference: Reference, snapshot: Snapshot) -> None:
        """Keep a listing also under the reference that pins it."""
        with self._lock:
            self._snapshots[replace(reference, file="", quantization="")] = snapshot

    def forget(self, reference: Reference) -> None:
        """Forget a listing, because a location in it has expired."""
        with self._lock:
            self._snapshots.pop(replace(reference, file="", quantization=""), None)


def addresses(listings: Listings, model: LockedModel, file: LockedFile) -> list[str]:
    """Return the public addresses of a locked file, best first, without signatures and credentials.

    Raises:
        ModelpmError: No source or mirror knows one.
    """
    wanted = ResolvedFile(file.path, file.size, Digest("sha256", file.sha256), file.sources)
    labels = [origin.label for origin in locator(listings, ResolvedModel.of_locked(model), wanted)()]
    return list(dict.fromkeys(label if "://" in label else Path(label).as_uri() for label in labels))


def locator(listings: Listings, model: ResolvedModel, file: ResolvedFile) -> Callable[[], Sequence[Origin]]:
    """Return a function that finds the locations of one file, best first; each call asks again if needed.

    The function raises the first source's error if no source of the file answers.
    """
    asked: list[str] = []

    def locate() -> Sequence[Origin]:
        origins: list[Origin] = []
        errors: list[ModelpmError] = []
        for source in file.sources:
            try:
                origins.extend(_origins(listings, model, file, source, again=source in asked))
            except ModelpmError as error:
                errors.append(error)
            else:
                asked.append(source)
        if not origins:
            raise errors[0] if errors else NotFound(f"`{printable(file.path)}` of {model.name} has no source")
        return origins

    return locate


def _origins(listings: Listings, model: ResolvedModel, file: ResolvedFile, text: str, *, again: bool) -> list[Origin]:
    registry = listings.registry
    reference = registry.reference(text)
    source = registry.source(reference.scheme)
    locations = source.locate(reference, file.path)
    if locations:
        remote = RemoteFile(file.path, file.size, file.digest, locations)
    else:
        own = _listed_in(registry, model, file, text)
        listed = own or replace(reference, file="")
        if again:
            listings.forget(listed)
        path = file.path if own else reference.file or file.path
        remote = _in_listing(listings.of(listed), file, path)
    origins: list[Origin] = []
    for location in remote.locations:
        for uri in mirrored(listings.mirrors, text, location, source.base):
            origins += _of_mirror(registry, file, uri, remote.pieces)
        origins.append(Origin(source, remote, location, redact_urls(location)))
    return origins


def _of_mirror(registry: Registry, file: ResolvedFile, uri: str, pieces: tuple[str, ...]) -> list[Origin]:
    try:
        reference = registry.reference(uri)
    except UsageError as error:
        raise UsageError(f"[mirrors] leads to what cannot be used: {error.message}", hints=error.hints) from error
    source = registry.source(reference.scheme)  # so that it gets no credential of the original source
    locations = source.locate(reference, file.path)
    remote = RemoteFile(file.path, file.size, file.digest, locations, pieces=pieces)
    return [Origin(source, remote, location, redact_urls(location), mirror=True) for location in locations]


def _listed_in(registry: Registry, model: ResolvedModel, file: ResolvedFile, text: str) -> Reference | None:
    """Return the reference whose listing has the file, if it is the model's own."""
    if not model.upstream or text != f"{model.upstream.rstrip('/')}/{file.path}":
        return None
    return model.pinned or registry.reference(model.upstream)


def _in_listing(snapshot: Snapshot, file: ResolvedFile, path: str) -> RemoteFile:
    """Return the file of a path in a listing, completed with the known facts, which the listing must not contradict."""
    found = file_in(snapshot, path)
    if found is None:
        raise NotFound(f"{snapshot.reference} has no file `{printable(path)}` any more")
    if other := contradiction(file, found):
        raise IntegrityError(
            f"the {other.what} of `{printable(path)}` at {snapshot.reference} is not what was pinned:"
            f" expected {other.expected}, got {other.actual}",
            code=Code[f"{other.what}_mismatch".upper()],
            file=file.path,
            expected=other.expected,
            actual=other.actual,
            hints=["the file was changed at the source; another source of the same bytes is needed"],
        )
    size = found.size if file.size is None else file.size
    return replace(found, size=size, digest=file.digest or found.digest)
