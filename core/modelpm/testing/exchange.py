"""One request and its answer, written to a raw socket so that the answer may be anything."""

import hashlib
import re
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_CHUNK = 1 << 16


class Hangup(Exception):  # noqa: N818 - not a failure: what the fault wanted
    """The connection is over."""


@dataclass(slots=True)
class Exchange:
    """A request, and the socket to answer on.

    Attributes:
        number: How many requests came before it.
        path: With the query, as it was sent.
        headers: By lower-case name.
        data: The bytes of the file that was asked for.
        connection: The socket.
        ended: Set when the server closes.
        sent: Bytes of bodies that were sent.
    """

    number: int
    path: str
    headers: Mapping[str, str]
    data: bytes
    connection: socket.socket
    ended: threading.Event
    sent: int = 0
    _extra: dict[str, str] = field(default_factory=dict)

    @property
    def range(self) -> tuple[int, int] | None:
        """The range that was asked for, cut at the end of the file, or None."""
        found = _RANGE.fullmatch(self.headers.get("range", ""))
        if not found:
            return None
        stop = int(found[2]) + 1 if found[2] else len(self.data)
        return int(found[1]), min(stop, len(self.data))

    @property
    def etag(self) -> str:
        """The strong validator of the bytes."""
        return f'"{hashlib.sha256(self.data).hexdigest()[:16]}"'

    def head(self, status: str, length: int | None = None, **fields: str) -> None:
        """Send status line and headers; underscores in names become hyphens."""
        lines = [f"HTTP/1.1 {status}"]
        if length is not None:
            lines.append(f"Content-Length: {length}")
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        self.raw("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def raw(self, data: bytes) -> None:
        """Send bytes that are not counted as body."""
        self.connection.sendall(data)

    def body(self, data: bytes) -> None:
        """Send bytes of the body."""
        for at in range(0, len(data), _CHUNK):
            piece = data[at : at + _CHUNK]
            self.connection.sendall(piece)
            self.sent += len(piece)

    def refuse(self, status: str, text: str = "no", **fields: str) -> None:
        """Send a small answer that is not a success."""
        self.head(status, len(text), **fields)
        self.raw(text.encode())

    def wanted(self) -> tuple[str, int, int]:
        """Return the status of a truthful answer, and which bytes are in it."""
        asked, if_range = self.range, self.headers.get("if-range")
        if asked is None or (if_range is not None and if_range != self.etag):
            return "200 OK", 0, len(self.data)
        return "206 Partial Content", *asked

    def begin(self, *, etag: str | None = None) -> bytes:
        """Send the headers of a truthful answer and return its body, which is still to be sent."""
        status, start, stop = self.wanted()
        if status.startswith("206") and start >= len(self.data):
            self.refuse("416 Range Not Satisfiable", "", Content_Range=f"bytes */{len(self.data)}")
            return b""
        fields = {"ETag": etag or self.etag}
        if status.startswith("206"):
            fields["Content_Range"] = f"bytes {start}-{stop - 1}/{len(self.data)}"
        self.head(status, stop - start, **fields)
        return self.data[start:stop]

    def serve(self) -> None:
        """Answer truthfully."""
        self.body(self.begin())

    def reset(self) -> None:
        """End the connection with a reset, as a crashed server does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        raise Hangup

    def hang_up(self) -> None:
        """End the connection in good order, whatever was announced."""
        raise Hangup


Fault = Callable[[Exchange], None]
"""Answers a request badly."""
