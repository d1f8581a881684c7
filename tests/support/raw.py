"""A server that sends exactly the bytes it was given, for answers no library would send."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass(slots=True)
class RawServer:
    """Answers each request by calling ``reply``; keeps the head of each.

    Attributes:
        reply: What handles one request on its connection; returns whether the connection stays open.
        heads: The requests, request line and header lines, in the order they came.
        connections: How many were accepted.
    """

    reply: Callable[[str, socket.socket], bool]
    listener: socket.socket
    port: int
    tls: ssl.SSLContext | None = None
    heads: list[str] = field(default_factory=list)
    connections: int = 0

    def url(self, path: str = "/file") -> str:
        return f"{'https' if self.tls else 'http'}://localhost:{self.port}{path}"

    def accept(self) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                connection, _ = self.listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with connection:
                while head := _head(connection):
                    self.heads.append(head)
                    if not self.reply(head, connection):
                        return


@contextmanager
def raw_server(reply: Callable[[str, socket.socket], bool], tls: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    with socket.create_server(("localhost", 0)) as listener:
        server = RawServer(reply, listener, listener.getsockname()[1], tls)
        thread = threading.Thread(target=server.accept, daemon=True)
        thread.start()
        yield server
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def sends(*parts: bytes, then: Callable[[socket.socket], object] | None = None) -> Callable[[str, socket.socket], bool]:
    """Return a reply that sends the parts, does something, and closes."""

    def reply(_head: str, connection: socket.socket) -> bool:
        for part in parts:
            connection.sendall(part)
        if then is not None:
            then(connection)
        return False

    return reply


def always(data: bytes) -> Callable[[str, socket.socket], bool]:
    """Return a reply that sends the same to every request of a connection, which stays open."""

    def reply(_head: str, connection: socket.socket) -> bool:
        connection.sendall(data)
        return True

    return reply


def answer(status: str, body: bytes = b"", **headers: str) -> bytes:
    """Return an HTTP/1.1 answer; header names have underscores for dashes, and Content-Length is added."""
    lines = {"Content-Length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    return (
        f"HTTP/1.1 {status}\r\n".encode()
        + b"".join(f"{n}: {v}\r\n".encode() for n, v in lines.items())
        + b"\r\n"
        + body
    )


def _head(connection: socket.socket) -> str:
    data = b""
    while b"\r\n\r\n" not in data:
        received = connection.recv(65536)
        if not received:
            return ""
        data += received
    return data.decode("latin-1")
