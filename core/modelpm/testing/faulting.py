"""Run a source over HTTP through the server that misbehaves: one line for every fault."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from modelpm.api import Context, ModelpmError, Network, RemoteFile, Source, Stream
from modelpm.testing.exchange import Fault
from modelpm.testing.faults import FAULTS, first
from modelpm.testing.promises import require
from modelpm.testing.server import FaultServer

_DATA = bytes(range(256)) * 4
_PATH = "/model.bin"
_LONGEST = 3.0  # seconds a reader waits for bytes that trickle; the engine replaces such a connection
_SILENT = 10.0  # seconds in which a silent connection must have been given up
_AT_ONCE = 8

QUICK = Context(network=Network(connect_timeout=1.0, idle_timeout=0.4, first_byte_timeout=0.8, retries=0))
"""A context for tests: a source that is made with it gives up soon."""


@dataclass(frozen=True, slots=True)
class Met:
    """How a source met one fault.

    Attributes:
        error: What it raised; None if bytes came.
        seconds: How long that took.
    """

    error: Exception | None
    seconds: float


def check_faults(source: Source, *, faults: Mapping[str, Fault] = FAULTS) -> dict[str, Met]:
    """Assert that a source survives a server that misbehaves; its locations must be URLs.

    Each fault answers one request. The source may raise a :class:`modelpm.api.ModelpmError`, ``OSError`` or
    ``EOFError``, or give bytes, which a digest would judge; nothing else, and not for ever. The next request is
    answered well, and must give the right bytes.

    Args:
        source: What your plugin made, with :data:`QUICK` as its context.
        faults: Which.

    Returns:
        How it met each fault.

    Raises:
        AssertionError: Names the fault.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(lambda item: _meet(source, *item), faults.items())
        return dict(zip(faults, found, strict=True))


def _meet(source: Source, name: str, fault: Fault) -> Met:
    with FaultServer({_PATH: _DATA}, fault=first(1, fault)) as server:
        url = server.url(_PATH)
        file = RemoteFile("model.bin", len(_DATA), None, (url,))
        began = time.monotonic()
        error = _failure(source, file, url, name)
        seconds = time.monotonic() - began
        require(seconds < _LONGEST + _SILENT, f"the fault `{name}` is over in {_SILENT:g} s, not in {seconds:.0f}")
        server.fault = None
        with source.open(file, url) as stream:
            body = _drained(stream)
        require(body == _DATA, f"after the fault `{name}` the file is read as it is")
    return Met(error, seconds)


def _failure(source: Source, file: RemoteFile, url: str, name: str) -> Exception | None:
    try:
        with source.open(file, url) as stream:
            _drained(stream)
    except (ModelpmError, OSError, EOFError) as error:
        return error
    except BaseException as error:
        said = f"{type(error).__name__}: {error}"
        raise AssertionError(
            f"broken promise: the fault `{name}` is an error that modelpm knows; it raised {said}"
        ) from error
    return None


def _drained(stream: Stream) -> bytes:
    """Return the body, as far as it comes in time; as the engine, read nothing behind the size of the file."""
    until, data = time.monotonic() + _LONGEST, bytearray()
    buffer = memoryview(bytearray(len(_DATA)))
    if stream.readinto is not None:
        while len(data) < len(_DATA) and time.monotonic() < until:
            count = stream.readinto(buffer[len(data) :])
            if not count:
                break
            data += buffer[len(data) : len(data) + count]
        return bytes(data)
    for chunk in stream.chunks:
        data += chunk
        if len(data) >= len(_DATA) or time.monotonic() > until:
            break
    return bytes(data[: len(_DATA)])
