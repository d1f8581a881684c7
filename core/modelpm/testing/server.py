"""An HTTP/1.1 server on a raw socket."""

import contextlib
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from modelpm.testing.exchange import Exchange, Fault, Hangup

_MAX_HEAD = 1 << 16
_BUFFER = 1 << 16  # of the system, which would take megabytes of an endless body that no client reads


@dataclass(slots=True)
class FaultServer:
    """Serves files on the loopback interface, well or as badly as ``fault`` says. A context manager.

    Attributes:
        files: Bytes by path, e.g. ``{"/model.gguf": …}``.
        fault: Answers instead; None answers well. May be changed while the server runs.
        heads: Each request as ``(path, headers)``, in the order they came.
        sent: Bytes of bodies that were sent.
        connections: How many were accepted.
    """

    files: dict[str, bytes]
    fault: Fault | None = None
    heads: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    sent: int = 0
    connections: int = 0
    _listener: socket.socket | None = None
    _open: set[socket.socket] = field(default_factory=set)
    _ended: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        for connection in [self._listener, *list(self._open)]:
            if connection is not None:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()

    @property
    def origin(self) -> str:
        """The URL without a path."""
        port = self._listener.getsockname()[1] if self._listener is not None else 0
        return f"http://127.0.0.1:{port}"

    def url(self, path: str) -> str:
        """Return the URL of a file."""
        return self.origin + path

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
                with self._lock:
                    self.connections += 1
                    self._open.add(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, Hangup), connection:
            pending = b""
            while not self._ended.is_set():
                while b"\r\n\r\n" not in pending:
                    received = connection.recv(_MAX_HEAD)
                    if not received or len(pending) > _MAX_HEAD:
                        return
                    pending += received
                head, _, pending = pending.partition(b"\r\n\r\n")
                self._answer(head.decode("latin-1"), connection)

    def _answer(self, head: str, connection: socket.socket) -> None:
        first, *lines = head.split("\r\n")
        path = first.split(" ")[1]
        headers = {n.strip().lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
        data = self.files.get(urlsplit(path).path)
        with self._lock:
            exchange = Exchange(len(self.heads), path, headers, data or b"", connection, self._ended)
            self.heads.append((path, headers))
        try:
            if self.fault is not None:
                self.fault(exchange)
            elif data is None:
                exchange.refuse("404 Not Found")
            else:
                exchange.serve()
        finally:
            with self._lock:
                self.sent += exchange.sent
                if connection.fileno() < 0:
                    self._open.discard(connection)
