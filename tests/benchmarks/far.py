"""A server of files that is far away: each answer begins late, and all connections share one line.

nginx delays no answer, and limits connections one by one. This sends files as nginx does, by ``sendfile``.
"""

import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_PIECE = 256 << 10


@dataclass(slots=True)
class Line:
    """What all connections go through.

    Attributes:
        root: The folder whose files are served.
        delay: Seconds before each answer.
        rate: Bytes a second.
        requests: Answers so far.
        sent: Bytes of bodies so far.
        url: Where it is.
    """

    root: Path
    delay: float
    rate: float
    requests: int = 0
    sent: int = 0
    url: str = ""
    _due: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> None:
        """Count an answer, after the delay."""
        time.sleep(self.delay)
        with self._lock:
            self.requests += 1

    def pay(self, count: int) -> None:
        """Wait until the line has room for so many bytes."""
        with self._lock:
            now = time.monotonic()
            self._due = max(self._due, now - 0.02) + count / self.rate
            self.sent += count
            wait = self._due - now
        if wait > 0:
            time.sleep(wait)


@contextmanager
def far_away(root: Path, delay: float, rate: float) -> Iterator[Line]:
    """Serve the files below ``root``."""
    line = Line(root, delay, rate)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            """Send a file or a range of it."""
            line.begin()
            with (line.root / self.path.partition("?")[0].lstrip("/")).open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
                start, stop = (int(found[1]), min(size, int(found[2] or size) + 1)) if found else (0, size)
                self.send_response(206 if found else 200)
                self.send_header("Content-Length", str(stop - start))
                self.send_header("ETag", '"1"')
                if found:
                    self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
                self.end_headers()
                self.wfile.flush()
                try:
                    while start < stop:
                        line.pay(count := min(_PIECE, stop - start))
                        start += os.sendfile(self.connection.fileno(), file.fileno(), start, count)
                except OSError:  # the program went away
                    self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    line.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield line
    finally:
        server.shutdown()
        server.server_close()
