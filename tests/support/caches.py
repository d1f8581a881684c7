"""nginx as a cache in front of an origin: pieces of files, each fetched once however many ask for it at a time."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import free_port, wait_for_port

# The same directives stand in docs/mirrors-and-caches.md; a test holds that.
CACHE = """
    proxy_cache_path {folder}/cache levels=1:2 keys_zone=models:10m max_size=100g inactive=30d use_temp_path=off;
    upstream origin {{ server {origin}; keepalive 16; }}
    server {{
        listen {listen};
        location / {{
            slice 8m;
            proxy_cache models;
            proxy_cache_key $uri$slice_range;
            proxy_cache_valid 200 206 30d;
            proxy_cache_lock on;
            proxy_cache_lock_timeout 60s;
            proxy_cache_lock_age 60s;
            proxy_cache_use_stale updating error timeout;
            proxy_set_header Range $slice_range;
            proxy_set_header Host {origin};
            proxy_set_header Connection "";
            proxy_http_version 1.1;
            proxy_pass http://origin;
        }}
    }}
"""
_AROUND = """
daemon off; master_process off; error_log {folder}/error.log warn; pid {folder}/pid;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    {cache}
}}
"""


@dataclass(slots=True)
class Cache:
    """A running cache.

    Attributes:
        url: Its address.
        process: What can be killed.
    """

    url: str
    process: "subprocess.Popen[bytes]"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)


@contextmanager
def caching(origin: str, folder: Path, *, piece: str = "8m") -> Iterator[Cache]:
    """Run a cache in front of ``http://HOST:PORT``; it fetches pieces of so many bytes."""
    folder.mkdir(parents=True)
    port = free_port()
    text = CACHE.format(folder=folder, origin=origin.removeprefix("http://"), listen=f"127.0.0.1:{port}")
    text = text.replace("slice 8m;", f"slice {piece};")
    (folder / "nginx.conf").write_text(_AROUND.format(folder=folder, cache=text))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder)], stderr=log)
    cache = Cache(f"http://127.0.0.1:{port}", process)
    try:
        wait_for_port(port, process)
        yield cache
    finally:
        cache.kill()
