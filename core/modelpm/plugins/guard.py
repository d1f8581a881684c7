"""Translate what a plugin raises into errors that name it, while iterating too; and hold its answers to the contract.

Only the plugin's own code is guarded: what the core does between two calls keeps its own errors.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from modelpm.api import AuditSink, Catalog, Hasher, Listener, Locator, Parser, Source
from modelpm.errors import ModelpmError, PluginError
from modelpm.names import printable
from modelpm.plugins.index import OURS, Entry
from modelpm.redact import redact_urls
from modelpm.types import CatalogText, Digest, Event, Progress, Reference, RemoteFile, Snapshot, Stream


def blame(entry: Entry, error: BaseException) -> PluginError:
    """Return the error that says which plugin failed and why."""
    said = _words(error)
    cause = f"{type(error).__name__}: {said}" if said else type(error).__name__
    hints = ["report it to the plugin's author; `modelpm plugins check` shows the state of each plugin"]
    if entry.distribution != OURS:
        hints.append(f"to go on without it: MODELPM_DISABLE_PLUGINS={entry.distribution}")
    return PluginError(
        f"plugin {entry} ({entry.kind} `{entry.name}`, module {entry.module}) failed: {redact_urls(cause)}",
        hints=hints,
        distribution=entry.distribution,
        version=entry.version,
    )


def _words(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the plugin's own, too
        return ""


@contextmanager
def guarded(entry: Entry) -> Iterator[None]:
    """Let our own errors pass and blame the plugin for every other, whatever it derives from."""
    try:
        yield
    except (ModelpmError, KeyboardInterrupt, GeneratorExit):  # the user's, and the end of an iteration
        raise
    except BaseException as error:
        raise blame(entry, error) from error


@contextmanager
def signed(entry: Entry) -> Iterator[None]:
    """As :func:`guarded`; our own errors, which may come from anywhere in the plugin, name it as well."""
    try:
        with guarded(entry):
            yield
    except PluginError:
        raise
    except ModelpmError as error:
        error.message = f"{error.message} (the {entry.kind} `{entry.name}` of {entry})"
        raise


def require(entry: Entry, made: object, *methods: str) -> None:
    """Refuse what lacks a method of its kind.

    Raises:
        PluginError: Names the first one.
    """
    with guarded(entry):  # an attribute may be the plugin's code as well
        missing = [name for name in methods if not callable(getattr(made, name, None))]
    if missing:
        raise PluginError(f"plugin {entry} answered with a {type(made).__name__} that has no {missing[0]}()")


def expect(entry: Entry, answer: object, wanted: type | tuple[type, ...], what: str) -> None:
    """Refuse an answer of another type than the contract's.

    Raises:
        PluginError: Names both types.
    """
    if not isinstance(answer, wanted):
        types = wanted if isinstance(wanted, tuple) else (wanted,)
        names = " or ".join("None" if t is type(None) else t.__name__ for t in types)
        raise PluginError(f"plugin {entry} answered with a {type(answer).__name__} as {what}, not a {names}")


@dataclass(frozen=True, slots=True)
class GuardedSource:
    """A source whose failures name the plugin, and whose answers have the types of the contract."""

    entry: Entry
    source: Source

    @classmethod
    def of(cls, entry: Entry, made: Any) -> "GuardedSource":
        """Wrap what a plugin made.

        Raises:
            PluginError: It is no source.
        """
        require(entry, made, "resolve", "open")
        return cls(entry, made)

    def resolve(self, reference: Reference) -> Snapshot:
        """As :meth:`modelpm.api.Source.resolve`."""
        with guarded(self.entry):
            snapshot = self.source.resolve(reference)
            expect(self.entry, snapshot, Snapshot, "listing")
            snapshot = replace(snapshot, files=tuple(snapshot.files))
        expect(self.entry, snapshot.license, str, "licence")
        snapshot = replace(snapshot, license=printable(snapshot.license))  # a publisher's text, on its way into a lock
        expect(self.entry, snapshot.reference, Reference, "reference of a listing")
        expect(self.entry, snapshot.revision, str, "revision")
        for file in snapshot.files:
            self._check_file(file)
        return snapshot

    @contextmanager
    def open(
        self, file: RemoteFile, location: str, *, start: int = 0, stop: int | None = None, validator: str | None = None
    ) -> Iterator[Stream]:
        """As :meth:`modelpm.api.Source.open`; only the plugin's own code is guarded, not the caller's."""
        with guarded(self.entry):
            manager = self.source.open(file, location, start=start, stop=stop, validator=validator)
            stream = manager.__enter__()
        try:
            yield self._checked_stream(stream)
        finally:
            with guarded(self.entry):
                manager.__exit__(None, None, None)

    def parse(self, rest: str) -> Reference:
        """As :meth:`modelpm.api.Parser.parse`, with the contract's default where the plugin has no grammar."""
        if not isinstance(self.source, Parser):
            return Reference(self.entry.name, rest)
        with guarded(self.entry):
            reference = self.source.parse(rest)
        expect(self.entry, reference, Reference, "reference")
        return reference

    def locate(self, reference: Reference, path: str) -> tuple[str, ...]:
        """As :meth:`modelpm.api.Locator.locate`; empty where the plugin needs a listing."""
        if not isinstance(self.source, Locator):
            return ()
        with guarded(self.entry):
            locations = tuple(self.source.locate(reference, path))
        for location in locations:
            expect(self.entry, location, str, "location")
        return locations

    def _check_file(self, file: object) -> None:
        expect(self.entry, file, RemoteFile, "file of a listing")
        if isinstance(file, RemoteFile):
            expect(self.entry, file.path, str, "path")
            expect(self.entry, file.size, (int, type(None)), "size")
            expect(self.entry, file.digest, (Digest, type(None)), "digest")
            expect(self.entry, file.locations, tuple, "locations")
            for location in file.locations:
                expect(self.entry, location, str, "location")
            if file.size is not None and file.size < 0:
                raise PluginError(f"plugin {self.entry} gave {file.path} a size below zero")

    def _checked_stream(self, stream: Stream) -> Stream:
        expect(self.entry, stream, Stream, "stream")
        expect(self.entry, stream.start, int, "start of a stream")
        expect(self.entry, stream.total, (int, type(None)), "total of a stream")
        expect(self.entry, stream.validator, (str, type(None)), "validator of a stream")
        return replace(
            stream,
            chunks=self._chunks(stream),
            readinto=self._readinto(stream),
            abort=self._abort(stream),
        )

    def _chunks(self, stream: Stream) -> Iterator[bytes]:
        with guarded(self.entry):
            for chunk in stream.chunks:
                expect(self.entry, chunk, (bytes, bytearray, memoryview), "piece of a stream")
                yield chunk

    def _readinto(self, stream: Stream) -> Callable[[memoryview], int] | None:
        readinto = stream.readinto
        if readinto is None:
            return None

        def guarded_readinto(buffer: memoryview) -> int:
            with guarded(self.entry):
                return readinto(buffer)

        return guarded_readinto

    def _abort(self, stream: Stream) -> Callable[[], None] | None:
        abort = stream.abort
        if abort is None:
            return None

        def guarded_abort() -> None:
            with guarded(self.entry):
                abort()

        return guarded_abort


