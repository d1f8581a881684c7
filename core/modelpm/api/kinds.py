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
        """List every file at an immutable revision.

        Raises:
            NotFound: It does not exist.
            Denied: This caller may not see it.
            Unavailable: A retry may succeed.
        """
        ...

    def open(
        self, file: RemoteFile, location: str, *, start: int = 0, stop: int | None = None, validator: str | None = None
    ) -> AbstractContextManager[Stream]:
        """Open the bytes from ``start`` to ``stop`` (exclusive); called from several threads at once.

        A source that cannot begin at ``start`` says so in ``Stream.start``; one that cannot stop at ``stop`` may send
        more. An ``OSError``, ``TimeoutError`` or ``EOFError`` out of this call, ``chunks`` or ``readinto`` counts as
        :class:`Unavailable`.

        Raises:
            Expired: The location has expired; resolve again.
            Unavailable: A retry may succeed.
            NotFound: The file no longer exists.
            Denied: The server refused.
        """
        ...


@runtime_checkable
class Closing(Protocol):
    """Optional protocol: a source that holds connections, threads or files."""

    def close(self) -> None:
        """Release them; called once, when the manager closes. No call follows."""
        ...


@runtime_checkable
class Parser(Protocol):
    """Optional protocol: a source with its own grammar.

    A lock writes ``str(reference) + "/" + path`` for each file, with the reference of the listing, or of the file if it
    has its own. ``parse`` must read both forms, and ``resolve`` or ``locate`` must serve the result. ``parse`` may
    leave the path of the file in ``path``, or split it off into ``file``: then the whole path, as in the listing.
    """

    def parse(self, rest: str) -> Reference:
        """Parse the text after ``scheme://``. The default takes all of it as the path, except a final ``:VARIANT``.

        The user's choice goes into the reference: ``:VARIANT`` into ``quantization``, a file of the listing into
        ``file``. Snapshots have neither.

        Raises:
            UsageError: The text is malformed.
        """
        ...


@runtime_checkable
class WholeSource(Protocol):
    """Optional protocol: a source that requests a whole file in another way than a range."""

    def open_whole(self, file: RemoteFile, location: str) -> AbstractContextManager[Stream]:
        """Return a context that yields all bytes of a file from a plain request.

        modelpm calls it once if ranges delivered wrong bytes, because some proxies and caches damage answers to ranges.

        Raises:
            ModelpmError: As ``open``; modelpm then fetches the file in ranges, one after the other.
        """
        ...


@runtime_checkable
class Locator(Protocol):
    """Optional protocol: a source that knows the location of a pinned file without a listing."""

    def locate(self, reference: Reference, path: str) -> tuple[str, ...]:
        """Return the locations of one file of a pinned reference, or none if only a listing has them; send no request.

        Args:
            reference: What ``parse`` returned for a file's text in a lock: ``str(snapshot.reference) + "/" + path``, or
                the file's own reference. If ``parse`` splits the file off, ``reference.file`` has it.
            path: The path of the file in the model. A catalog may give the file another path than the listing:
                ``reference.file`` wins.
        """
        ...


@runtime_checkable
class Searching(Protocol):
    """Optional protocol: a source that can search its server."""

    def search(self, text: str, limit: int) -> Iterable[FoundModel]:
        """Return the models that the server finds, the best match first.

        Args:
            text: The words as the user typed them.
            limit: The most models to return.

        Raises:
            Unavailable: A retry may succeed.
            OfflineError: The network is forbidden.
        """
        ...


@runtime_checkable
class Branched(Protocol):
    """Optional protocol: a source whose models have branches, which may hold other weights than the default branch."""

    def branches(self, reference: Reference) -> tuple[str, ...]:
        """Return the names of a model's branches, as a revision writes them; called if a branch has no weights."""
        ...


