"""Push: send models to a registry or a bucket: first the blobs that it lacks, last the name."""

import hashlib
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from modelpm import disk
from modelpm.api import oci
from modelpm.api.events import Ongoing
from modelpm.api.stages import Work
from modelpm.api.types import Reference
from modelpm.bundle import artifact
from modelpm.bundle.artifact import Artifact
from modelpm.bundle.gather import gather, kept
from modelpm.disk import system
from modelpm.environment.environment import Environment
from modelpm.errors import IntegrityError, Interrupted, NotFound, UsageError
from modelpm.events.acts import acting
from modelpm.events.call import Call
from modelpm.lockfile.file import Lock, check_carried
from modelpm.lockfile.model import LockedModel
from modelpm.plugins.kinds.source import GuardedSource
from modelpm.plugins.registry import Registry
from modelpm.results.pushed import Pushed
from modelpm.store import Store
from modelpm.transfer.bandwidth import Limiter

_BUFFER = 4 << 20


@dataclass(frozen=True, slots=True)
class Load:
    """The models of a push, all from one store.

    Attributes:
        parts: The environments, each with its models.
        whole: The lock of a project to push as a whole; None if models were named.
    """

    parts: tuple[tuple[Environment, tuple[LockedModel, ...]], ...]
    whole: Lock | None = None

    @property
    def models(self) -> tuple[LockedModel, ...]:
        """All models, by name."""
        found = {model.name: model for _, models in self.parts for model in models}
        return tuple(found[name] for name in sorted(found))


@dataclass(frozen=True, slots=True)
class Pusher:
    """Pushes models to one place.

    Attributes:
        registry: The sources.
        store: Has the bytes.
        call: The user, the cancellation, and the bus for events.
        limiter: The limit on bandwidth.
    """

    registry: Registry
    store: Store
    call: Call
    limiter: Limiter

    def push(self, target: str, load: Load) -> Pushed:
        """Send the missing blobs; the name is written after every model is complete.

        Args:
            target: A reference as typed.
            load: The models.

        Raises:
            UsageError: The target does not take pushes.
            NotFound: The store lacks a blob.
            Denied: The registry refuses.
        """
        place = self._place(target)
        source = self.registry.source(place.scheme)
        models = load.models
        if not models:
            raise UsageError(
                "there is nothing to push: no model is locked", hints=["`modelpm list` shows what is here"]
            )
        details = {"models": [model.name for model in models][:100]}
        kind = "project" if load.whole is not None else "model"
        with (
            acting(
                self.call.bus, "push", resource_type=kind, resource_id=target, user=self.call.user, details=details
            ) as outcome,
            kept(self.store),
        ):
            for environment, part in load.parts:
                gather(environment, part, proven=True)
            there = _There.of(source, place)
            made = self._artifact(place, load, self._pieces(models, there.pieces))
            uploaded = self._sent(source, place, models, made)
            if there.digest != made.root.digest:
                for document in made.documents:
                    source.seal(place, document, named=document is made.root)
            size = sum({file.sha256: file.size for model in models for file in model.files}.values())
            outcome.details.update(digest=made.root.digest, bytes=size, uploaded=uploaded)
        name = models[0].name if len(models) == 1 and load.whole is None else ""
        return Pushed(name, target, made.root.digest, size, uploaded)

    def _place(self, target: str) -> Reference:
        place = self.registry.reference(target)
        if place.file or place.quantization or oci.is_digest(place.revision or ""):
            raise UsageError(
                f"`{target}` is not a place to push to: it names a digest or a file",
                hints=["name a tag or a prefix: oci://HOST/REPOSITORY:TAG, s3://BUCKET/PREFIX"],
            )
        return place

    def _artifact(self, place: Reference, load: Load, pieces: artifact.Pieces) -> Artifact:
        models = load.models
        made = [artifact.of_model(model, pieces) for model in models]
        if load.whole is None and len(models) == 1:
            return made[0]
        moved = [artifact.moved(model, place, each.root.digest) for model, each in zip(models, made, strict=True)]
        if load.whole is None:  # the groups were the project's
            moved = [replace(model, groups=()) for model in moved]
        groups = load.whole.default_groups if load.whole is not None else ()
        lock = Lock().with_settings("", groups).changed(put=moved)
        return artifact.of_lock(lock, made, check_carried(lock.render().encode()))

    def _pieces(self, models: Sequence[LockedModel], known: artifact.Pieces) -> artifact.Pieces:
        """Return the digests of the pieces of every file: from an earlier push, or hashed."""
        found = dict[str, Sequence[str]]()
        for file in (file for model in models for file in model.files):
            if file.sha256 in found or file.size <= oci.PIECE:
                continue
            if file.sha256 in known:
                found[file.sha256] = known[file.sha256]
                continue
            with self.call.bus.during(Work.HASHING, file.path, total=file.size) as hashing:
                found[file.sha256] = list(_hashed(self.store.blob(file.sha256), file.size, self._counter(hashing)))
        return found

    def _sent(self, source: GuardedSource, place: Reference, models: Iterable[LockedModel], made: Artifact) -> int:
        """Send the missing blobs; return the number of bytes sent."""
        contents: dict[str, tuple[oci.Descriptor, str, Path | bytes]] = {}
        for model in models:
            for file in model.files:
                blob = artifact.blob_of(file)
                contents.setdefault(blob.digest, (blob, file.path, self.store.blob(file.sha256)))
        for blob, text in made.texts:
            contents.setdefault(blob.digest, (blob, "", text))
        uploaded = 0
        for blob, path, origin in contents.values():
            self._check_stopped()
            if source.has(place, blob):
                continue
            name = path or blob.digest[:19]
            with self.call.bus.during(Work.SENDING, name, total=blob.size) as sending:
                uploaded += source.send(place, blob, oci.Content(origin, self._counter(sending, self.limiter)))
        return uploaded

    def _counter(self, ongoing: Ongoing, limiter: Limiter | None = None) -> "_Counter":
        return _Counter(ongoing, self.call.cancelled, limiter)

    def _check_stopped(self) -> None:
        if self.call.cancelled.is_set():
            raise _interrupted()