@dataclass(frozen=True, slots=True)
class GuardedHasher:
    """A digest whose failures name the plugin."""

    entry: Entry
    hasher: Hasher

    def update(self, data: bytes | memoryview, /) -> None:
        """As :meth:`modelpm.api.Hasher.update`."""
        with guarded(self.entry):
            self.hasher.update(data)

    def hexdigest(self) -> str:
        """As :meth:`modelpm.api.Hasher.hexdigest`."""
        with guarded(self.entry):
            digest = self.hasher.hexdigest()
        expect(self.entry, digest, str, "digest")
        return digest


@dataclass(frozen=True, slots=True)
class GuardedSink:
    """An audit sink whose failures name the plugin."""

    entry: Entry
    sink: AuditSink

    def write(self, event: Event) -> None:
        """As :meth:`modelpm.api.AuditSink.write`."""
        with guarded(self.entry):
            self.sink.write(event)

    def close(self) -> None:
        """As :meth:`modelpm.api.AuditSink.close`."""
        with guarded(self.entry):
            self.sink.close()


@dataclass(frozen=True, slots=True)
class GuardedLog(GuardedSink):
    """The same for a sink that can read its records back."""

    sink: Any  # an AuditSink that is an AuditLog too

    def records(self) -> Iterator[Mapping[str, Any]]:
        """As :meth:`modelpm.api.AuditLog.records`."""
        with guarded(self.entry):
            yield from self.sink.records()

    def verify(self) -> int:
        """As :meth:`modelpm.api.AuditLog.verify`."""
        with guarded(self.entry):
            count: int = self.sink.verify()
        expect(self.entry, count, int, "number of records")
        return count


@dataclass(frozen=True, slots=True)
class GuardedCatalog:
    """A catalog whose failures name the plugin."""

    entry: Entry
    catalog: Catalog

    def ids(self) -> Iterable[str]:
        """As :meth:`modelpm.api.Catalog.ids`."""
        with signed(self.entry):
            ids = tuple(self.catalog.ids())
        for each in ids:
            expect(self.entry, each, str, "id")
        return ids

    def get(self, id: str) -> CatalogText:  # noqa: A002 - the contract's name
        """As :meth:`modelpm.api.Catalog.get`."""
        with signed(self.entry):
            text = self.catalog.get(id)
        expect(self.entry, text, CatalogText, "entry")
        return text

    def about(self) -> CatalogText:
        """As :meth:`modelpm.api.Catalog.about`."""
        with signed(self.entry):
            text = self.catalog.about()
        expect(self.entry, text, CatalogText, "description of the catalog")
        return text


@dataclass(frozen=True, slots=True)
class GuardedListener:
    """A listener whose failures name the plugin."""

    entry: Entry
    listener: Listener

    def show(self, progress: Sequence[Progress]) -> None:
        """As :meth:`modelpm.api.Listener.show`."""
        with guarded(self.entry):
            self.listener.show(progress)

    def close(self) -> None:
        """As :meth:`modelpm.api.Listener.close`."""
        with guarded(self.entry):
            self.listener.close()