@runtime_checkable
class Pushable(Protocol):
    """Optional protocol: a source whose servers keep OCI content, so that users can push models and sync them back.

    The reference names a place, such as a repository of a registry or a prefix of a bucket, and a name there. With a
    digest as its revision, ``replace(reference, revision="sha256:…")``, it names one manifest or index of that place;
    ``resolve`` must serve such a reference, too, and list the files of the manifest.

    The core sends every blob, then seals the manifests, and last the one that the reference will name: a name always
    means a complete push. The core makes one call at a time.
    """

    def document(self, reference: Reference, digest: str = "") -> Document:
        """Return a manifest or an index; without a digest, the one that the reference names.

        Raises:
            NotFound: It does not exist.
            IntegrityError: The content has another digest.
        """
        ...

    def blob(self, reference: Reference, blob: Descriptor) -> bytes:
        """Return a small blob, such as a config or a lock.

        Raises:
            NotFound: It does not exist.
            IntegrityError: The content has another digest.
        """
        ...

    def has(self, reference: Reference, blob: Descriptor) -> bool:
        """Return whether the server has the complete blob."""
        ...

    def send(self, reference: Reference, blob: Descriptor, content: Content) -> int:
        """Send a blob that the server lacks, and return the number of bytes sent; resume the upload of an earlier run.

        Raises:
            Denied: The server refuses the blob.
            Unavailable: A second push may succeed.
        """
        ...

    def seal(self, reference: Reference, document: Document, *, named: bool) -> None:
        """Store a manifest or an index whose parts are on the server.

        Args:
            reference: The place.
            document: The manifest or index.
            named: Whether the reference names it afterwards; else only its digest does.

        Raises:
            Denied: The server refuses the document.
        """
        ...


class Credentials(Protocol):
    """Knows the user's secrets for servers."""

    def secret(self, server: str) -> Secret | None:
        """Return the secret for exactly this server, or None.

        Args:
            server: ``scheme://host[:port]``, in lower case, without the scheme's default port.

        Raises:
            UsageError: The user's configuration for it is wrong.
        """
        ...


class Hasher(Protocol):
    """A running digest; objects of ``hashlib`` are hashers."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Add bytes."""
        ...

    def hexdigest(self) -> str:
        """Return the digest of all bytes so far, in lower-case hexadecimal."""
        ...


class AuditSink(Protocol):
    """Records what modelpm does. The core calls it from different threads, one at a time."""

    def write(self, event: Event) -> None:
        """Record one event; raise if it cannot be recorded."""
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
        """Check the chain and return the number of records.

        Raises:
            IntegrityError: The chain is broken; the message names the first bad line.
        """
        ...


@runtime_checkable
class AuditTail(Protocol):
    """Optional protocol: a log that can read its end without reading from its beginning."""

    def tail(self, limit: int) -> Sequence[Mapping[str, Any]]:
        """Return the last ``limit`` records, oldest first."""
        ...


@runtime_checkable
class AuditEnd(Protocol):
    """Optional protocol: a log that can check its end without reading from its beginning, for ``modelpm doctor``."""

    def check_end(self) -> None:
        """Check the last records.

        Raises:
            IntegrityError: They are not what was written.
        """
        ...


class Catalog(Protocol):
    """Names models. It returns data only, which the core parses."""

    def ids(self) -> Iterable[str]:
        """Return all ids."""
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
    """Optional protocol: a catalog that knows cheaply which models changed, so that a search reads only those."""

    def stamps(self) -> Mapping[str, str]:
        """Return for each id a text that changes with the model's TOML."""
        ...


@runtime_checkable
class Recognizer(Protocol):
    """Optional protocol: a catalog that finds published files by their digest."""

    def recognize(self, sha256: str) -> Iterable[KnownFile]:
        """Return where the file of a digest is published; none if unknown.

        modelpm uses it to name local bytes. They need not be available for download there.
        """
        ...


class Listener(Protocol):
    """Shows progress; modelpm calls it on the caller's thread, at most ten times a second."""

    def show(self, progress: Sequence[Progress]) -> None:
        """Show the state of every model and file in progress."""
        ...

    def close(self) -> None:
        """Clear the drawing."""
        ...


@runtime_checkable
class EventListener(Protocol):
    """Optional protocol: a listener that also gets events: ``file.retry``, ``listing.retry`` and so on."""

    def take(self, event: Event) -> None:
        """Take one event. Worker threads call this, so it must be quick."""
        ...


@runtime_checkable
class StageListener(Protocol):
    """Optional protocol: a listener that also shows stages: waits, retries, hashing."""

    def stages(self, stages: Sequence[Stage]) -> None:
        """Show every running stage, the oldest first; called at most ten times a second.

        Any thread may call, also while the caller's thread is blocked, but never two at once.
        """
        ...
