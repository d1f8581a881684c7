"""A source: serves a URI scheme. The core checks its listings and bytes before anything relies on them."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from itertools import islice
from typing import ParamSpec, TypeVar

from modelpm.api.kinds import Branched, Closing, Locator, Parser, Pushable, Searching, Source, WholeSource
from modelpm.api.oci import Content, Descriptor, Document, digest_of
from modelpm.api.types import Context, Digest, FoundModel, Reference, RemoteFile, Snapshot, Stream
from modelpm.errors import Code, IntegrityError, PluginError, UsageError
from modelpm.network.redact import FOREIGN_CAP
from modelpm.plugins.guard import NONE, Guarded, each, expect, networked
from modelpm.plugins.kinds import Kind, Trust
from modelpm.plugins.waiting import CLOSING
from modelpm.text.human import MAX_SIZE
from modelpm.text.untrusted import printable, shortened

_P = ParamSpec("_P")
_R = TypeVar("_R")
_VARIANT = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")  # a letter first: `host:8080` ends in a port, `m:2.gguf` is a file
_NOT_PUSHED = "takes no models: it cannot be pushed to"
_LISTING = 20.0  # times as long as other calls: a repository has many pages, and servers have outages


def modelpm_source(name: str, context: Context) -> Source | None:
    """Serve the URI scheme ``name``. Group ``modelpm.source.v1``."""


class GuardedSource(Guarded[Source]):
    """A source."""

    __slots__ = ()
    METHODS = ("resolve", "open")

    @property
    def base(self) -> str:
        """The beginning of its locations, where it says so."""
        return self._ask(lambda source: getattr(source, "base", ""), str, "base of its locations")

    def resolve(self, reference: Reference) -> Snapshot:
        """As :meth:`modelpm.api.Source.resolve`."""

        def ask() -> tuple[Snapshot, tuple[RemoteFile, ...]]:
            found = self._ask(lambda source: source.resolve(reference), Snapshot, "listing")
            return found, self._ask_all(lambda _: found.files, RemoteFile, "file of a listing")  # the plugin's iterator

        snapshot, files = self.waits.bounded(self.entry, "a listing", ask, times=_LISTING)
        expect(self.entry, snapshot.license, str, "license")
        expect(self.entry, snapshot.reference, Reference, "reference of a listing")
        expect(self.entry, snapshot.revision, str, "revision")
        for file in files:
            self._check_file(file)
        # The license is a publisher's text, on its way into a lock.
        return replace(snapshot, files=files, license=printable(snapshot.license[:FOREIGN_CAP]))

    @contextmanager
    def open(
        self, file: RemoteFile, location: str, *, start: int = 0, stop: int | None = None, validator: str | None = None
    ) -> Iterator[Stream]:
        """As :meth:`modelpm.api.Source.open`; only the plugin's own code is guarded, not the caller's."""
        with self._opened(lambda: self.made.open(file, location, start=start, stop=stop, validator=validator)) as found:
            yield found

    @contextmanager
    def open_whole(self, file: RemoteFile, location: str) -> Iterator[Stream]:
        """As :meth:`modelpm.api.WholeSource.open_whole`; as :meth:`open` where the plugin has no such way."""
        made = self.made
        if not isinstance(made, WholeSource):
            with self.open(file, location) as found:
                yield found
            return
        with self._opened(lambda: made.open_whole(file, location)) as found:
            yield found

    @contextmanager
    def _opened(self, ask: Callable[[], AbstractContextManager[Stream]]) -> Iterator[Stream]:
        with networked(self.entry):
            manager = ask()
            stream = manager.__enter__()
        try:
            yield self._checked_stream(stream)
        finally:
            with networked(self.entry):
                manager.__exit__(None, None, None)

    def close(self) -> None:
        """As :meth:`modelpm.api.Closing.close`; nothing if the plugin holds nothing."""
        made = self.made
        if isinstance(made, Closing):
            self.waits.bounded(self.entry, "its close()", lambda: self._ask(lambda _: made.close()), times=CLOSING)

    def parse(self, rest: str) -> Reference:
        """As :meth:`modelpm.api.Parser.parse`, with the contract's default where the plugin has no grammar."""
        made = self.made
        if not isinstance(made, Parser):
            path, colon, variant = rest.rpartition(":")
            if colon and _VARIANT.fullmatch(variant):
                return Reference(self.entry.name, path, quantization=variant)
            return Reference(self.entry.name, rest)
        return self._ask(lambda _: made.parse(rest), Reference, "reference")

    def locate(self, reference: Reference, path: str) -> tuple[str, ...]:
        """As :meth:`modelpm.api.Locator.locate`; empty if the plugin needs a listing."""
        made = self.made
        if not isinstance(made, Locator):
            return ()
        return self._ask_all(lambda _: made.locate(reference, path), str, "location")

    def branches(self, reference: Reference) -> tuple[str, ...]:
        """As :meth:`modelpm.api.Branched.branches`; empty if the plugin knows of none."""
        made = self.made
        if not isinstance(made, Branched):
            return ()
        return self._ask_all(lambda _: made.branches(reference), str, "branch")

    def search(self, text: str, limit: int) -> tuple[FoundModel, ...]:
        """As :meth:`modelpm.api.Searching.search`; none if the plugin cannot search. Texts are cut and escaped.

        Raises:
            PluginError: A spec is not of this source.
        """
        made = self.made
        if not isinstance(made, Searching):
            return ()

        def ask() -> tuple[FoundModel, ...]:
            return self._ask(lambda _: tuple(islice(made.search(text, limit), limit)))

        return tuple(map(self._checked_row, self.waits.bounded(self.entry, "a search", ask)))

    def _checked_row(self, row: FoundModel) -> FoundModel:
        expect(self.entry, row, FoundModel, "row of a search")
        expect(self.entry, row.tasks, tuple, "tasks of a row")
        for text in (row.spec, row.title, row.license, *row.tasks):
            expect(self.entry, text, str, "text of a row")
        expect(self.entry, row.size, (int, NONE), "size of a row")
        expect(self.entry, row.downloads, (int, NONE), "downloads of a row")
        if not row.spec.startswith(f"{self.entry.name}://") or printable(row.spec) != row.spec:
            said = f"`{shortened(row.spec)}` as the spec of a row"
            raise PluginError(
                f"plugin {self.entry} answered with {said}, not with one that begins {self.entry.name}://"
            )
        cut = [printable(text[:FOREIGN_CAP]) for text in (row.title, row.license, *row.tasks)]
        return replace(row, title=cut[0], license=cut[1], tasks=tuple(cut[2:]))

    def document(self, reference: Reference, digest: str = "") -> Document:
        """As :meth:`modelpm.api.Pushable.document`; its digest is compared."""
        made = self._pushable("keeps no manifests")
        found = self._ask(lambda _: made.document(reference, digest), Document, "document")
        if digest and found.digest != digest:
            raise _changed(f"{reference.scheme}://{reference.path}@{digest}", found.digest)
        return found

    def blob(self, reference: Reference, blob: Descriptor) -> bytes:
        """As :meth:`modelpm.api.Pushable.blob`; its digest is compared."""
        made = self._pushable("keeps no blobs")
        found = self._ask(lambda _: made.blob(reference, blob), bytes, "blob")
        if digest_of(found) != blob.digest:
            raise _changed(blob.digest, digest_of(found))
        return found

    def has(self, reference: Reference, blob: Descriptor) -> bool:
        """As :meth:`modelpm.api.Pushable.has`."""
        made = self._pushable(_NOT_PUSHED)
        return self._ask(lambda _: made.has(reference, blob), bool, "whether a blob is there")

    def send(self, reference: Reference, blob: Descriptor, content: Content) -> int:
        """As :meth:`modelpm.api.Pushable.send`."""
        made = self._pushable(_NOT_PUSHED)
        return self._ask(lambda _: made.send(reference, blob, content), int, "count of bytes that were sent")

    def seal(self, reference: Reference, document: Document, *, named: bool) -> None:
        """As :meth:`modelpm.api.Pushable.seal`."""
        made = self._pushable(_NOT_PUSHED)
        self._ask(lambda _: made.seal(reference, document, named=named))

    def _pushable(self, why: str) -> Pushable:
        made = self.made
        if isinstance(made, Pushable):
            return made
        raise UsageError(
            f"{self.entry.name}:// {why}",
            hints=["registries and buckets do: oci://HOST/REPOSITORY:TAG, s3://BUCKET/PREFIX"],
        )

    def _check_file(self, file: RemoteFile) -> None:
        expect(self.entry, file.path, str, "path")
        expect(self.entry, file.size, (int, NONE), "size")
        expect(self.entry, file.digest, (Digest, NONE), "digest")
        expect(self.entry, file.pieces, tuple, "pieces")
        expect(self.entry, file.locations, tuple, "locations")
        for location in file.locations:
            expect(self.entry, location, str, "location")
        if file.size is not None and not 0 <= file.size <= MAX_SIZE:
            what = "below zero" if file.size < 0 else "beyond what any disk holds"
            raise PluginError(f"plugin {self.entry} gave `{shortened(file.path)}` a size {what}")

    def _checked_stream(self, stream: Stream) -> Stream:
        expect(self.entry, stream, Stream, "stream")
        expect(self.entry, stream.start, int, "start of a stream")
        expect(self.entry, stream.total, (int, NONE), "total of a stream")
        expect(self.entry, stream.validator, (str, NONE), "validator of a stream")
        if not (0 <= stream.start <= MAX_SIZE and 0 <= (stream.total or 0) <= MAX_SIZE):
            raise PluginError(f"plugin {self.entry} gave a stream a size that no file has")
        return replace(
            stream,
            chunks=self._chunks(stream),
            readinto=self._wrapped(stream.readinto),
            abort=self._wrapped(stream.abort),
        )

    def _chunks(self, stream: Stream) -> Iterator[bytes]:
        for chunk in each(self.entry, stream.chunks, networked):
            expect(self.entry, chunk, (bytes, bytearray, memoryview), "piece of a stream")
            yield chunk

    def _wrapped(self, call: Callable[_P, _R] | None) -> Callable[_P, _R] | None:
        if call is None:
            return None

        def wrapped(*args: _P.args, **options: _P.kwargs) -> _R:
            with networked(self.entry):
                return call(*args, **options)

        return wrapped


def _changed(what: str, found: str) -> IntegrityError:
    return IntegrityError(
        f"{what} has other bytes than its digest says: {found}",
        code=Code.DIGEST_MISMATCH,
        hints=["nothing was taken; tell the registry's owner"],
    )


KIND = Kind(
    "source",
    "scheme",
    modelpm_source,
    GuardedSource.of,
    Trust.CLOSED,
    shared=True,
    unknown=UsageError,
    code=Code.UNKNOWN_SCHEME,
    suffix="://",
)
