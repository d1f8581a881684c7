"""A registry of this machine, in two kinds: Debian's docker-registry, and a double that can lie and fail.

The double speaks the OCI distribution protocol as far as modelpm uses it; that it does is held by tests that run
against both.
"""

import hashlib
import json
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
needs_registry = pytest.mark.skipif(shutil.which("docker-registry") is None, reason="docker-registry is not installed")
needs_skopeo = pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")

Reply = tuple[int, Mapping[str, str], bytes]


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass
class Asked:
    """One request that came in."""

    method: str
    path: str
    authorization: str
    received: int


@dataclass
class Registry:
    """The double.

    Attributes:
        blobs: By repository and digest.
        manifests: By repository and tag or digest: media type and bytes.
        uploads: What came of blobs that are not complete.
        asked: Every request, in order.
        intercept: Answers a request in place of the registry, where it returns something.
        cut: How many bytes of the next PATCH are taken before the connection breaks; None takes all.
    """

    origin: str = ""
    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    intercept: Callable[[str, str, Mapping[str, str]], Reply | None] = lambda _method, _path, _headers: None
    cut: int | None = None

    @property
    def host(self) -> str:
        return self.origin.partition("://")[2]

    def put(self, repository: str, tag: str, layers: Mapping[str, bytes] | None = None, **known: Any) -> str:
        """Keep an artifact in the style of ORAS; return its digest. ``known`` replaces parts of the manifest."""
        entries = []
        for path, data in (layers or {}).items():
            self.blobs[repository, digest(data)] = data
            title = {"org.opencontainers.image.title": path}
            kind = "application/octet-stream"
            entries.append({"mediaType": kind, "digest": digest(data), "size": len(data), "annotations": title})
        config = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest(b"{}"), "size": 2}
        self.blobs[repository, digest(b"{}")] = b"{}"
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": entries, **known}
        return self.put_document(repository, tag, manifest)

    def put_document(self, repository: str, tag: str, document: Mapping[str, Any] | bytes) -> str:
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        kind = document.get("mediaType", MANIFEST) if isinstance(document, Mapping) else MANIFEST
        for name in (tag, digest(content)):
            self.manifests[repository, name] = (kind, content)
        return digest(content)

    def requests(self, *methods: str) -> list[str]:
        return [f"{each.method} {each.path}" for each in self.asked if not methods or each.method in methods]

    def answer(self, method: str, path: str, query: Mapping[str, list[str]], body: bytes, kind: str) -> Reply:
        found = re.fullmatch(r"/v2/(.+)/(manifests|blobs/uploads|blobs|tags)/(.*)", path)
        if found is None:
            return 404, {}, b""
        repository, what, name = found.groups()
        if what == "manifests":
            return self._manifest(method, repository, name, body, kind)
        if what == "tags":
            names = [tag for place, tag in self.manifests if place == repository and ":" not in tag]
            return (200, {}, json.dumps({"name": repository, "tags": names}).encode()) if names else (404, {}, b"")
        if what == "blobs":
            data = self.blobs.get((repository, name))
            return refusal(404, "BLOB_UNKNOWN", "blob unknown") if data is None else (200, {}, data)
        return self._upload(method, repository, name, query, body)

    def _manifest(self, method: str, repository: str, name: str, body: bytes, kind: str) -> Reply:
        if method == "PUT":
            for each in (name, digest(body)):
                self.manifests[repository, each] = (kind, body)
            return 201, {"Docker-Content-Digest": digest(body)}, b""
        found = self.manifests.get((repository, name))
        if found is None:
            return refusal(404, "MANIFEST_UNKNOWN", "manifest unknown")
        return 200, {"Content-Type": found[0], "Docker-Content-Digest": digest(found[1])}, found[1]

    def _upload(self, method: str, repository: str, name: str, query: Mapping[str, list[str]], body: bytes) -> Reply:
        if method == "POST":
            name = f"u{len(self.uploads)}"
            self.uploads[name] = bytearray()
        if name not in self.uploads:
            return refusal(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown")
        data = self.uploads[name]
        data += body
        place = {"Location": f"/v2/{repository}/blobs/uploads/{name}", "Range": f"0-{max(len(data) - 1, 0)}"}
        if method != "PUT":
            return {"POST": 202, "PATCH": 202}.get(method, 204), place, b""
        wanted = query["digest"][0]
        if digest(bytes(data)) != wanted:
            return refusal(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        self.blobs[repository, wanted] = bytes(self.uploads.pop(name))
        return 201, {"Docker-Content-Digest": wanted}, b""


def refusal(status: int, code: str, message: str, detail: Any = None, **headers: str) -> Reply:
    error = {"code": code, "message": message, **({"detail": detail} if detail is not None else {})}
    return status, {"Content-Type": "application/json", **headers}, json.dumps({"errors": [error]}).encode()


class _Handler(BaseHTTPRequestHandler):
    registry: Registry
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        early = self.registry.intercept(self.command, self.path, dict(self.headers))
        if self.command == "PATCH" and self.registry.cut is not None:
            return self._break(parts.path)
        body = self.rfile.read(length)
        if len(body) < length:  # the client is gone
            self.close_connection = True
            return None
        proof = self.headers.get("Authorization", "")
        self.registry.asked.append(Asked(self.command, parts.path, proof, len(body)))
        kind = self.headers.get("Content-Type", "")
        status, headers, sent = early or self.registry.answer(
            self.command, parts.path, parse_qs(parts.query), body, kind
        )
        return self._reply(status, headers, sent)

    def _break(self, path: str) -> None:
        """Take some bytes, and close the connection as a server does that is killed."""
        body = self.rfile.read(self.registry.cut or 0)
        self.registry.cut = None
        self.registry.uploads[path.rpartition("/")[2]] += body
        self.registry.asked.append(Asked("PATCH", path, "", len(body)))
        self.close_connection = True

    def _reply(self, status: int, headers: Mapping[str, str], sent: bytes) -> None:
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if found and status == 200:
            start, stop = int(found[1]), min(int(found[2] or len(sent)) + 1, len(sent))
            status, headers = 206, {**headers, "Content-Range": f"bytes {start}-{stop - 1}/{len(sent)}"}
            sent = sent[start:stop]
        self.send_response(status)
        for name, value in {"Content-Length": str(len(sent)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            with suppress(OSError):
                self.wfile.write(sent)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = _serve  # noqa: N815 - the base's names

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - the base's name


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None: ...  # of a client that was killed


@contextmanager
def running_double() -> Iterator[Registry]:
    registry = Registry()
    with _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"registry": registry})) as server:
        registry.origin = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield registry
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def running_registry(folder: Path, auth: str = "") -> Iterator[str]:
    """Run docker-registry over a folder; yield its host and port.

    Args:
        folder: For its data and configuration.
        auth: YAML of its ``auth``, in one line.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        host = f"127.0.0.1:{free.getsockname()[1]}"
    config = folder / "registry.yml"
    config.write_text(
        "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'data'}}}, delete: {{enabled: true}}}}\n"
        f"http: {{addr: {host}, secret: not-a-secret}}\n" + (f"auth: {auth}\n" if auth else "")
    )
    process = subprocess.Popen(
        ["docker-registry", "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(400):
            with suppress(OSError), socket.create_connection(("127.0.0.1", int(host.rpartition(":")[2])), 1):
                break
            time.sleep(0.025)
        yield host
    finally:
        process.kill()
        process.wait()
