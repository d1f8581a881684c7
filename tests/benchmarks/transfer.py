"""How fast, and at what cost, files are fetched and verified, beside other programs; prints Markdown tables.

``python -m tests.benchmarks.transfer [MIB] [ROUNDS]``. Needs nginx, curl, openssl and aria2c; works in memory
(``/dev/shm``). Rounds are interleaved and ratios are taken within a round, so that a busy machine slows all alike.
"""

import hashlib
import logging
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.nginx import Nginx, serving
from tests.benchmarks.peers import (
    FILE,
    OURS,
    REPO,
    SMALL,
    SOME,
    Command,
    aria2,
    at_home,
    curl,
    environment,
    floor,
    hashed,
    hf,
    ours,
    sending_to,
)
from tests.benchmarks.written import write_down
from tests.support.hub import Hub, HubFile, Repo, running_hub

_MIB = 1 << 20
FLOOR = "read, write, hash: nothing else"
SOME_FILES = 500


@dataclass(frozen=True, slots=True)
class Run:
    """What one run cost: wall and CPU seconds, peak resident bytes."""

    wall: float
    cpu: float
    peak: int


@dataclass(frozen=True, slots=True)
class Case:
    """One table: a name, bytes to fetch, and the commands by name. Commands get a fresh folder each time.

    The Hub, and only it, takes ``delay`` seconds for each answer; ``endpoint`` is where another one is asked instead.
    """

    name: str
    size: int
    commands: Mapping[str, Command]
    delay: float = 0.0
    endpoint: str = ""
    runs: dict[str, list[Run]] = field(default_factory=dict)


