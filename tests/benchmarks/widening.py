"""How soon all connections are used on a far server; prints a Markdown table.

``python -m tests.benchmarks.widening [MIB] [ROUNDS]``. The server takes 200 ms to answer and sends 2 MiB a second and
connection, so that only many connections are fast. Needs aria2. The rate counts from the start of the process, in
windows of half a second; 90 % of the possible one is 16 connections at 90 % of their speed.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from modelpm.testing import Exchange, FaultServer
from tests.benchmarks.peers import FILE, Command, at_home, ours

CONNECTIONS = 16
DELAY = 0.2  # seconds until an answer begins
RATE = 2 << 20  # bytes a second and connection
_PIECE = RATE // 20
_WINDOW = 0.5


@dataclass(slots=True)
class Far:
    """A fault that is none: answers truthfully, late and at a limited rate, and notes when bytes left."""

    left: list[tuple[float, int]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, exchange: Exchange) -> None:
        """Answer."""
        exchange.ended.wait(DELAY)
        start, stop = exchange.range or (0, len(exchange.data))
        fields = {"Content_Range": f"bytes {start}-{stop - 1}/{len(exchange.data)}"} if exchange.range else {}
        exchange.head("206 Partial Content" if fields else "200 OK", stop - start, ETag='"far"', **fields)
        began = time.monotonic()
        for at in range(start, stop, _PIECE):
            exchange.ended.wait(max(0.0, began + (at - start) / RATE - time.monotonic()))
            exchange.body(exchange.data[at : min(at + _PIECE, stop)])
            with self._lock:
                self.left.append((time.monotonic(), min(_PIECE, stop - at)))

    def wide_after(self, began: float) -> float:
        """Return the seconds from ``began`` to the first window with 90 % of the possible rate."""
        wanted = 0.9 * CONNECTIONS * RATE * _WINDOW
        times = sorted(self.left)
        low = total = 0
        for moment, count in times:
            total += count
            while moment - times[low][0] > _WINDOW:
                total -= times[low][1]
                low += 1
            if total >= wanted:
                return moment - began
        return float("nan")


def run(command: Command, server: FaultServer, folder: Path) -> tuple[float, float]:
    """Return the seconds of a whole download, and those until all connections brought their speed."""
    far = Far()
    server.fault = far
    folder.mkdir()
    try:
        began = time.monotonic()
        subprocess.run(
            command(folder), env={**os.environ, **at_home(folder)}, check=True, capture_output=True, timeout=600
        )
        return time.monotonic() - began, far.wide_after(began)
    finally:
        shutil.rmtree(folder)


def main() -> None:
    """Measure and print."""
    size = (int(sys.argv[1]) if len(sys.argv) > 1 else 256) << 20
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    data = os.urandom(1 << 20) * (size >> 20)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch, FaultServer({"/far.dat": data}) as server:
        url = server.url("/far.dat")
        commands = {
            "modelpm install": ours(url, "--jobs", str(CONNECTIONS)),
            "aria2c -x16": lambda folder: [
                *("aria2c", "-q", "--min-split-size=1M", f"-x{CONNECTIONS}", f"-s{CONNECTIONS}"),
                *("--file-allocation=none", "-d", str(folder), "-o", FILE, url),
            ],
        }
        figures = {name: [run(c, server, Path(scratch) / "run") for _ in range(rounds)] for name, c in commands.items()}
    sys.stdout.write("| 200 ms, 2 MiB/s a connection | wall s | s to 90 % of the rate |\n|---|---|---|\n")
    for name, runs in figures.items():
        wall, wide = (statistics.median(column) for column in zip(*runs, strict=True))
        sys.stdout.write(f"| `{name}` | {wall:.1f} | {wide:.1f} |\n")


if __name__ == "__main__":
    main()
