"""Translate what a plugin raises into errors that name it, while iterating too; and hold its answers to the contract.

Only the plugin's own code is guarded: what the core does between two calls keeps its own errors.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, ClassVar, Generic, ParamSpec, Self, TypeVar, cast

from modelpm.api.kinds import (
    AuditLog,
    AuditSink,
    AuditTail,
    Catalog,
    Hasher,
    Listener,
    Locator,
    Parser,
    Source,
    WholeSource,
)
from modelpm.api.types import (
    MAX_FILES,
    CatalogText,
    Digest,
    Event,
    Progress,
    Reference,
    RemoteFile,
    Snapshot,
    Stream,
    too_many,
)
from modelpm.errors import ModelpmError, PluginError
from modelpm.network.redact import FOREIGN_CAP
from modelpm.plugins.blame import blame, broken, presentable, sound
from modelpm.plugins.discovery import Entry
from modelpm.text.human import MAX_SIZE
from modelpm.text.untrusted import printable, shortened

_P = ParamSpec("_P")
_R = TypeVar("_R")
_T = TypeVar("_T")
_Types = type | tuple[type, ...]
_NONE = type(None)


@contextmanager
def guarded(entry: Entry) -> Iterator[None]:
    """Let our own errors pass, made sound, and blame the plugin for every other, whatever it derives from."""
    try:
        yield
    except KeyboardInterrupt:  # the user's
        raise
    except ModelpmError as error:
        told = sound(entry, error)
        if told is error:
            raise
        raise told from presentable(error)
    except BaseException as error:  # noqa: BLE001 - blamed, with the cause as far as it may be shown
        raise blame(entry, error) from presentable(error)


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


@contextmanager
def networked(entry: Entry) -> Iterator[None]:
    """As :func:`guarded`; what the operating system says of a connection is worth another try, and names the plugin.

    Every library has errors of its own for that; those of the standard library need no translation by the plugin.
    """
    with guarded(entry):
        try:
            yield
        except (OSError, EOFError) as error:  # a TimeoutError is an OSError
            raise broken(entry, error) from presentable(error)


def each(
    entry: Entry, things: Iterable[_T], guard: Callable[[Entry], AbstractContextManager[None]] = guarded
) -> Iterator[_T]:
    """Yield what a plugin yields; guards its code, and nothing of the caller's."""
    with guard(entry):
        iterator = iter(things)
    while True:
        with guard(entry):
            try:
                thing = next(iterator)
            except StopIteration:
                return
        yield thing


def expect(entry: Entry, answer: object, wanted: _Types, what: str) -> None:
    """Refuse an answer of another type than the contract's.

    Raises:
        PluginError: Names both types.
    """
    if not isinstance(answer, wanted):
        types = wanted if isinstance(wanted, tuple) else (wanted,)
        names = " or ".join("None" if t is _NONE else t.__name__ for t in types)
        raise PluginError(f"plugin {entry} answered with a {type(answer).__name__} as {what}, not a {names}")


@dataclass(frozen=True, slots=True)
class _Guarded(Generic[_T]):
    """What a plugin made: its failures name the plugin, and its answers have the types of the contract.

    Attributes:
        METHODS: What it must have.
        entry: The plugin.
        made: What it made.
    """

    METHODS: ClassVar[tuple[str, ...]] = ()
    entry: Entry
    made: _T

    @classmethod
    def of(cls, entry: Entry, made: Any) -> Self:
        """Wrap what a plugin made.

        Raises:
            PluginError: It lacks a method of its kind; names the first one.
        """
        with guarded(entry):  # an attribute may be the plugin's code as well
            missing = [name for name in cls.METHODS if not callable(getattr(made, name, None))]
        if missing:
            raise PluginError(f"plugin {entry} answered with a {type(made).__name__} that has no {missing[0]}()")
        return cls(entry, made)

    def _ask(self, call: Callable[[_T], _R], wanted: _Types = object, what: str = "") -> _R:
        """Return the plugin's answer; the lambda looks its method up, which may be the plugin's code as well."""
        with guarded(self.entry):
            answer = call(self.made)
        expect(self.entry, answer, wanted, what)
        return answer

    def _ask_all(self, call: Callable[[_T], Iterable[_R]], wanted: _Types, what: str) -> tuple[_R, ...]:
        answers = self._ask(lambda made: tuple(islice(call(made), MAX_FILES + 1)))  # some never end
        if len(answers) > MAX_FILES:
            raise too_many(f"the {self.entry.kind} `{self.entry.name}` of {self.entry}")
        for answer in answers:
            expect(self.entry, answer, wanted, what)
        return answers