@dataclass(slots=True)
class _Counter:
    """Counts sent bytes, tells the progress, stops if the user cancels, and keeps the rate limit."""

    ongoing: Ongoing
    cancelled: threading.Event
    limiter: Limiter | None

    def add(self, count: int) -> None:
        self.ongoing.add(count)
        wait = self.limiter.charge(count) if self.limiter is not None else 0.0
        if self.cancelled.wait(wait) if wait else self.cancelled.is_set():
            raise _interrupted()


@dataclass(frozen=True, slots=True)
class _There:
    """The manifests that a reference names at its place.

    Attributes:
        digest: Of the manifest or index; empty if there is none.
        pieces: The digests of the pieces of files of an earlier push.
    """

    digest: str = ""
    pieces: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, source: GuardedSource, place: Reference) -> "_There":
        """Ask the place; unreadable content counts as nothing, and will be replaced."""
        pieces = dict[str, Sequence[str]]()
        try:
            document = source.document(place)
        except NotFound:
            return cls()
        with suppress(IntegrityError, NotFound):
            for manifest in _manifests(source, place, document):
                pieces |= {layer.hex: found for layer in manifest.layers if (found := oci.pieces_of(layer))}
        return cls(document.digest, pieces)


def _manifests(source: GuardedSource, place: Reference, document: oci.Document) -> Iterator[oci.Manifest]:
    """Yield the manifests of a document: the document itself, or the manifests of an index."""
    found = oci.read_document(document.content, str(place))
    if isinstance(found, oci.Manifest):
        yield found
        return
    for each in found.models:
        inner = oci.read_document(source.document(place, each.digest).content, str(place))
        if isinstance(inner, oci.Manifest):
            yield inner


def _hashed(path: Path, size: int, counter: _Counter) -> Iterator[str]:
    """Yield the digest of each piece of a file."""
    buffer = memoryview(bytearray(_BUFFER))
    with disk.explained(path, "read"):
        fd = system.open_file(path, os.O_RDONLY)
        try:
            for start in range(0, size, oci.PIECE):
                hasher, stop = hashlib.sha256(), min(start + oci.PIECE, size)
                while start < stop and (count := system.pread_into(fd, buffer[: stop - start], start)):
                    hasher.update(buffer[:count])
                    counter.add(count)
                    start += count  # noqa: PLW2901 - the rest of this piece
                yield hasher.hexdigest()
        finally:
            os.close(fd)


def _interrupted() -> Interrupted:
    return Interrupted(
        "the push was interrupted", hints=["run the same command again to continue: what was sent is not sent again"]
    )
