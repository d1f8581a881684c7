"""Hold a source against the contract."""

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from modelpm.api import ModelpmError, NotFound, Reference, RemoteFile, Snapshot, Source, Stream

_NONSENSE = "no-such-thing-0b9f2c"


def check_source(source: Source, reference: Reference, *, secrets: Sequence[str] = ()) -> Snapshot:
    """Assert that a source does what the engine relies on.

    It resolves twice, reads every file, reads tails and ranges, opens two streams at once, and asks for nonsense.

    Args:
        source: What your plugin made.
        reference: Something small that exists.
        secrets: Credentials the source was given; they may be in no message.

    Returns:
        The listing.

    Raises:
        AssertionError: Says what is not as it should be.
    """
    snapshot = source.resolve(reference)
    _require(isinstance(snapshot, Snapshot), f"resolve returns a Snapshot, not a {type(snapshot).__name__}")
    _require(source.resolve(reference) == snapshot, "resolving twice gives the same listing")
    _require(bool(snapshot.files), "the listing has files")
    paths = [file.path for file in snapshot.files]
    _require(len(set(paths)) == len(paths), "every path is listed once")
    for file in snapshot.files:
        _check_file(source, file)
    _check_two_at_once(source, snapshot.files[0])
    _check_nonsense(source, reference, secrets)
    return snapshot


def _check_file(source: Source, file: RemoteFile) -> None:
    _require(bool(file.locations), f"{file.path} has a location")
    for location in file.locations:
        whole = _read(source, file, location, 0, None)
        _require(file.size in {None, len(whole)}, f"{file.path} has {file.size} bytes, got {len(whole)} of {location}")
        if file.digest is not None and file.digest.algorithm == "sha256":
            actual = hashlib.sha256(whole).hexdigest()
            _require(actual == file.digest.hex, f"{file.path} has the sha256 {file.digest.hex}, got {actual}")
        for start in sorted({0, 1, len(whole) // 2, max(0, len(whole) - 1)} & set(range(len(whole)))):
            _require(
                _read(source, file, location, start, None) == whole[start:], f"{file.path} from {start} is its tail"
            )
            stop = min(len(whole), start + 7)
            found = _read(source, file, location, start, stop)
            _require(found == whole[start:stop], f"{file.path} from {start} to {stop} is that range")


def _check_two_at_once(source: Source, file: RemoteFile) -> None:
    location = file.locations[0]
    alone = _read(source, file, location, 0, None)
    with ExitStack() as stack:
        streams = [stack.enter_context(source.open(file, location)) for _ in range(2)]
        bodies = [b"".join(stream.chunks) for stream in streams]
    _require(bodies == [alone, alone], f"two streams of {file.path} at once don't disturb each other")


def _check_nonsense(source: Source, reference: Reference, secrets: Sequence[str]) -> None:
    nonsense = replace(reference, path=f"{reference.path}-{_NONSENSE}")
    try:
        source.resolve(nonsense)
    except NotFound as error:
        told = f"{error.message} {error.hints} {error.details}"
        _require(not any(secret in told for secret in secrets), "no message holds a secret")
    except ModelpmError as error:
        msg = f"{nonsense} is NotFound, not {type(error).__name__}: {error}"
        raise AssertionError(msg) from error
    else:
        raise AssertionError(f"{nonsense} is NotFound, and not a listing")


def _read(source: Source, file: RemoteFile, location: str, start: int, stop: int | None) -> bytes:
    """Return the bytes from ``start`` on; what comes before it or behind ``stop`` is cut, as the engine does."""
    with source.open(file, location, start=start, stop=stop) as stream:
        _require(isinstance(stream, Stream), f"open gives a Stream, not a {type(stream).__name__}")
        _require(0 <= stream.start <= start, f"a stream of {file.path} from {start} begins at {stream.start}")
        data = _drain(stream)
    return data[start - stream.start :][: None if stop is None else stop - start]


def _drain(stream: Stream) -> bytes:
    if stream.readinto is None:
        return b"".join(stream.chunks)
    data, buffer = bytearray(), memoryview(bytearray(1 << 16))
    while count := stream.readinto(buffer):
        data += buffer[:count]
    return bytes(data)


def _require(condition: bool, promise: str) -> None:
    if not condition:
        raise AssertionError(f"broken promise: {promise}")
