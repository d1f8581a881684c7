"""What kills and misbehaving servers cost, beside other programs; prints two Markdown tables.

``python -m tests.benchmarks.faults [MIB] [ROUNDS] [FAULT…]``. Needs curl and aria2c; works in memory (``/dev/shm``).
Every program asks the Hub of the tests, which sends it to a server that counts the bytes of bodies it hands to its
sockets.

All connections of a program together get 40 MiB a second.

**Share of work lost per kill.** Twice a round, when the server has sent this run of the program a random share between
20 and 40 % of the file, the program is killed with SIGKILL and started again; the shares are the same for every
program. ::

    received = bytes sent before the last kill
    lost     = bytes sent in all runs together - size of the file
    share    = lost / received

0 % means that nothing was fetched twice, 100 % that every kill began the file anew.

**Bytes sent / size over the fault matrix.** A raw server of 24 MiB commits one fault and then serves well: a fault at
the first two requests (the first only where the bytes themselves are wrong: see ``UNTRUE``), or, where the row says
``end, then``, a first answer that ends in the middle and the fault at the next request behind the first byte, which a
program that begins anew never meets. Each program runs once, with its own retries (see ``patient``). The outcome is
``right``, ``wrong, exit 0``, ``failed`` (it said so) or ``hung`` (killed after a minute).
"""

import contextlib
import logging
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from modelpm.testing import FAULTS, Exchange, FaultServer, first
from modelpm.testing.exchange import Fault
from modelpm.testing.faults import end
from tests.benchmarks.peers import FILE, OURS, REPO, Command, aria2, at_home, curl, environment, hf, ours, sending_to
from tests.support.hub import running_hub

_MIB = 1 << 20
_PIECE = 1 << 16
RATE = 40 * _MIB
KILLS, LEAST, MOST = 2, 0.2, 0.4
SMALL = 24 * _MIB  # so that half of it is more than the 10 MiB that hf takes at once
TIMEOUT = 60.0
AT_ONCE = 4
REFUSED = {"forbidden", "redirect_loop", "redirect_nowhere"}  # asking again would not help
UNTRUE = {"short", "lying_range", "flip", "changed"}
RESUMED = (
    *("ignore_range", "wrong_range", "missing_range", "lying_range", "unknown_total", "multipart", "weak_etag"),
    *("not_satisfiable", "garbage", "chunked", "portal", "flip"),
    *("part_as_whole", "silent_part", "lying_total", "range_refused", "range_reset", "compressed"),
)
SPLICED = "half of another file"


class Link:
    """What all connections together go through, so many bytes a second."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._due = 0.0
        self._lock = threading.Lock()

    def wait(self, count: int) -> None:
        with self._lock:
            now = time.monotonic()
            self._due = max(now, self._due) + count / self._rate
            wait = self._due - now
        time.sleep(wait)


@dataclass(slots=True)
class Paced(Exchange):
    """An exchange behind a link."""

    link: Link = field(default_factory=lambda: Link(RATE))

    def body(self, data: bytes) -> None:
        """Send bytes of the body no faster than the link takes them."""
        for at in range(0, len(data), _PIECE):
            piece = data[at : at + _PIECE]
            self.link.wait(len(piece))
            Exchange.body(self, piece)


@dataclass(slots=True)
class Counted:
    """Answers as it is told to, behind a link of its own, and knows what was sent."""

    fault: Fault
    exchanges: list[Paced] = field(default_factory=list)
    link: Link = field(default_factory=lambda: Link(RATE))

    def __call__(self, exchange: Exchange) -> None:
        # Bytes that wait in the socket for a program that was killed, or does not want them, would count as sent.
        exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _PIECE)
        it = exchange
        paced = Paced(it.number, it.path, it.headers, it.data, it.connection, it.ended, link=self.link)
        self.exchanges.append(paced)
        self.fault(paced)

    @property
    def sent(self) -> int:
        return sum(exchange.sent for exchange in list(self.exchanges))


def plain(exchange: Exchange) -> None:
    """Serve truthfully, without hashing a large file for its validator at each request."""
    start, stop = exchange.range or (0, len(exchange.data))
    fields = {"ETag": '"1"', "Accept_Ranges": "bytes"}
    if exchange.range:
        fields["Content_Range"] = f"bytes {start}-{stop - 1}/{len(exchange.data)}"
    exchange.head("206 Partial Content" if exchange.range else "200 OK", stop - start, **fields)
    for at in range(start, stop, _PIECE):
        exchange.body(exchange.data[at : min(at + _PIECE, stop)])


@dataclass(frozen=True, slots=True)
class Stage:
    """A Hub with one model, the server behind it, and a folder to work in."""

    hub: str
    folder: Path
    environ: Mapping[str, str]
    counted: Counted
    data: bytes
    sha256: str

    @property
    def url(self) -> str:
        """Where programs that know no Hub ask."""
        return f"{self.hub}/{REPO}/resolve/main/{FILE}"

    def begin(self, command: Command) -> subprocess.Popen[bytes]:
        """Start a program in a session of its own."""
        null = subprocess.DEVNULL
        return subprocess.Popen(
            command(self.folder), env=self.environ, stdout=null, stderr=null, start_new_session=True
        )

    def right(self) -> bool:
        """Whether the file is there as a user would find it, and right."""
        path = next(self.folder.rglob(FILE), None)
        return path is not None and path.read_bytes() == self.data


@contextmanager
def staged(data: bytes, fault: Fault, **variables: str) -> Iterator[Stage]:
    """Set up everything for one program."""
    digest, counted = sha256(data).hexdigest(), Counted(fault)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm")))
        hub = stack.enter_context(running_hub())
        server = stack.enter_context(FaultServer({f"/xet-bridge-us/{digest}": data}, counted))
        stack.enter_context(sending_to(hub, server.origin))
        hub.add(REPO, {FILE: data})
        yield Stage(hub.endpoint, folder, environment(hub) | at_home(folder) | variables, counted, data, digest)


def put_down(process: subprocess.Popen[bytes]) -> None:
    """Kill a program and whatever it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


