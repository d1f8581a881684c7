"""Translate what a plugin raises into errors that name it, while iterating too."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from modelpm.api import Locator, Parser, Source
from modelpm.errors import ModelpmError, PluginError
from modelpm.plugins.index import Entry
from modelpm.types import Reference, RemoteFile, Snapshot, Stream


def blame(entry: Entry, error: BaseException) -> PluginError:
    """Return the error that says which plugin failed and why."""
    cause = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return PluginError(
        f"plugin {entry} ({entry.kind} `{entry.name}`, module {entry.module}) failed: {cause}",
        hints=[
            "report it to the plugin's author; `modelpm plugins check` shows the state of each plugin",
            f"to go on without it: MODELPM_DISABLE_PLUGINS={entry.distribution}",
        ],
        distribution=entry.distribution,
        version=entry.version,
    )


@contextmanager
def guarded(entry: Entry) -> Iterator[None]:
    """Let our own errors pass and blame the plugin for every other."""
    try:
        yield
    except ModelpmError:
        raise
    except (Exception, SystemExit) as error:
        raise blame(entry, error) from error


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
        missing = [name for name in ("resolve", "open") if not callable(getattr(made, name, None))]
        if missing:
            raise PluginError(f"plugin {entry} answered with a {type(made).__name__} that has no {missing[0]}()")
        return cls(entry, made)

    def resolve(self, reference: Reference) -> Snapshot:
        """As :meth:`modelpm.api.Source.resolve`."""
        with guarded(self.entry):
            snapshot = self.source.resolve(reference)
        if not isinstance(snapshot, Snapshot):
            raise PluginError(
                f"plugin {self.entry} resolved {reference} to a {type(snapshot).__name__}, not a Snapshot"
            )
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
            if not isinstance(stream, Stream):
                raise PluginError(f"plugin {self.entry} opened {file.path} as a {type(stream).__name__}, not a Stream")
            yield replace(stream, chunks=self._chunks(stream), readinto=self._readinto(stream))
        finally:
            with guarded(self.entry):
                manager.__exit__(None, None, None)

    def parse(self, rest: str) -> Reference:
        """As :meth:`modelpm.api.Parser.parse`, with the contract's default where the plugin has no grammar."""
        if not isinstance(self.source, Parser):
            return Reference(self.entry.name, rest)
        with guarded(self.entry):
            return self.source.parse(rest)

    def locate(self, reference: Reference, path: str) -> tuple[str, ...]:
        """As :meth:`modelpm.api.Locator.locate`; empty where the plugin needs a listing."""
        if not isinstance(self.source, Locator):
            return ()
        with guarded(self.entry):
            return tuple(self.source.locate(reference, path))

    def _chunks(self, stream: Stream) -> Iterator[bytes]:
        with guarded(self.entry):
            yield from stream.chunks

    def _readinto(self, stream: Stream) -> Callable[[memoryview], int] | None:
        readinto = stream.readinto
        if readinto is None:
            return None

        def guarded_readinto(buffer: memoryview) -> int:
            with guarded(self.entry):
                return readinto(buffer)

        return guarded_readinto
