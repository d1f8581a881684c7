"""The base class of sources that serve files of this machine."""

import errno
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import FileIO
from pathlib import Path

from modelpm.api.types import MAX_FILES, Context, Digest, Reference, RemoteFile, Snapshot, Stream, too_many
from modelpm.disk.system import open_file
from modelpm.errors import ModelpmError, NotFound, StoreError
from modelpm.text.untrusted import printable

_CHUNK = 1 << 20
_PAUSE = 0.1  # seconds between two progress events of hashing


class LocalSource:
    """A source over the local file system; a subclass writes ``target``, and ``member`` if it encodes paths.

    The listing of a folder omits names that begin with a dot, ``__pycache__``, and links that leave the folder or lead
    to folders. Files have no revision: the listing hashes each file, and the digest pins it.

    Args:
        context: The plugin's context; its ``emit`` gets the progress of hashing.
    """

    _context = Context()  # of a subclass with its own __init__

    def __init__(self, context: Context | None = None) -> None:
        if context is not None:
            self._context = context

    def target(self, reference: Reference) -> Path:
        """Return the file or folder behind a reference, or where it would be."""
        raise NotImplementedError

    def member(self, reference: Reference, path: str) -> Reference:
        """Return the reference of one file of a folder's listing."""
        return replace(reference, path=f"{reference.path.rstrip('/')}/{path}")

    def resolve(self, reference: Reference) -> Snapshot:
        """As :meth:`modelpm.api.Source.resolve`; reads every byte."""
        target = self.target(reference)
        with _failures(target):
            if target.is_dir():
                files = [self._described(target / path, path, self.member(reference, path)) for path in _listed(target)]
            else:
                files = [self._described(target, target.name, reference)]
        if not files:
            raise NotFound(
                f"{printable(str(target))} holds no files of a model",
                hints=["names that begin with a dot, and links that leave the folder, are left out"],
            )
        lines = "".join(f"{file.digest}  {file.size}  {file.path}\n" for file in files)
        return Snapshot(reference, hashlib.sha256(lines.encode(errors="surrogateescape")).hexdigest(), tuple(files))

    def _described(self, file: Path, path: str, reference: Reference) -> RemoteFile:
        """Return a file with its digest; read every byte, and emit the progress."""
        if not file.is_file():  # a pipe or a device would never end
            raise NotFound(
                f"{printable(str(file))} is not a file" if file.exists() else f"{printable(str(file))} does not exist"
            )
        hasher, buffer = hashlib.sha256(), memoryview(bytearray(_CHUNK))
        with _open(file) as stream:
            size, done, told = os.fstat(stream.fileno()).st_size, 0, time.monotonic()
            while count := _read(stream, buffer):
                hasher.update(buffer[:count])
                done += count
                if (now := time.monotonic()) - told >= _PAUSE:
                    told = now
                    self._context.emit("file.hash", {"path": path, "done": done, "size": size})
            size = os.fstat(stream.fileno()).st_size
        self._context.emit("file.hash", {"path": path, "done": size, "size": size})
        return RemoteFile(path, size, Digest("sha256", hasher.hexdigest()), (str(file),), reference)

    def locate(self, reference: Reference, path: str) -> tuple[str, ...]:
        """As :meth:`modelpm.api.Locator.locate`; the reference is that of the file or that of its folder."""
        try:
            target = self.target(reference)
            file = target / path if target.is_dir() else target
            there = file.is_file() and (file is target or stays_in(file, target))
        except (ModelpmError, OSError):  # the listing says why it is missing
            return ()
        return (str(file),) if there else ()

    @contextmanager
    def open(
        self, file: RemoteFile, location: str, *, start: int = 0, stop: int | None = None, validator: str | None = None
    ) -> Iterator[Stream]:
        """As :meth:`modelpm.api.Source.open`; begins again if another file has replaced it."""
        with _failures(Path(location)):
            opened = _open(location)  # closed below
        with opened:
            stat = os.fstat(opened.fileno())
            current = f'"{stat.st_size:x}-{stat.st_mtime_ns:x}-{stat.st_ino:x}"'
            begin = start if validator in {None, current} else 0
            opened.seek(begin)
            window = _Window(opened, file.path, stat.st_size if stop is None else stop)
            yield Stream(window.chunks(), begin, stat.st_size, current, window.readinto)


class _Window:
    """Reads a file up to an offset."""

    def __init__(self, file: FileIO, path: str, stop: int) -> None:
        self._file = file
        self._path = path
        self._stop = stop

    def readinto(self, buffer: memoryview) -> int:
        with _failures(Path(self._path)):
            left = max(0, self._stop - self._file.tell())
            return _read(self._file, buffer[:left]) if left else 0

    def chunks(self) -> Iterator[bytes]:
        buffer = memoryview(bytearray(_CHUNK))
        while count := self.readinto(buffer):
            yield bytes(buffer[:count])


def _listed(folder: Path) -> list[str]:
    root = folder.resolve()
    found: list[str] = []
    for here, folders, names in os.walk(root, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__pycache__"]
        for name in names:
            path = Path(here, name)
            if not name.startswith(".") and path.is_file() and stays_in(path, root):
                found.append(path.relative_to(root).as_posix())
                if len(found) > MAX_FILES:
                    raise too_many(printable(str(folder)))
    return sorted(found)


def _open(path: Path | str) -> FileIO:
    """Open a file without a buffer, and without waiting if a pipe has replaced it."""
    return FileIO(open_file(path, os.O_RDONLY, follow=True), "rb")


def _read(file: FileIO, buffer: memoryview) -> int:
    """Read once.

    Raises:
        BlockingIOError: The read would have to wait, as with some of the system's own files.
    """
    count: int | None = file.readinto(buffer)
    if count is None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return count


def stays_in(path: Path, folder: Path) -> bool:
    """Whether a path leads into its folder or, in a Hugging Face cache, to a blob of that cache."""
    root, real = folder.resolve(), path.resolve()
    if real.is_relative_to(root):
        return True
    for above in (root / "snapshots", root, *root.parents):
        if above.name == "snapshots" and "--" in above.parent.name:
            return any(real.is_relative_to(allowed) for allowed in cache_roots(above.parent))
    return False


def cache_roots(repository: Path) -> tuple[Path, ...]:
    """Return the folders that links in a cached Hugging Face repository may lead to: its own, and the cache's blobs."""
    real = repository.resolve()
    return real, real.parent / "blobs"


def _raise(error: OSError) -> None:
    raise error


@contextmanager
def _failures(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise NotFound(f"{printable(str(path))} does not exist") from None
    except OSError as error:
        raise StoreError(f"{printable(str(path))} cannot be read: {error.strerror or error}") from None
