"""Buckets for tests: moto's server, which keeps objects, versions and checksums, and believes every signature."""

import hashlib
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import urllib3
from werkzeug import Request, Response

from tests.support.cdn import Seen, Server, ranged
from tests.support.ports import free_port, wait_for_port

ACCESS, SECRET = "AKIDEXAMPLE", "secret-example"
KEYS = {"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET}


@dataclass(frozen=True, slots=True)
class Buckets:
    """A server of buckets; objects are put as any program would, without our code."""

    url: str

    @property
    def environ(self) -> dict[str, str]:
        return {"AWS_ENDPOINT_URL": self.url, **KEYS}

    @property
    def signed(self) -> dict[str, str]:
        """Return a header that the server takes for a signature."""
        return {"Authorization": f"AWS4-HMAC-SHA256 Credential={ACCESS}/20260101/us-east-1/s3/aws4_request, S=x"}

    def make(self, bucket: str, *, versioned: bool = False) -> str:
        self._put(f"/{bucket}", b"")
        if versioned:
            self._put(
                f"/{bucket}?versioning", b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
            )
        return bucket

    def put(self, bucket: str, key: str, data: bytes, *, checksum: bool = False) -> str:
        """Put an object; return its version, empty where the bucket keeps none."""
        digest = b64encode(hashlib.sha256(data).digest()).decode()
        said = {"x-amz-sdk-checksum-algorithm": "SHA256", "x-amz-checksum-sha256": digest} if checksum else {}
        return self._put(f"/{bucket}/{quote(key, safe='/').replace('..', '%2E%2E')}", data, said)

    def _put(self, path: str, data: bytes, headers: Mapping[str, str] | None = None) -> str:
        answer = urllib3.request("PUT", self.url + path, body=data, headers={**self.signed, **(headers or {})})
        assert answer.status == 200, answer.data
        return answer.headers.get("x-amz-version-id", "")


@contextmanager
def running_moto(folder: Path) -> Iterator[Buckets]:
    """Run moto's server on a free port."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)]
    with (folder / "moto.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for_port(port, process)
        yield Buckets(f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        process.wait(10)


@contextmanager
def answering(route: Callable[[Request], Response]) -> Iterator[Server]:
    """Run a server whose answers are made by a function."""
    server = Server("s3", route, [])
    server.start()
    try:
        yield server
    finally:
        server.http.clear()
        server.http.stop()


@contextmanager
def served(files: Mapping[str, bytes]) -> Iterator[tuple[str, list[Seen]]]:
    """Serve some bytes by path, as a cache would; yield its address and what was asked."""

    def route(request: Request) -> Response:
        data = files.get(request.path)
        return Response(b"", 404) if data is None else ranged(request, data, '"copy"')

    with answering(route) as server:
        yield server.url, server.seen