class GuardedSource(_Guarded[Source]):
    """A source."""

    __slots__ = ()
    METHODS = ("resolve", "open")

    @property
    def base(self) -> str:
        """What its locations begin with, where it says so."""
        return self._ask(lambda source: getattr(source, "base", ""), str, "base of its locations")

    def resolve(self, reference: Reference) -> Snapshot:
        """As :meth:`modelpm.api.Source.resolve`."""
        snapshot = self._ask(lambda source: source.resolve(reference), Snapshot, "listing")
        files = self._ask_all(lambda _: snapshot.files, RemoteFile, "file of a listing")  # an iterator of the plugin's
        expect(self.entry, snapshot.license, str, "licence")
        expect(self.entry, snapshot.reference, Reference, "reference of a listing")
        expect(self.entry, snapshot.revision, str, "revision")
        for file in files:
            self._check_file(file)
        # The licence is a publisher's text, on its way into a lock.
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

    def parse(self, rest: str) -> Reference:
        """As :meth:`modelpm.api.Parser.parse`, with the contract's default where the plugin has no grammar."""
        made = self.made
        if not isinstance(made, Parser):
            return Reference(self.entry.name, rest)
        return self._ask(lambda _: made.parse(rest), Reference, "reference")

    def locate(self, reference: Reference, path: str) -> tuple[str, ...]:
        """As :meth:`modelpm.api.Locator.locate`; empty where the plugin needs a listing."""
        made = self.made
        if not isinstance(made, Locator):
            return ()
        return self._ask_all(lambda _: made.locate(reference, path), str, "location")

    def _check_file(self, file: RemoteFile) -> None:
        expect(self.entry, file.path, str, "path")
        expect(self.entry, file.size, (int, _NONE), "size")
        expect(self.entry, file.digest, (Digest, _NONE), "digest")
        expect(self.entry, file.locations, tuple, "locations")
        for location in file.locations:
            expect(self.entry, location, str, "location")
        if file.size is not None and not 0 <= file.size <= MAX_SIZE:
            what = "below zero" if file.size < 0 else "beyond what any disk holds"
            raise PluginError(f"plugin {self.entry} gave `{shortened(file.path)}` a size {what}")

    def _checked_stream(self, stream: Stream) -> Stream:
        expect(self.entry, stream, Stream, "stream")
        expect(self.entry, stream.start, int, "start of a stream")
        expect(self.entry, stream.total, (int, _NONE), "total of a stream")
        expect(self.entry, stream.validator, (str, _NONE), "validator of a stream")
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


class GuardedHasher(_Guarded[Hasher]):
    """A digest."""

    __slots__ = ()
    METHODS = ("update", "hexdigest")

    def update(self, data: bytes | memoryview, /) -> None:
        """As :meth:`modelpm.api.Hasher.update`."""
        self._ask(lambda hasher: hasher.update(data))

    def hexdigest(self) -> str:
        """As :meth:`modelpm.api.Hasher.hexdigest`."""
        return self._ask(lambda hasher: hasher.hexdigest(), str, "digest")


class GuardedSink(_Guarded[AuditSink]):
    """An audit sink."""

    __slots__ = ()
    METHODS = ("write", "close")

    def write(self, event: Event) -> None:
        """As :meth:`modelpm.api.AuditSink.write`."""
        self._ask(lambda sink: sink.write(event))

    def close(self) -> None:
        """As :meth:`modelpm.api.AuditSink.close`."""
        self._ask(lambda sink: sink.close())


class GuardedLog(GuardedSink):
    """The same for a sink that can read its records back."""

    __slots__ = ()

    def records(self) -> Iterator[Mapping[str, Any]]:
        """As :meth:`modelpm.api.AuditLog.records`."""
        with guarded(self.entry):
            records = self._log.records()
        yield from each(self.entry, records)

    def tail(self, limit: int) -> Sequence[Mapping[str, Any]]:
        """As :meth:`modelpm.api.AuditTail.tail`; a log without it is read from its beginning."""
        log = self._log
        if isinstance(log, AuditTail):
            return tuple(self._ask(lambda _: log.tail(limit), Sequence, "records"))
        return list(deque(self.records(), maxlen=limit))

    def verify(self) -> int:
        """As :meth:`modelpm.api.AuditLog.verify`."""
        return self._ask(lambda _: self._log.verify(), int, "number of records")

    @property
    def _log(self) -> AuditLog:
        return cast("AuditLog", self.made)


class GuardedCatalog(_Guarded[Catalog]):
    """A catalog."""

    __slots__ = ()
    METHODS = ("ids", "get", "about")

    def ids(self) -> Iterable[str]:
        """As :meth:`modelpm.api.Catalog.ids`."""
        return self._ask_all(lambda catalog: catalog.ids(), str, "id")

    def get(self, id: str) -> CatalogText:  # noqa: A002 - the contract's name
        """As :meth:`modelpm.api.Catalog.get`."""
        return self._ask(lambda catalog: catalog.get(id), CatalogText, "entry")

    def about(self) -> CatalogText:
        """As :meth:`modelpm.api.Catalog.about`."""
        return self._ask(lambda catalog: catalog.about(), CatalogText, "description of the catalog")

    def _ask(self, call: Callable[[Catalog], _R], wanted: _Types = object, what: str = "") -> _R:
        with signed(self.entry):
            return super()._ask(call, wanted, what)


class GuardedListener(_Guarded[Listener]):
    """A listener."""

    __slots__ = ()
    METHODS = ("show", "close")

    def show(self, progress: Sequence[Progress]) -> None:
        """As :meth:`modelpm.api.Listener.show`."""
        self._ask(lambda listener: listener.show(progress))

    def close(self) -> None:
        """As :meth:`modelpm.api.Listener.close`."""
        self._ask(lambda listener: listener.close())
