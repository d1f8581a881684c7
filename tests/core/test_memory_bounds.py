"""Memory stays bounded whatever the size, and however many connections: the system itself refuses more."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from modelpm.testing import Exchange, FaultServer
from tests.support.models import folder_of

ROOT = Path(__file__).parents[2]
MIB = 1 << 20
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to RLIMIT_DATA")
# Opens so many connections that all their buffers are in use at once, and may then take so much memory, no more.
SCRIPT = """
import resource, sys, threading
from pathlib import Path
from tests.support.memory_source import Answer, MemorySource
from tests.support.transfers import Trial, noise, pinned

store, jobs, mib = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
threading.stack_size(256 << 10)
files = {f"f{n}": noise(200_000 if jobs > 1 else 24 << 20, n) for n in range(jobs)}
source = MemorySource(files, piece=64 << 10)
all_there = threading.Barrier(jobs)

def fault(request, data):
    def pieces():
        all_there.wait(60) if request.start == 0 else None
        yield from source.pieces(data[request.start : request.stop])
    return Answer(pieces(), request.start, len(data))

source.fault = fault
fetches = [pinned(name, data, [source.origin(name)]) for name, data in files.items()]
warm = noise(1000, 9)
trial = Trial(store)
trial.fetch(pinned("warm", warm, [MemorySource({"warm": warm}).origin("warm")]))
used = next(int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith("VmSize"))
resource.setrlimit(resource.RLIMIT_AS, (used + (mib << 20),) * 2)
results = trial.run(*fetches, jobs=jobs, idle_timeout=90.0, retries=0)
assert all(r.downloaded for r in results), results
print("done")
"""


@pytest.mark.parametrize(("jobs", "mib"), [(1, 20), (48, 90)])
def test_the_buffers_of_all_connections_together_are_bounded(tmp_path: Path, jobs: int, mib: int) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "store"), str(jobs), str(mib)]
    # Without this each thread reserves 64 MiB of addresses for what it may allocate one day.
    env = {**os.environ, "MALLOC_ARENA_MAX": "1"}
    ran = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=110, check=False)
    assert ran.stdout == "done\n", ran.stderr[-3000:]


def limited(mib: int) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (mib * MIB, mib * MIB))


def within(command: list[str], env: dict[str, str], cwd: Path, mib: int) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, env=env, cwd=cwd, capture_output=True, text=True, check=False, preexec_fn=lambda: limited(mib)
    )


@pytest.mark.marathon
def test_a_file_that_is_larger_than_the_memory_is_installed_and_checked(
    clean_environ: dict[str, str], tmp_path: Path
) -> None:
    """A GiB, where the process may have a sixth of that, threads and their stacks included."""
    modelpm, size = str(Path(sys.executable).with_name("modelpm")), 1024 * MIB
    folder_of(tmp_path / "given", {"big.bin": b"x"})
    with (tmp_path / "given" / "big.bin").open("r+b") as file:
        file.truncate(size)
    for arguments in (["install", f"file://{tmp_path}/given/big.bin", "--jobs", "2"], ["verify"]):
        ran = within([modelpm, *arguments], clean_environ, tmp_path, 160)
        assert ran.returncode == 0, ran.stderr


def test_an_answer_that_does_not_end_fills_no_memory(clean_environ: dict[str, str], tmp_path: Path) -> None:
    """A listing is a document with a cap; a server that sends more of it than that is refused."""
    with FaultServer({}) as server:

        def endless(exchange: Exchange) -> None:
            exchange.head("200 OK", None, Transfer_Encoding="chunked", Content_Type="application/json")
            for _ in range(400):
                exchange.raw(b"100000\r\n" + b"[" * MIB + b"\r\n")

        server.fault = endless
        env = {**clean_environ, "HF_ENDPOINT": server.origin, "MODELPM_RETRIES": "0"}
        command = [str(Path(sys.executable).with_name("modelpm")), "show", "hf://acme/m"]
        ran = within(command, env, tmp_path, 300)
    assert ran.returncode == 6, ran.stderr
    assert "Traceback" not in ran.stderr
