"""What the service costs a download: with streams open, and with none; prints a Markdown table.

``python -m tests.benchmarks.service [MIB] [ROUNDS]``. Needs nginx; works in memory (``/dev/shm``).
"""

import hashlib
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import modelpm
from modelpm.queue.job import JobStatus
from tests.benchmarks.nginx import serving
from tests.benchmarks.transfer import make_file

_MIB = 1 << 20
_STREAMS = (0, 50)
_COMMAND = str(Path(sys.executable).with_name("modelpm"))


@contextmanager
def service(home: Path) -> Iterator[tuple[str, float]]:
    """Run the service; yield its address and the seconds until it answered."""
    begun = time.perf_counter()
    environ = {**os.environ, "MODELPM_HOME": str(home)}
    command = [_COMMAND, "serve", "--no-token", "--port", "0"]
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process:
        found = re.search(r"http://\S+", process.stderr.readline() if process.stderr else "")
        assert found, "the service did not start"
        with listening(found[0], 1):
            took = time.perf_counter() - begun
        yield found[0], took
        process.terminate()


@contextmanager
def listening(url: str, streams: int) -> Iterator[None]:
    """Keep streams open, and read what they say."""
    place = urlsplit(url)
    opened = [socket.create_connection((str(place.hostname), int(place.port or 0))) for _ in range(streams)]
    for each in opened:
        each.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n".encode())
        each.recv(64)
        threading.Thread(target=_read, args=(each,), daemon=True).start()
    yield
    for each in opened:
        each.close()


def _read(stream: socket.socket) -> None:
    with suppress(OSError):
        while stream.recv(1 << 16):
            pass


def download(folder: Path, spec: str, streams: int) -> tuple[float, float]:
    """Return the seconds of a job, and those until the service answered."""
    home = folder / f"home-{streams}"
    with modelpm.Manager(home=home) as manager, service(home) as (url, start), listening(url, streams):
        begun = time.perf_counter()
        job, _ = manager.queue.add(spec)
        while manager.queue.get(job.id).status not in (JobStatus.COMPLETED, JobStatus.FAILED):
            time.sleep(0.01)
        took = time.perf_counter() - begun
        assert manager.queue.get(job.id).status is JobStatus.COMPLETED, manager.queue.get(job.id).error
        return took, start


def main() -> None:
    """Measure and print."""
    size = (int(sys.argv[1]) if len(sys.argv) > 1 else 512) * _MIB
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    seconds: dict[int, list[float]] = {streams: [] for streams in _STREAMS}
    starts = []
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        folder = Path(place)
        (folder / "www").mkdir()
        make_file(folder / "www" / "big.safetensors", size)
        with (folder / "www" / "big.safetensors").open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        with serving(folder / "www", folder / "nginx") as nginx:
            for number in range(rounds):
                for streams in _STREAMS:
                    spec = f"{nginx.plain}/big.safetensors#sha256={digest}"
                    took, start = download(folder / str(number), spec, streams)
                    seconds[streams].append(took)
                    starts.append(start)
    base = statistics.median(seconds[0])
    sys.stdout.write(f"{size // _MIB} MiB as a job; the service answers after {statistics.median(starts):.2f} s\n\n")
    sys.stdout.write("| streams | wall s | throughput, of none |\n|---|---|---|\n")
    for streams, found in seconds.items():
        median = statistics.median(found)
        sys.stdout.write(f"| {streams} | {median:.2f} | {base / median:.2f} |\n")


if __name__ == "__main__":
    main()