def measure(command: Sequence[str], environ: Mapping[str, str]) -> Run:
    """Run a command that must succeed."""
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, env=environ, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise SystemExit(f"{command} failed:\n{output.read().decode()[-2000:]}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def touch_memory(path: Path, size: int) -> None:
    """Write as much as a command will, and delete it, so that every command finds memory alike.

    A virtual machine may have to give idle memory back to its host. The first touch of such a page is then slow (about
    10 us where it was seen), and would be charged to whichever program happens to run next.
    """
    block = bytes(_MIB)
    with path.open("wb") as file:
        for at in range(0, size, _MIB):
            file.write(block[: size - at])
    path.unlink()


def run_round(case: Case, environ: Mapping[str, str], scratch: Path) -> None:
    """Run every command of a case once."""
    for name, command in case.commands.items():
        folder = scratch / "run"
        folder.mkdir()
        try:
            touch_memory(scratch / "touched", case.size)
            case.runs.setdefault(name, []).append(measure(command(folder), {**environ, **at_home(folder)}))
        finally:
            shutil.rmtree(folder)


def table(case: Case) -> str:
    """Return what was measured; the ratio is our wall time over the other's, the median of all rounds."""
    rows = [f"### {case.name}", "", "| | wall s | CPU s/GiB | peak MiB | ours / it |", "|---|---|---|---|---|"]
    ours = case.runs[OURS]
    for name, runs in case.runs.items():
        wall = statistics.median(run.wall for run in runs)
        cpu = statistics.median(run.cpu for run in runs) / (case.size / (1 << 30))
        peak = max(run.peak for run in runs) / _MIB
        ratio = statistics.median(mine.wall / run.wall for mine, run in zip(ours, runs, strict=True))
        rows.append(f"| `{name}` | {wall:.2f} | {cpu:.2f} | {peak:.0f} | {'' if name == OURS else f'{ratio:.2f}'} |")
    return "\n".join([*rows, ""])


def publish(hub: Hub, root: Path, file: Path) -> tuple[str, str]:
    """Let the Hub know of a file that nginx serves; return its sha256 and path there."""
    with file.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    # By hand, for Hub.add() takes the whole file into memory, and a child's peak begins with its parent's.
    large = HubFile(file, file.stat().st_size, sha256, "0" * 40, large=True)
    hub.repos[REPO] = Repo(
        REPO,
        commit="1" * 40,
        files={FILE: large},
        license="mit",
        gated=False,
        private=False,
        branches=("main",),
        tags=(),
    )
    (root / "xet-bridge-us").mkdir()
    (root / "xet-bridge-us" / sha256).hardlink_to(file)
    return sha256, f"/xet-bridge-us/{sha256}"


def cases(hub: Hub, nginx: Nginx, sha256: str, path: str, size: int) -> Iterator[tuple[str, Case]]:
    """Yield each case with the origin that the Hub sends to."""
    tls = ["--cacert", str(nginx.cacert)]
    big = {OURS: ours(f"hf://{REPO}"), "hf download (unverified)": hf(REPO)}
    fast = Case(
        f"{size // _MIB} MiB, plain",
        size,
        big
        | {
            FLOOR: floor(nginx.plain + path),
            "curl && openssl": hashed(curl(nginx.plain + path)),
            "aria2c -x4 --checksum": aria2(nginx.plain + path, 4, sha256),
        },
    )
    secure = Case(
        f"{size // _MIB} MiB, TLS",
        size,
        {OURS: ours(f"hf://{REPO}", *tls), "hf download (unverified)": hf(REPO)}
        | {
            FLOOR: floor(nginx.tls + path, str(nginx.cacert)),
            "curl && openssl": hashed(curl(nginx.tls + path, *tls)),
            "aria2c -x4 --checksum": aria2(nginx.tls + path, 4, sha256, f"--ca-certificate={nginx.cacert}"),
        },
    )
    slow = Case(
        f"{size // _MIB} MiB, 40 MiB a second and connection",
        size,
        {
            OURS: ours(f"hf://{REPO}", "--jobs", "16"),
            "aria2c -x16 --checksum": aria2(nginx.slow + path, 16, sha256),
            "aria2c -x16": aria2(nginx.slow + path, 16, sha256, "--check-integrity=false"),
        },
    )
    many = {OURS: ours(f"hf://{SMALL}"), "hf download": hf(SMALL)}
    total = sum(file.size for file in hub.repos[SMALL].files.values())
    near = Case("80 small files, the Hub next door", total, many, endpoint=nginx.hub)
    far = Case("80 small files, the Hub 50 ms away", total, many, delay=0.05)
    farther = Case("80 small files, the Hub 100 ms away", total, many, delay=0.1)
    yield from ((nginx.plain, fast), (nginx.tls, secure), (nginx.slow, slow))
    yield from ((nginx.plain, case) for case in (near, far, farther))
    # Not before the others were measured: a child's peak begins with its parent's.
    count = min(SOME_FILES, size // _MIB)
    hub.add(SOME, {f"part-{i:03}.json": words(200 << 10) for i in range(count)})
    some = {OURS: ours(f"hf://{SOME}"), "hf download": hf(SOME)}
    yield nginx.plain, Case(f"{count} files of 200 KiB, the Hub 100 ms away", count * 200 << 10, some, delay=0.1)


def words(size: int) -> bytes:
    """Return a JSON file of that many bytes that no other file equals, as a vocabulary is one."""
    return b'{"words": "' + os.urandom((size - 13) // 2).hex().encode() + b'"}'


def make_file(path: Path, size: int) -> None:
    """Write a safetensors file of ``size`` bytes that cannot be compressed."""
    header = b'{"w":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}'
    length = len(header % (size, size)) + 8
    header = (header % (size - length - 8, size - length - 8)).ljust(length)
    with path.open("wb") as file:
        for i in range(size // _MIB):
            file.write(hashlib.shake_128(str(i).encode()).digest(_MIB))
        file.seek(0)
        file.write(length.to_bytes(8, "little") + header)


def main() -> None:
    """Measure all cases and print the tables."""
    size = (int(sys.argv[1]) if len(sys.argv) > 1 else 2048) * _MIB
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder, running_hub() as hub:
        root = Path(folder) / "www"
        root.mkdir()
        make_file(root / "big", size)
        hub.add(SMALL, {f"part-{i:02}.json": words(20_000) for i in range(80)})
        locations = write_down(hub, SMALL, Path(folder) / "answers")
        with serving(root, Path(folder) / "nginx", locations) as nginx:
            sha256, path = publish(hub, root, root / "big")
            environ = {**environment(hub), "SSL_CERT_FILE": str(nginx.cacert)}
            for origin, case in cases(hub, nginx, sha256, path, size):
                asking = {**environ, "HF_ENDPOINT": case.endpoint or hub.endpoint}
                for _ in range(rounds):
                    hub.server.delay = case.delay
                    with sending_to(hub, origin):
                        run_round(case, asking, Path(folder))
                sys.stdout.write(table(case) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
