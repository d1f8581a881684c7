"""The protocols that plugins implement, one or more for each kind, and the marker of their hooks."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable

import pluggy

from modelpm.api.oci import Content, Descriptor, Document
from modelpm.api.stages import Stage
from modelpm.api.types import (
    CatalogText,
    Event,
    FoundModel,
    KnownFile,
    Progress,
    Reference,
    RemoteFile,
    Secret,
    Snapshot,
    Stream,
)

hookimpl = pluggy.HookimplMarker("modelpm")


class Source(Protocol):
    """Serves a URI scheme: lists files and opens ranges of their bytes."""

    def resolve(self, reference: Reference) -> Snapshot:
        """List everything at an immutable revision.

        Raises:
            NotFound: No such thing.
            Denied: It exists, or may exist, and is not for this caller.
            Unavailable: Worth retrying.
        """
        ...

    def open(
        self, file: RemoteFile, location: str, *, start: int = 0, stop: int | None = None, validator: str | None = None
    ) -> AbstractContextManager[Stream]:
        """Open the bytes from ``start`` to ``stop`` (exclusive); called from several threads at once.

        A source that cannot begin at ``start`` says so in ``Stream.start``; one that cannot stop may send more. An
        ``OSError``, ``TimeoutError`` or ``EOFError`` out of this call, ``chunks`` or ``readinto`` is the network's, and
        counts as :class:`Unavailable`.

        Raises:
            Expired: The location has run out; resolve again.
            Unavailable: Worth retrying.
            NotFound: The file is gone.
            Denied: The server refused.
        """
        ...


@runtime_checkable
class Closing(Protocol):
    """Optional protocol: a source that holds connections, threads or files."""

    def close(self) -> None:
        """Release them; called once, when the manager closes. Nothing is asked of the source afterwards."""
        ...


@runtime_checkable
class Parser(Protocol):
    """Optional protocol: a source with a grammar of its own.

    A lock writes ``str(reference) + "/" + path`` for each file, with the reference of the listing, or the reference of
    the file where that has one. ``parse`` must read both back, and ``resolve`` or ``locate`` must serve what it reads.
    It may leave the path of the file in ``path``, or split it off into ``file``: then all of it, as the listing has it.
    """

    def parse(self, rest: str) -> Reference:
        """Read what follows ``scheme://``. Without it, all of the rest is the path, but for a ``:VARIANT`` at its end.

        What the user chose goes into the reference: ``:VARIANT`` into ``quantization``, a file of the listing into
        ``file``. Snapshots come without either.

        Raises:
            UsageError: The text is malformed.
        """
        ...


@runtime_checkable
class WholeSource(Protocol):
    """Optional protocol: a source that requests a whole file in another way than a range of it."""

    def open_whole(self, file: RemoteFile, location: str) -> AbstractContextManager[Stream]:
        """Return a context that yields all bytes of a file from a plain request, and nothing but the file.

        Asked once after the bytes that ranges brought were wrong: proxies and caches damage answers to ranges.

        Raises:
            ModelpmError: As ``open``; the file is then asked for in ranges, one after the other.
        """
        ...


@runtime_checkable
class Locator(Protocol):
    """Optional protocol: a source that knows the location of a pinned file without a listing."""

    def locate(self, reference: Reference, path: str) -> tuple[str, ...]:
        """Return the locations of one file of a pinned reference, or none if only a listing tells; sends no request.

        Args:
            reference: What ``parse`` made of a file's text in a lock: ``str(snapshot.reference) + "/" + path``, or
                the file's own reference. Where ``parse`` splits the file off, ``reference.file`` has it.
            path: The path that the file has in the model. A catalog may give it another one than the listing does:
                ``reference.file`` goes before it.
        """
        ...


@runtime_checkable
class Searching(Protocol):
    """Optional protocol: a source whose server can be searched."""

    def search(self, text: str, limit: int) -> Iterable[FoundModel]:
        """Return what the server finds, the best match first.

        Args:
            text: The words as the user typed them.
            limit: How many are wanted at most.

        Raises:
            Unavailable: Worth retrying.
            OfflineError: The network is forbidden.
        """
        ...


@runtime_checkable
class Branched(Protocol):
    """Optional protocol: a source whose models have branches, which may hold other weights than the default one."""

    def branches(self, reference: Reference) -> tuple[str, ...]:
        """Return the names of the branches of a model, as a revision writes them; asked where one has no weights."""
        ...


@runtime_checkable
class Pushable(Protocol):
    """Optional protocol: a source whose servers keep OCI content, so that models can be pushed there, and synced back.

    The reference names a place, as a repository of a registry or a prefix of a bucket, and what stands there under a
    name. With a digest as its revision, ``replace(reference, revision="sha256:…")``, it names one manifest or index of
    that place; ``resolve`` must serve such a reference, too, and list the files of the manifest.

    The core sends every blob, then seals manifests, and last the one that the reference is to name: what is named is
    complete. It asks one thing at a time.
    """

    def document(self, reference: Reference, digest: str = "") -> Document:
        """Return a manifest or an index; without a digest the one that the reference names.

        Raises:
            NotFound: There is none.
            IntegrityError: What is there has another digest.
        """
        ...

    def blob(self, reference: Reference, blob: Descriptor) -> bytes:
        """Return a small blob, as a config or a lock.

        Raises:
            NotFound: There is none.
            IntegrityError: What is there has another digest.
        """
        ...

    def has(self, reference: Reference, blob: Descriptor) -> bool:
        """Return whether a blob is there, whole."""
        ...

    def send(self, reference: Reference, blob: Descriptor, content: Content) -> int:
        """Send a blob that is not there, and return how many bytes were sent; resumes what an earlier run began.

        Raises:
            Denied: It may not be sent there.
            Unavailable: Worth running the push again.
        """
        ...

    def seal(self, reference: Reference, document: Document, *, named: bool) -> None:
        """Put a manifest or an index whose parts are there.

        Args:
            reference: The place.
            document: What is put.
            named: Whether the reference names it from then on; else only its digest does.

        Raises:
            Denied: It may not be put there.
        """
        ...


class Credentials(Protocol):
    """Knows secrets of servers."""

    def secret(self, server: str) -> Secret | None:
        """Return the secret that belongs to exactly this server, or None.

        Args:
            server: ``scheme://host[:port]``, in lower case; the scheme's own port is left out.

        Raises:
            UsageError: The user's configuration of it is wrong.
        """
        ...


class Hasher(Protocol):
    """A running digest; the objects of ``hashlib`` are hashers as they are."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Feed bytes."""
        ...

    def hexdigest(self) -> str:
        """Return the digest of all bytes so far, in lower-case hexadecimal."""
        ...


