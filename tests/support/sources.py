"""A source over HTTP that lists nothing: what tests of the base class open files with."""

from modelpm.api import Context, Reference, RemoteFile, Secret, Snapshot
from modelpm.http import HttpSource


class Plain(HttpSource):
    """Opens locations; has no listing."""

    def resolve(self, reference: Reference) -> Snapshot:
        raise NotImplementedError(reference)


def one_file(url: str, size: int | None, path: str = "model.gguf") -> RemoteFile:
    return RemoteFile(path, size, None, (url,))


def download(source: HttpSource, url: str, size: int | None, start: int = 0, stop: int | None = None) -> bytes:
    with source.open(one_file(url, size), url, start=start, stop=stop) as stream:
        return b"".join(stream.chunks)


def knowing(by_origin: dict[str, str]) -> Context:
    """Return a context that has these secrets."""
    return Context(secret=lambda origin: Secret(by_origin[origin]) if origin in by_origin else None)
