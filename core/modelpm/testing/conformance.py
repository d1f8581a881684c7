"""Check a source against the contract."""

import gc
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from modelpm.api import Context, ModelpmError, NotFound, OfflineError, Reference, RemoteFile, Snapshot, Source
from modelpm.plugins.discovery import scan
from modelpm.plugins.registry import Registry
from modelpm.testing.promises import elsewhere, read, require
from modelpm.testing.references import check_references, check_search
from modelpm.text.untrusted import check_paths

_NONSENSE = "no-such-thing-0b9f2c"
_OPENED = 8  # times, before what is still open is counted


def check_source(
    source: Source,
    reference: Reference,
    *,
    secrets: Sequence[str] = (),
    offline: Source | None = None,
    search: str = "",
) -> Snapshot:
    """Assert that a source does what modelpm relies on.

    It resolves twice, reads every file, reads tails and ranges, follows what a lock would write, opens streams at once,
    on other threads and again and again, aborts one, and asks for nonsense.

    Args:
        source: What your plugin made.
        reference: Something small that exists.
        secrets: Credentials the source was given; they may be in no message and in no reference.
        offline: What your plugin made of a context whose ``offline`` is true; None if it needs no network.
        search: Words for which its ``search`` finds a model of one file or more; empty if it has no search.

    Returns:
        The listing.

    Raises:
        AssertionError: Says what is not as it should be.
    """
    snapshot = source.resolve(reference)
    require(isinstance(snapshot, Snapshot), f"resolve returns a Snapshot, not a {type(snapshot).__name__}")
    require(source.resolve(reference) == snapshot, "resolving twice gives the same listing")
    require(bool(snapshot.files), "the listing has files")
    paths = [file.path for file in snapshot.files]
    require(len(set(paths)) == len(paths), "every path is listed once")
    try:
        check_paths(paths)
    except ModelpmError as error:
        raise AssertionError(f"broken promise: paths are safe on every system; {error}") from error
    for file in snapshot.files:
        _check_file(source, file)
    check_references(source, snapshot, secrets)
    _check_threads(source, snapshot.files[0])
    _check_abort(source, snapshot.files[0])
    _check_handles(source, snapshot.files[0])
    _check_nonsense(source, reference, secrets)
    if offline is not None:
        _check_offline(offline, reference)
    if search:
        check_search(source, reference.scheme, search)
    return snapshot


def _check_file(source: Source, file: RemoteFile) -> None:
    require(bool(file.locations), f"{file.path} has a location")
    for location in file.locations:
        whole = read(source, file, location, 0, None)
        require(file.size in {None, len(whole)}, f"{file.path} has {file.size} bytes, got {len(whole)} of {location}")
        _check_digest(file, whole)
        for start in sorted({0, 1, len(whole) // 2, max(0, len(whole) - 1)} & set(range(len(whole)))):
            require(read(source, file, location, start, None) == whole[start:], f"{file.path} from {start} is its tail")
            stop = min(len(whole), start + 7)
            found = read(source, file, location, start, stop)
            require(found == whole[start:stop], f"{file.path} from {start} to {stop} is that range")


def _check_digest(file: RemoteFile, whole: bytes) -> None:
    """Compare by the digest plugins of this installation, which an install asks as well."""
    if file.digest is None:
        return
    algorithm = file.digest.algorithm
    try:
        hasher = Registry(scan(), lambda _kind, _name: Context(), installed=True).hasher(algorithm, len(whole))
    except ModelpmError as error:
        raise AssertionError(f"broken promise: the digest of {file.path} can be checked; {error}") from error
    hasher.update(whole)
    actual = hasher.hexdigest()
    require(actual == file.digest.hex, f"{file.path} has the {algorithm} {file.digest.hex}, got {actual}")


def _check_threads(source: Source, file: RemoteFile) -> None:
    location = file.locations[0]
    alone = read(source, file, location, 0, None)
    with ExitStack() as stack:
        streams = [stack.enter_context(source.open(file, location)) for _ in range(2)]
        bodies = [b"".join(stream.chunks) for stream in streams]
    require(bodies == [alone, alone], f"two streams of {file.path} at once don't disturb each other")
    found = elsewhere(lambda: read(source, file, location, 0, None), f"a read of {file.path}")
    require(found == alone, f"{file.path} has the same bytes on another thread")


def _check_abort(source: Source, file: RemoteFile) -> None:
    with suppress(ModelpmError, OSError), source.open(file, file.locations[0]) as stream:
        if stream.abort is not None:
            elsewhere(stream.abort, "abort")
            with suppress(ModelpmError, OSError, ValueError):  # a read of what was aborted ends in some way
                b"".join(stream.chunks)


def _check_handles(source: Source, file: RemoteFile) -> None:
    read(source, file, file.locations[0], 0, None)
    before = _held()
    for _ in range(_OPENED):
        with source.open(file, file.locations[0]) as stream:
            next(iter(stream.chunks), b"")
    gc.collect()
    files, threads = (after - start for after, start in zip(_held(), before, strict=True))
    require(files < _OPENED, f"streams that were left are closed; {files} files or connections stay open")
    require(threads < _OPENED, f"streams that were left end their threads; {threads} stay")


def _held() -> tuple[int, int]:
    try:
        files = sum(1 for _ in Path("/dev/fd").iterdir())
    except OSError:  # a system that does not tell
        files = 0
    return files, threading.active_count()


def _check_nonsense(source: Source, reference: Reference, secrets: Sequence[str]) -> None:
    nonsense = replace(reference, path=f"{reference.path}-{_NONSENSE}")
    try:
        source.resolve(nonsense)
    except NotFound as error:
        told = f"{error.message} {error.hints} {error.details}"
        require(not any(secret in told for secret in secrets), "no message holds a secret")
    except ModelpmError as error:
        msg = f"{nonsense} is NotFound, not {type(error).__name__}: {error}"
        raise AssertionError(msg) from error
    else:
        raise AssertionError(f"{nonsense} is NotFound, and not a listing")


def _check_offline(source: Source, reference: Reference) -> None:
    try:
        source.resolve(reference)
    except OfflineError:
        return
    except ModelpmError as error:
        msg = f"a source that may not use the network raises OfflineError, not {type(error).__name__}: {error}"
        raise AssertionError(msg) from error
    raise AssertionError("broken promise: a source that may not use the network raises OfflineError")