class AuditSink(Protocol):
    """Records what was done. The core calls it from different threads, one at a time."""

    def write(self, event: Event) -> None:
        """Record one event; raise when it could not be recorded."""
        ...

    def close(self) -> None:
        """Release files and connections."""
        ...


@runtime_checkable
class AuditLog(Protocol):
    """Optional protocol: a sink that can read its own records back."""

    def records(self) -> Iterable[Mapping[str, Any]]:
        """Yield the records, oldest first."""
        ...

    def verify(self) -> int:
        """Check the chain and return how many records stand.

        Raises:
            IntegrityError: Names the first bad line.
        """
        ...


@runtime_checkable
class AuditTail(Protocol):
    """Optional protocol: a log that can show its end without being read from its beginning."""

    def tail(self, limit: int) -> Sequence[Mapping[str, Any]]:
        """Return the last ``limit`` records, oldest first."""
        ...


class Catalog(Protocol):
    """Names models. Data only: the core parses what it returns."""

    def ids(self) -> Iterable[str]:
        """Return the ids there are."""
        ...

    def get(self, id: str) -> CatalogText:  # noqa: A002 - the contract's name
        """Return the TOML of one model.

        Raises:
            NotFound: No such id.
        """
        ...

    def about(self) -> CatalogText:
        """Return the catalog's own TOML: schema, name, title, aliases."""
        ...


@runtime_checkable
class Stamped(Protocol):
    """Optional protocol: a catalog that tells cheaply which of its models changed; a search reads those only."""

    def stamps(self) -> Mapping[str, str]:
        """Return a text for each id that is another one once the model's TOML changed."""
        ...


@runtime_checkable
class Recognizer(Protocol):
    """Optional protocol: a catalog that knows published files by their digest."""

    def recognize(self, sha256: str) -> Iterable[KnownFile]:
        """Return where the file of a digest is published; none if unknown.

        It names bytes that are here; whether they can be downloaded from there is another question.
        """
        ...


class Listener(Protocol):
    """Shows progress; called on the calling thread only, at most ten times a second."""

    def show(self, progress: Sequence[Progress]) -> None:
        """Take the state of every model and file under way."""
        ...

    def close(self) -> None:
        """Clear away what was drawn."""
        ...


@runtime_checkable
class EventListener(Protocol):
    """Optional protocol: a listener that takes each step, too: ``file.retry``, ``listing.retry`` and so on."""

    def take(self, event: Event) -> None:
        """Take one event. Called from the threads that work, and must be quick."""
        ...


@runtime_checkable
class StageListener(Protocol):
    """Optional protocol: a listener that also shows what takes long: waits, retries, bytes that are hashed."""

    def stages(self, stages: Sequence[Stage]) -> None:
        """Take every stage under way, the oldest first, at most ten times a second.

        The caller is any thread, also while the calling thread is blocked, but never two at once.
        """
        ...
