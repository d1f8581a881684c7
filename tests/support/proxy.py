"""A real HTTP proxy on this machine: forwards plain requests, makes tunnels, and keeps what it was asked."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.support.raw import raw_server


@dataclass(slots=True)
class Proxy:
    """What a proxy was asked.

    Attributes:
        url: Where it listens.
        asked: First line of each request, in the order they came.
        heads: The whole heads.
    """

    url: str
    asked: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)


@contextmanager
def running_proxy() -> Iterator[Proxy]:
    """Run a proxy on a free port."""
    proxy = Proxy("")

    def reply(head: str, client: socket.socket) -> bool:
        method, target, _ = (first := head.split("\r\n", maxsplit=1)[0]).split(" ", 2)
        proxy.asked.append(first)
        proxy.heads.append(head)
        parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
        with suppress(OSError), socket.create_connection((parts.hostname or "", parts.port or 80)) as server:
            if method == "CONNECT":
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            else:
                path = parts.path + (f"?{parts.query}" if parts.query else "")
                rest = head.partition("\r\n")[2].replace("Connection: keep-alive", "Connection: close")
                server.sendall(f"{method} {path} HTTP/1.1\r\n{rest}".encode("latin-1"))
            back = threading.Thread(target=_pump, args=(server, client), daemon=True)
            back.start()
            _pump(client, server)
            back.join(10)
        return False

    with raw_server(reply) as server:
        proxy.url = f"http://127.0.0.1:{server.port}"
        yield proxy


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