# --- kills ---


@dataclass(slots=True)
class Kills:
    """What came of killing one program in some rounds; bytes."""

    kills: int = 0
    received: int = 0
    lost: int = 0
    rounds: int = 0
    right: int = 0
    exit_zero: int = 0


def resuming(stage: Stage) -> Mapping[str, Command]:
    """Return the programs, which go on by themselves when they are started again."""
    return {
        OURS: ours(f"hf://{REPO}"),
        "hf download": hf(REPO),
        "aria2c -x4": aria2(stage.url, 4, stage.sha256),
        "aria2c -x4 --auto-save-interval=1": aria2(stage.url, 4, stage.sha256, "--auto-save-interval=1"),
        "curl -C - --retry 5": curl(stage.url, "-C", "-", "--retry", "5"),
    }


def killed_at(stage: Stage, command: Command, count: int) -> bool:
    """Run a program until the server has sent so many bytes, and kill it; False where it ended before."""
    process, before = stage.begin(command), stage.counted.sent
    while stage.counted.sent - before < count and process.poll() is None:
        time.sleep(0.001)
    ended = process.poll() is not None
    put_down(process)
    return not ended


def kill_round(name: str, data: bytes, shares: Sequence[float], tally: Kills) -> None:
    """Kill one program some times, and then let it end."""
    with staged(data, plain) as stage:
        command = resuming(stage)[name]
        received = 0
        for share in shares:
            if killed_at(stage, command, int(share * len(data))):
                tally.kills += 1
                received = stage.counted.sent
        process = stage.begin(command)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(TIMEOUT)
        put_down(process)
        tally.rounds += 1
        tally.received += received
        tally.lost += stage.counted.sent - len(data)
        tally.right += stage.right()
        tally.exit_zero += process.returncode == 0


