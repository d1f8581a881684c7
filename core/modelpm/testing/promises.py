"""What every suite uses: to say which promise is broken, and to read bytes as the engine does."""

from collections.abc import Callable
from threading import Thread
from typing import TypeVar

from modelpm.api import RemoteFile, Source, Stream

_T = TypeVar("_T")
_PATIENCE = 30.0


def require(condition: bool, promise: str) -> None:
    """Fail with the promise that is broken.

    Raises:
        AssertionError: The condition does not hold.
    """
    if not condition:
        raise AssertionError(f"broken promise: {promise}")


def elsewhere(call: Callable[[], _T], what: str) -> _T:
    """Return what a call returns on another thread.

    Raises:
        AssertionError: It raised there, or did not end.
    """
    came, failed = list[_T](), list[BaseException]()

    def run() -> None:
        try:
            came.append(call())
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(_PATIENCE)
    require(not thread.is_alive(), f"{what} ends, on another thread as well")
    if failed:
        said = f"{type(failed[0]).__name__}: {failed[0]}"
        raise AssertionError(f"broken promise: {what} works on another thread as well; it raised {said}") from failed[0]
    return came[0]


def read(source: Source, file: RemoteFile, location: str, start: int, stop: int | None) -> bytes:
    """Return the bytes from ``start`` on; what comes before it or behind ``stop`` is cut, as the engine does.

    Raises:
        AssertionError: The stream is none, or says wrong things of itself.
    """
    with source.open(file, location, start=start, stop=stop) as stream:
        require(isinstance(stream, Stream), f"open gives a Stream, not a {type(stream).__name__}")
        require(0 <= stream.start <= start, f"a stream of {file.path} from {start} begins at {stream.start}")
        size = stream.total if file.size is None else file.size
        said = f"the total of a stream of {file.path} is its whole size, {size}, or None, not {stream.total}"
        require(stream.total in {None, size}, said)
        data = _drained(stream)
    return data[start - stream.start :][: None if stop is None else stop - start]


def _drained(stream: Stream) -> bytes:
    if stream.readinto is None:
        return b"".join(stream.chunks)
    data, buffer = bytearray(), memoryview(bytearray(1 << 16))
    while count := stream.readinto(buffer):
        data += buffer[:count]
    return bytes(data)
