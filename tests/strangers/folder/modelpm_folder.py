"""Install models from a local folder: ``modelpm install folder:///srv/models/tiny``."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import file_digest, sha256
from pathlib import Path

from modelpm.api import Digest, NotFound, Reference, RemoteFile, Snapshot, Source, Stream, hookimpl


@hookimpl
def modelpm_source(name: str) -> Source | None:
    return Folder() if name == "folder" else None


class Folder:
    def resolve(self, reference: Reference) -> Snapshot:
        root = Path(reference.path)
        if not root.is_dir():
            raise NotFound(f"{root} is not a folder")
        files = tuple(describe(p, root) for p in sorted(root.rglob("*")) if p.is_file())
        return Snapshot(reference, sha256(repr(files).encode()).hexdigest(), files)

    @contextmanager
    def open(
        self, file: RemoteFile, location: str, *, start: int = 0, stop: int | None = None, validator: str | None = None
    ) -> Iterator[Stream]:
        with open(location, "rb") as stream:
            stream.seek(start)
            yield Stream(iter(lambda: stream.read(1 << 20), b""), start, file.size)


def describe(path: Path, root: Path) -> RemoteFile:
    with path.open("rb") as stream:
        digest = Digest("sha256", file_digest(stream, "sha256").hexdigest())
    return RemoteFile(path.relative_to(root).as_posix(), path.stat().st_size, digest, (str(path),))
