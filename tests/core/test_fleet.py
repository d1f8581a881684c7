"""A fleet behind nginx's cache: one copy from the origin, whatever is killed on the way."""

import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import modelpm
from modelpm.api import Progress
from tests.support.caches import CACHE, Cache, caching
from tests.support.transfers import noise, sha256

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
DOCS = Path(__file__).parents[2] / "docs/mirrors-and-caches.md"
_CHUNK = 64 << 10


@dataclass(slots=True)
class Origin:
    """Where the file comes from; all connections together share its rate.

    Attributes:
        data: The file.
        rate: Bytes a second; 0 for as fast as it can.
        sent: So many bytes left it.
    """

    data: bytes
    rate: float = 0.0
    sent: int = 0
    url: str = ""
    _next: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def spec(self) -> str:
        return f"{self.url}/model.bin#sha256={sha256(self.data)}"

    @property
    def copies(self) -> float:
        return self.sent / len(self.data)

    def take(self, count: int) -> None:
        """Wait until so many bytes may leave."""
        with self._lock:
            self.sent += count
            if not self.rate:
                return
            self._next = max(self._next, time.monotonic() - 0.05) + count / self.rate
            wait = self._next - time.monotonic()
        if wait > 0:
            time.sleep(wait)

    def handler(self) -> type[BaseHTTPRequestHandler]:
        origin = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                found = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
                size = len(origin.data)
                start, stop = (int(found[1]), min(int(found[2] or size) + 1, size)) if found else (0, size)
                self.send_response(206 if found else 200)
                self.send_header("ETag", '"1"')
                self.send_header("Content-Length", str(stop - start))
                if found:
                    self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
                self.end_headers()
                try:
                    for at in range(start, stop, _CHUNK):
                        piece = memoryview(origin.data)[at : min(at + _CHUNK, stop)]
                        origin.take(len(piece))
                        self.wfile.write(piece)
                except OSError:
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as http.server has it
                """Say nothing."""

        return Handler


@contextmanager
def serving(data: bytes, rate: float = 0.0) -> Iterator[Origin]:
    origin = Origin(data, rate)
    server = ThreadingHTTPServer(("127.0.0.1", 0), origin.handler())
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # a node that is killed resets connections
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    origin.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield origin
    finally:
        server.shutdown()
        server.server_close()


def behind(cache: Cache, origin: Origin, home: Path) -> Path:
    """Return a home whose downloads from the origin go through the cache."""
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text(f'[mirrors]\n"{origin.url}/" = ["{cache.url}/"]\n')
    return home


def test_three_nodes_get_one_copy(tmp_path: Path) -> None:
    with serving(noise(6 << 20, 1)) as origin, caching(origin.url, tmp_path / "cache", piece="1m") as cache:
        nodes = [modelpm.Manager(home=behind(cache, origin, tmp_path / f"n{n}"), user="tester") for n in range(3)]
        with ThreadPoolExecutor(3) as pool:
            made = list(pool.map(lambda node: node.install(origin.spec), nodes))

        assert {sha256(each.path.read_bytes()) for each in made} == {sha256(origin.data)}
        assert origin.copies < 1.01


def test_without_its_cache_a_node_takes_the_origin(tmp_path: Path) -> None:
    with serving(noise(3 << 20, 2)) as origin, caching(origin.url, tmp_path / "cache", piece="1m") as cache:
        home = behind(cache, origin, tmp_path / "node")
        cache.kill()
        made = modelpm.Manager(home=home, user="tester", retries=1).install(origin.spec)

        assert sha256(made.path.read_bytes()) == sha256(origin.data)


def test_a_cache_that_dies_in_mid_file_costs_what_it_had_not_sent(tmp_path: Path) -> None:
    with serving(noise(6 << 20, 5), 6e6) as origin, caching(origin.url, tmp_path / "cache", piece="128k") as cache:

        def kill(progress: Progress) -> None:
            if progress.percentage > 50 and cache.process.poll() is None:
                cache.kill()
                origin.rate = 0

        node = modelpm.Manager(home=behind(cache, origin, tmp_path / "node"), user="tester")
        made = node.install(origin.spec, on_progress=kill)

        assert sha256(made.path.read_bytes()) == sha256(origin.data)
        assert cache.process.poll() is not None
        assert origin.copies < 1.4


def test_the_page_has_the_directives_that_are_tested() -> None:
    wanted = CACHE.format(folder="/var/cache/nginx", origin="bucket.example.com:80", listen="8080")
    page = DOCS.read_text(encoding="utf-8")
    missing = [line.strip() for line in wanted.splitlines() if line.strip() and line.strip() not in page]
    assert not missing


class Node:
    """One machine: a process with a home of its own."""

    def __init__(self, home: Path, spec: str, environ: dict[str, str]) -> None:
        self.home, self.spec, self.environ = home, spec, {**environ, "MODELPM_HOME": str(home)}
        self.process = self.start()

    def start(self) -> "subprocess.Popen[bytes]":
        command = [str(Path(sys.executable).with_name("modelpm")), "install", self.spec, "--no-progress"]
        return subprocess.Popen(command, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    @property
    def has_begun(self) -> bool:
        return self.process.poll() is not None or any(self.home.rglob("data"))

    def ended(self) -> None:
        said, _ = self.process.communicate(timeout=240)
        assert self.process.returncode == 0, said.decode()

    def has(self, data: bytes) -> bool:
        (file,) = (self.home / "env/models").rglob("model.bin")
        return sha256(file.read_bytes()) == sha256(data)


def until_sent(origin: Origin, share: float) -> None:
    """Wait until so much of a copy has left the origin."""
    end = time.monotonic() + 120
    while origin.copies < share and time.monotonic() < end:
        time.sleep(0.01)
    assert origin.copies >= share


@pytest.mark.marathon
def test_eight_nodes_get_one_copy_though_one_is_killed(tmp_path: Path, clean_environ: dict[str, str]) -> None:
    with serving(noise(64 << 20, 3), 30e6) as origin, caching(origin.url, tmp_path / "cache") as cache:
        nodes = [Node(behind(cache, origin, tmp_path / f"n{n}"), origin.spec, clean_environ) for n in range(8)]
        until_sent(origin, 0.4)
        nodes[3].process.send_signal(signal.SIGKILL)
        nodes[3].process.communicate()
        nodes[3].process = nodes[3].start()
        for node in nodes:
            node.ended()

        assert all(node.has(origin.data) for node in nodes)
        assert origin.copies < 1.1


@pytest.mark.marathon
def test_eight_nodes_finish_though_their_cache_is_killed(tmp_path: Path, clean_environ: dict[str, str]) -> None:
    with (
        serving(noise(64 << 20, 4), 8e6) as origin,
        caching(origin.url, tmp_path / "cache", piece="1m") as cache,
    ):
        nodes = [Node(behind(cache, origin, tmp_path / f"n{n}"), origin.spec, clean_environ) for n in range(8)]
        until_sent(origin, 0.5)
        while not all(node.has_begun for node in nodes):  # one that has not begun has nothing to lose
            time.sleep(0.01)
        cache.kill()
        origin.rate = 200e6
        for node in nodes:
            node.ended()

        assert all(node.has(origin.data) for node in nodes)
        assert origin.copies < 8
