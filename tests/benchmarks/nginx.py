"""nginx on this machine, as fast as it can or slowed down a connection, plain and over TLS."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

_CONFIG = """
daemon off; master_process off; error_log {folder}/error.log; pid {folder}/pid;
events {{ worker_connections 512; }}
http {{
  access_log off; sendfile on; keepalive_requests 100000; absolute_redirect off; root {root};
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  ssl_certificate {folder}/chain.pem; ssl_certificate_key {folder}/key.pem;
  server {{ listen 127.0.0.1:{plain}; }}
  server {{ listen 127.0.0.1:{tls} ssl; }}
  server {{ listen 127.0.0.1:{slow}; limit_rate 40m; }}
  server {{ listen 127.0.0.1:{hub}; {locations} }}
}}
"""


@dataclass(frozen=True, slots=True)
class Nginx:
    """Origins of one server.

    Attributes:
        plain: As fast as it can.
        tls: The same over TLS.
        slow: 40 MiB a second and connection.
        hub: What was written down of a Hub.
        cacert: Who signed for ``tls``.
    """

    plain: str
    tls: str
    slow: str
    hub: str
    cacert: Path


@contextmanager
def serving(root: Path, folder: Path, locations: str = "") -> Iterator[Nginx]:
    """Serve the files below ``root``; ``folder`` takes configuration and temporary files.

    ``locations`` are those of :func:`tests.benchmarks.written.write_down`.
    """
    folder.mkdir(parents=True)
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    for i, pem in enumerate(certificate.cert_chain_pems):
        pem.write_to_path(folder / "chain.pem", append=i > 0)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    plain, tls, slow, hub = ports = _free_ports(4)
    config = _CONFIG.format(folder=folder, root=root, plain=plain, tls=tls, slow=slow, hub=hub, locations=locations)
    (folder / "nginx.conf").write_text(config)
    process = subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder)], stderr=subprocess.PIPE)
    try:
        for port in ports:
            _await(port)
        yield Nginx(
            f"http://127.0.0.1:{plain}",
            f"https://127.0.0.1:{tls}",
            f"http://127.0.0.1:{slow}",
            f"http://127.0.0.1:{hub}",
            folder / "ca.pem",
        )
    finally:
        process.terminate()
        process.wait(10)
        if process.stderr:
            process.stderr.close()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [s.getsockname()[1] for s in sockets]


def _await(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            os.sched_yield()
        else:
            return
