"""Read a body straight into the caller's buffer; count every byte, lose none that came before a failure."""

import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from io import DEFAULT_BUFFER_SIZE, BufferedReader

import urllib3

from modelpm.errors import Code, ModelpmError, Unavailable
from modelpm.http.answers import length_of
from modelpm.http.failures import BREAKS, failure
from modelpm.http.pacing import in_time
from modelpm.http.timing import idle_of
from modelpm.http.urls import host
from modelpm.text.human import number_of

_CHUNK = 1 << 20
_SMALL = 1 << 16
# A read returns with what it has after this many seconds, so that a slow server shows as progress, not as silence.
_PATIENCE = 0.05


class Body:
    """The bytes of one answer. Read by one thread; :meth:`abort` may come from any."""

    def __init__(self, response: urllib3.BaseHTTPResponse, url: str, length: int | None) -> None:
        self._response = response
        self._url = url
        self._left = length
        self._read = _reader(response)
        self._count = 0
        self._failed: ModelpmError | None = None
        self._aborted = False
        self._ended = length == 0
        if self._ended:
            self._finish()

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer as far as bytes come without much waiting; return how many, 0 at the end.

        Raises:
            Unavailable: The connection broke, went silent, or ended before the length it announced.
        """
        if self._failed is not None:
            raise self._failed
        if self._ended:
            return 0
        wanted = len(buffer) if self._left is None else min(len(buffer), self._left)
        filled, count = 0, -1
        # TLS brings 16 KiB at a time, so this turns 65,536 times a GiB: nothing is in it that need not be. It reads
        # before it looks at the clock, for nothing read means the end.
        read, clock, until = self._read, time.monotonic, time.monotonic() + _PATIENCE
        try:
            while filled < wanted:
                count = read(buffer[filled:wanted])
                filled += count
                if not count or clock() >= until:
                    break
        except BREAKS as error:
            self._failed = self._broken(error)
        self._took(filled, ended=not count)
        if self._failed is not None:
            self.close()
            if self._aborted or not filled:
                raise self._failed
        return filled  # what came before a failure is good; the next call raises

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes in pieces of at most 1 MiB."""
        size = _CHUNK if self._left is None else min(_CHUNK, self._left)  # the system clears every byte of it
        buffer = memoryview(bytearray(size))
        while count := self.readinto(buffer):
            yield bytes(buffer[:count])

    def abort(self) -> None:
        """Make a read that waits in another thread fail at once."""
        self._aborted = True
        with suppress(OSError, RuntimeError, ValueError):  # it has ended already
            self._response.shutdown()

    def close(self) -> None:
        """Give the connection back where the body was read to its end, else close it: it is in an unknown state."""
        if not self._ended:
            with suppress(*BREAKS):
                self._response.close()

    def _took(self, count: int, *, ended: bool) -> None:
        """Take note of what came, and see whether the body is through, or was cut."""
        self._count += count
        if self._left is not None:
            self._left -= count
        if self._aborted:  # what came after that may be ciphertext: the TLS layer is gone by then
            self._failed = self._broken(None)
        elif self._left == 0 or (ended and self._left is None):
            self._finish()
        elif ended and self._failed is None:
            self._failed = Unavailable(
                f"{host(self._url)} closed the connection {self._left} bytes too early", code=Code.CUT_SHORT
            )

    def _broken(self, error: BaseException | None) -> ModelpmError:
        if self._aborted or error is None:
            return Unavailable(f"the connection to {host(self._url)} was given up", code=Code.ABORTED)
        return failure(error, self._url)

    def _finish(self) -> None:
        """Return the connection to the pool where the whole answer was read, not only the part we wanted."""
        self._ended = True
        raw = getattr(self._response, "_original_response", None)
        if raw is not None and self._count == length_of(self._response.headers):
            raw.close()  # only the answer: read below http.client, it does not know that it is through
        if raw is not None and raw.isclosed():
            self._response.release_conn()
        else:
            self._response.close()


def _reader(response: urllib3.BaseHTTPResponse) -> Callable[[memoryview], int]:
    """Return what reads once from the connection into a buffer.

    urllib3 and http.client offer only reads that copy, or that block until the whole buffer is full. Below them is the
    socket's own file, which does neither; it is used where the body has a plain length, and where it is there.
    """
    file = getattr(getattr(response, "_original_response", None), "fp", None)
    if length_of(response.headers) is not None and isinstance(file, BufferedReader):
        return _direct(file, getattr(response.connection, "sock", None))

    def copy(buffer: memoryview) -> int:
        data = response.read1(len(buffer), decode_content=False)
        buffer[: len(data)] = data
        return len(data)

    return copy


def _direct(file: BufferedReader, connected: object) -> Callable[[memoryview], int]:
    """Return what takes the bytes that came along with the headers, then reads from the socket without a copy."""
    rest: memoryview | None = None
    raw = _secure(connected) if isinstance(connected, ssl.SSLSocket) else file.raw.readinto

    def readinto(buffer: memoryview) -> int:
        nonlocal rest
        if not rest:
            if rest is not None:
                return raw(buffer) or 0
            rest = memoryview(file.read1(DEFAULT_BUFFER_SIZE))
        count = min(len(rest), len(buffer))
        buffer[:count], rest = rest[:count], rest[count:]
        return count

    return readinto


def _secure(connected: ssl.SSLSocket) -> Callable[[memoryview], int]:
    """Return what reads one record; the file above the socket would go through three more calls for every 16 KiB."""
    read = connected.read
    return lambda buffer: read(len(buffer), buffer)  # type: ignore[return-value]  # a count, where there is a buffer


def read_capped(response: urllib3.BaseHTTPResponse, url: str, cap: int, length: int | None = None) -> bytes | None:
    """Read a small body and release the connection; None if it is longer than ``cap`` bytes.

    Raises:
        Unavailable: The connection broke, went silent, drips, or ended too early.
    """
    body = Body(response, url, length)
    try:
        return capped(in_time(body.chunks(), url, idle_of(response), body.abort), cap)
    finally:
        body.close()


def capped(chunks: Iterable[bytes], cap: int) -> bytes | None:
    """Return the bytes of all chunks; None if they are more than ``cap``."""
    data = bytearray()
    for chunk in chunks:
        data += chunk
        if len(data) > cap:
            return None
    return bytes(data)


def discard(response: urllib3.BaseHTTPResponse, url: str) -> None:
    """Read off the body of a redirect where it is small, so that the connection can be used again; else close it."""
    length = number_of(response.headers.get("Content-Length", ""))
    if length is not None and length <= _SMALL:
        with suppress(ModelpmError):
            read_capped(response, url, _SMALL, length)
    else:
        response.close()
