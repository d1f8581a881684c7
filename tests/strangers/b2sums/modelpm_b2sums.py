"""Install a folder in which `b2sum *.gguf > B2SUMS` was run: ``modelpm install b2sums:///srv/models/tiny``."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelpm.api import Digest, Hasher, NotFound, Reference, RemoteFile, Snapshot, Source, Stream, hookimpl


@hookimpl
def modelpm_digest(name: str) -> Hasher | None:
    return hashlib.blake2b() if name == "blake2b" else None


@hookimpl
def modelpm_source(name: str) -> Source | None:
    return Sums() if name == "b2sums" else None


class Sums:
    def resolve(self, reference: Reference) -> Snapshot:
        root = Path(reference.path)
        try:
            lines = (root / "B2SUMS").read_text(encoding="utf-8").splitlines()
        except OSError:
            raise NotFound(f"{root} has no file B2SUMS") from None
        files = [self.described(root, *line.split("  ", 1)) for line in lines]
        return Snapshot(reference, hashlib.sha256("\n".join(lines).encode()).hexdigest(), tuple(files))

    def described(self, root: Path, promised: str, path: str) -> RemoteFile:
        return RemoteFile(path, (root / path).stat().st_size, Digest("blake2b", promised), (str(root / path),))

    @contextmanager
    def open(
        self, file: RemoteFile, location: str, *, start: int = 0, stop: int | None = None, validator: str | None = None
    ) -> Iterator[Stream]:
        with open(location, "rb") as stream:
            stream.seek(start)
            yield Stream(iter(lambda: stream.read(1 << 20), b""), start, file.size)