def kill_table(size: int, rounds: int) -> str:
    """Measure, and return the first table."""
    data = random.Random(0).randbytes(size)  # noqa: S311 - no secret
    with staged(b"", end) as stage:
        tallies = {name: Kills() for name in resuming(stage)}
    for number in range(rounds):
        chance = random.Random(number)  # noqa: S311 - as above
        shares = [chance.uniform(LEAST, MOST) for _ in range(KILLS)]
        for name, tally in tallies.items():
            kill_round(name, data, shares, tally)
    rows = [
        f"### {size // _MIB} MiB at {RATE // _MIB} MiB a second, killed {KILLS} times, {rounds} rounds",
        "",
        "| | kills | received before | fetched again per kill | share lost | right | exit 0 |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, it in tallies.items():
        lost = f"{it.lost / _MIB / it.kills:.1f} MiB | {it.lost / it.received:.1%}" if it.kills else "- | -"
        rows.append(
            f"| `{name}` | {it.kills} | {it.received / _MIB:.0f} MiB | {lost} "
            f"| {it.right} of {it.rounds} | {it.exit_zero} of {it.rounds} |"
        )
    return "\n".join([*rows, ""])


# --- faults ---


def patient(stage: Stage) -> Mapping[str, Command]:
    """Return the programs with some retries each, and five seconds of silence or of next to nothing at most.

    ``hf`` has five retries by itself. Ours judges a slow connection over half a minute, which is no option.
    """
    slow = ["--timeout=5", "--lowest-speed-limit=1K", "--max-tries=5", "--retry-wait=1"]
    again = ["--retry", "5", "--retry-delay", "1", "--retry-all-errors", "--speed-limit", "1024", "--speed-time", "5"]
    return {
        OURS: ours(f"hf://{REPO}", "--retries", "5", "--idle-timeout", "5"),
        "hf download": hf(REPO),
        "aria2c -x4 --checksum": aria2(stage.url, 4, stage.sha256, *slow),
        "curl -C - --retry": curl(stage.url, "-C", "-", *again),
    }


def after_end(fault: Fault) -> Fault:
    """End the first answer in the middle, and misbehave once at a range behind the first byte."""
    bad = first(1, fault)

    def some(exchange: Exchange) -> None:
        if exchange.number == 0:
            end(exchange)
        (bad if exchange.range and exchange.range[0] > 0 else Exchange.serve)(exchange)

    return some


def other_half(exchange: Exchange) -> None:
    """Half of another file of the same size, with a validator of its own."""
    exchange.data = exchange.data[::-1]
    end(exchange)


def made(row: str) -> Fault:
    """Return a fresh fault of a row of the table; faults count, so each serves one program."""
    if row == SPLICED:
        return first(1, other_half)
    *before, name = row.split(", then ")
    return after_end(FAULTS[name]) if before else first(1 if name in UNTRUE else 2, FAULTS[name])


def trial(row: str, name: str, data: bytes) -> str:
    """Run one program against one fault, and return its cell."""
    with staged(data, made(row), HF_HUB_DOWNLOAD_TIMEOUT="5") as stage:
        process = stage.begin(patient(stage)[name])
        try:
            process.wait(TIMEOUT)
            outcome = "failed" if process.returncode else "right" if stage.right() else "**wrong, exit 0**"
        except subprocess.TimeoutExpired:
            outcome = "hung"
        put_down(process)
        return f"{stage.counted.sent / len(data):.2f} {outcome}"


def fault_table(faults: Sequence[str]) -> str:
    """Measure, and return the second table."""
    data = random.Random(1).randbytes(SMALL)  # noqa: S311 - no secret
    with staged(b"", end) as stage:
        names = list(patient(stage))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        cells = {(row, name): pool.submit(trial, row, name, data) for row in faults for name in names}
    rows = [
        f"### {SMALL // _MIB} MiB, bytes sent / size over {len(faults)} faults",
        "",
        "| | " + " | ".join(f"`{name}`" for name in names) + " |",
        "|---" * (len(names) + 1) + "|",
        *(f"| {row} | " + " | ".join(cells[row, name].result() for name in names) + " |" for row in faults),
    ]
    return "\n".join([*rows, "", *summary({name: [cells[row, name].result() for row in faults] for name in names}), ""])


def summary(results: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the rows of a table that counts how the programs ended; the bytes are those of the faults they healed."""
    rows = [
        "| | right | failed | hung | wrong, exit 0 | bytes sent / size, mean and most |",
        "|---|---|---|---|---|---|",
    ]
    for name, cells in results.items():
        ended = [cell.partition(" ")[2].strip("*") for cell in cells]
        counts = [ended.count(word) for word in ("right", "failed", "hung", "wrong, exit 0")]
        sent = [float(cell.split()[0]) for cell, end in zip(cells, ended, strict=True) if end == "right"]
        figures = f"{statistics.mean(sent):.2f}, {max(sent):.2f}" if sent else "-"
        rows.append(f"| `{name}` | " + " | ".join(map(str, counts)) + f" | {figures} |")
    return rows


def main() -> None:
    """Measure, and print both tables."""
    size = (int(sys.argv[1]) if len(sys.argv) > 1 else 128) * _MIB
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    every = [*(name for name in FAULTS if name not in REFUSED), *(f"end, then {name}" for name in RESUMED), SPLICED]
    faults = sys.argv[3:] or every
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    tables: Sequence[Callable[[], str]] = (lambda: kill_table(size, rounds), lambda: fault_table(faults))
    for table in tables:
        sys.stdout.write(table() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
