"""A source that fails in the middle of a file."""

from collections.abc import Iterator
from contextlib import contextmanager

from modelpm.api import Reference, RemoteFile, Snapshot, Source, Stream, hookimpl

SIZE = 1 << 20


@hookimpl
def modelpm_source(name: str) -> Source | None:
    return Forgetful() if name == "midway" else None


class Forgetful:
    def resolve(self, reference: Reference) -> Snapshot:
        return Snapshot(reference, "1", (RemoteFile("weights.gguf", SIZE, None, ("memory",)),))

    @contextmanager
    def open(
        self, file: RemoteFile, location: str, *, start: int = 0, stop: int | None = None, validator: str | None = None
    ) -> Iterator[Stream]:
        yield Stream(half(start), start, SIZE)


def half(start: int) -> Iterator[bytes]:
    yield bytes(SIZE // 2 - start)
    raise ValueError("lost the thread")
