"""The storage behind a Hub of the tests: signed links that run out, ranges, and an entity tag of its own."""

import hashlib
import hmac
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TypeAlias

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

Content: TypeAlias = bytes | Path


def read(content: Content) -> bytes:
    return content if isinstance(content, bytes) else content.read_bytes()


def ranged(request: Request, data: bytes, etag: str, headers: Mapping[str, str] | None = None) -> Response:
    """Answer 200, 206 or 416 as RFC 9110 says."""
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
    shared = {"ETag": etag, "Accept-Ranges": "bytes", **(headers or {})}
    if not found or request.headers.get("If-Range", etag) != etag:
        return Response(data, 200, shared, mimetype="application/octet-stream")
    start, stop = int(found[1]), min(int(found[2] or len(data)) + 1, len(data))
    if start >= len(data):
        return Response(b"", 416, {**shared, "Content-Range": f"bytes */{len(data)}"})
    part = {**shared, "Content-Range": f"bytes {start}-{stop - 1}/{len(data)}"}
    return Response(data[start:stop], 206, part, mimetype="application/octet-stream")


class QuickServer(HTTPServer):  # type: ignore[misc, unused-ignore]
    """A threaded server that stops at once, not after half a second."""

    def __init__(self) -> None:
        super().__init__(threaded=True)

    def thread_target(self) -> None:
        assert self.server is not None
        self.server.serve_forever(poll_interval=0.01)


@dataclass(frozen=True, slots=True)
class Seen:
    """One request that came in."""

    server: str
    method: str
    path: str
    headers: Mapping[str, str]
    status: int


@dataclass(slots=True)
class Fault:
    """An answer that is given instead of the real one, some times."""

    pattern: str
    answer: Callable[[Request], Response]
    times: int


@dataclass(slots=True)
class Server:
    """A threaded server that logs, and that can be told to fail, or to be some seconds away."""

    name: str
    route: Callable[[Request], Response]
    seen: list[Seen]
    delay: float = 0.0
    faults: list[Fault] = field(default_factory=list)
    http: HTTPServer = field(default_factory=QuickServer)
    _lock: Lock = field(default_factory=Lock)

    def start(self) -> None:
        self.http.expect_request(re.compile(".*")).respond_with_handler(self._serve)
        self.http.start()

    @property
    def url(self) -> str:
        return str(self.http.url_for("")).rstrip("/")

    def fail(self, pattern: str, status: int, headers: Mapping[str, str] | None = None, *, times: int = 1) -> None:
        """Answer the next requests whose path matches with a status."""
        self.faults.append(Fault(pattern, lambda _: Response(b"", status, dict(headers or {})), times))

    def answer(self, pattern: str, body: bytes, mimetype: str, *, times: int = 1) -> None:
        """Answer the next requests whose path matches with a body."""
        self.faults.append(Fault(pattern, lambda _: Response(body, 200, mimetype=mimetype), times))

    def _serve(self, request: Request) -> Response:
        if self.delay:
            time.sleep(self.delay)
        response = (self._fault(request.path) or self.route)(request)
        with self._lock:
            self.seen.append(Seen(self.name, request.method, request.path, dict(request.headers), response.status_code))
        return response

    def _fault(self, path: str) -> Callable[[Request], Response] | None:
        with self._lock:
            for fault in self.faults:
                if fault.times and re.search(fault.pattern, path):
                    fault.times -= 1
                    return fault.answer
        return None


@dataclass(slots=True)
class Cdn:
    """Serves blobs by sha256 to whoever has a signature that is still good.

    Attributes:
        lifetime: Seconds a link is good for.
    """

    lifetime: float = 3600.0
    _blobs: dict[str, Content] = field(default_factory=dict)
    _key: bytes = b"0"

    def put(self, sha256: str, content: Content) -> None:
        self._blobs[sha256] = content

    def revoke(self) -> None:
        """Make every link that was handed out so far run out."""
        self._key += b"0"

    def query(self, sha256: str) -> str:
        expires = int(time.time() + self.lifetime)
        return f"Expires={expires}&Policy=canary-policy&Signature={self._sign(sha256, expires)}&Key-Pair-Id=K1"

    def route(self, request: Request) -> Response:
        sha256, expires = request.path.rpartition("/")[2], request.args.get("Expires", "0")
        good = request.args.get("Signature") == self._sign(sha256, int(expires)) and int(expires) > time.time()
        if not good or "Authorization" in request.headers:
            return Response("<Error><Code>AccessDenied</Code></Error>", 403, mimetype="application/xml")
        data = read(self._blobs[sha256])
        return ranged(request, data, f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}-1"')

    def _sign(self, sha256: str, expires: int) -> str:
        return hmac.new(self._key, f"{sha256}{expires}".encode(), "sha256").hexdigest()
