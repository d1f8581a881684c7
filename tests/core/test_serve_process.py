"""``modelpm serve`` as a process: its link, its end, and what becomes of jobs when it is killed."""

import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import urllib3

import modelpm
from modelpm.queue.job import JobStatus
from tests.core.test_queue_runs import Slow, slow, spec, until  # noqa: F401 - a fixture
from tests.support.raw import raw_server

COMMAND = str(Path(sys.executable).with_name("modelpm"))


@contextmanager
def serving(environ: dict[str, str], *arguments: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Run the command; yield its process and the link it printed."""
    command = [COMMAND, "serve", "--port", "0", *arguments]
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = process.stderr.readline()
            found = re.search(r"http://\S+", said)
            assert found, said + process.stderr.read()
            yield process, found[0]
        finally:
            process.kill()


def test_the_link_opens_the_page_and_a_signal_ends_the_service(clean_environ: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "token"
    with serving(clean_environ, "--token-file", str(file)) as (process, link):
        assert link.endswith(f"?token={file.read_text().strip()}")
        http = urllib3.PoolManager(retries=False)
        page = http.request("GET", link, redirect=False)
        cookie = page.headers["Set-Cookie"].partition(";")[0]
        page = http.request("GET", link.partition("?")[0], headers={"Cookie": cookie})
        assert (page.status, "<h1>modelpm</h1>" in page.data.decode()) == (200, True)
        assert "script-src 'sha256-" in page.headers["Content-Security-Policy"]
        http.clear()
        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=30)[1]
        assert process.returncode == 0
        assert "stopped" in rest
        assert "Traceback" not in rest


def test_a_queue_that_cannot_run_is_said_and_tried_again(clean_environ: dict[str, str], home: Path) -> None:
    runners = home / "modelpm" / "queue" / "runners"
    runners.parent.mkdir(parents=True)
    runners.write_text("in the way")
    with serving(clean_environ, "--no-token") as (process, link):
        assert process.stderr is not None
        said = process.stderr.readline()
        assert "the jobs of the queue do not run: " in said
        assert str(runners) in said
        runners.unlink()
        http = urllib3.PoolManager(retries=False)
        job = http.request("POST", f"{link}api/v1/jobs", json={"spec": "tiny"}).json()
        until(modelpm.Manager(home=home / "modelpm"), job["id"], JobStatus.COMPLETED)
        http.clear()
        process.send_signal(signal.SIGTERM)
        assert "Traceback" not in process.communicate(timeout=30)[1]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_the_next_service_resumes_what_the_last_one_left(
    clean_environ: dict[str, str],
    slow: tuple[Slow, str],  # noqa: F811 - the fixture
    end: signal.Signals,
) -> None:
    reply, address = slow
    with modelpm.Manager(home=clean_environ["MODELPM_HOME"]) as manager:
        job, _ = manager.queue.add(address)
        with serving(clean_environ, "--no-token") as (process, _link):
            assert reply.asked.wait(30)
            process.send_signal(end)
            process.communicate(timeout=30)
        reply.freed.set()
        with serving(clean_environ, "--no-token"):
            until(manager, job.id, JobStatus.COMPLETED)
        assert manager.installed()[0].name == "x"


def test_streams_that_nobody_reads_slow_no_download(clean_environ: dict[str, str]) -> None:
    reply = Slow()
    with (
        raw_server(reply) as server,
        modelpm.Manager(home=clean_environ["MODELPM_HOME"]) as manager,
        serving(clean_environ, "--no-token") as (_, link),
    ):
        place = urllib3.util.parse_url(link)
        ask = f"GET /api/v1/events HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n".encode()
        clients = [socket.create_connection((str(place.host), int(place.port or 0))) for _ in range(50)]
        for client in clients:
            client.sendall(ask)
        assert all(b"200 OK" in client.recv(15) for client in clients)
        job, _ = manager.queue.add(spec(server))
        threading.Timer(0.2, reply.freed.set).start()
        until(manager, job.id, JobStatus.COMPLETED)
        for client in clients:
            client.close()


def test_the_service_says_what_it_needs(clean_environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "fastapi.py").write_text("raise ModuleNotFoundError(\"No module named 'fastapi'\", name='fastapi')\n")
    environ = {**clean_environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([COMMAND, "serve"], env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "pip install 'modelpm[serve]'" in done.stderr
