"""Processes that are killed, starved or doubled: what is on disk is either the old state or the new one."""

import os
import random
import re
import resource
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from modelpm.api.types import Context, Digest, Network, RemoteFile
from modelpm.disk import system
from modelpm.errors import StoreError
from modelpm.plugins.kinds.source import GuardedSource
from modelpm.store import Store
from modelpm.store.partials.partial import progress
from modelpm.testing import Exchange, FaultServer
from modelpm.transfer import Fetch, Origin, check_space
from tests.support.memory_source import ENTRY, MemorySource
from tests.support.raw import answer, raw_server
from tests.support.sources import Plain
from tests.support.stores import tmpfs
from tests.support.transfers import Trial, noise, pinned, sha256

MIB = 1 << 20
DATA = noise(24 * MIB + 3)
SHA = sha256(DATA)
ROOT = Path(__file__).parents[2]


def slowly(exchange: Exchange, pause: float = 0.012) -> None:
    """Serve at some 10 MB a second and connection."""
    body = exchange.begin()
    for at in range(0, len(body), 1 << 17):
        exchange.body(body[at : at + (1 << 17)])
        time.sleep(pause)


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer({"/w": DATA}) as server:
        yield server


def command(store: Path, server: FaultServer, *, data: bytes = DATA, jobs: int = 4) -> list[str]:
    arguments = [str(store), server.url("/w"), str(len(data)), sha256(data), str(jobs)]
    return [sys.executable, "-m", "tests.support.fetcher", *arguments]


def start(store: Path, server: FaultServer) -> "subprocess.Popen[str]":
    return subprocess.Popen(command(store, server), stdout=subprocess.PIPE, text=True, cwd=ROOT)


def finish(store: Path, server: FaultServer) -> int:
    """Run to the end; return how many bytes were downloaded."""
    done = subprocess.run(command(store, server), capture_output=True, text=True, cwd=ROOT, check=False, timeout=60)
    found = re.search(r"fetched (\d+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert Store(store).check(SHA, len(DATA)) is None
    assert not list((store / "partial").iterdir())
    return int(found[1])


def kill_and_heal(store: Path, server: FaultServer, instant: float) -> None:
    server.fault = slowly
    with start(store, server) as process:
        time.sleep(instant)
        process.kill()
        said = (process.stdout.read() if process.stdout else "").split()
    seen = max((int(word) for word in said if word.isdecimal()), default=0)
    kept = progress(store / "partial" / SHA)
    stored = Store(store).blob(SHA).exists()
    assert not stored or Store(store).check(SHA, len(DATA)) is None  # absent or right, however far it came
    server.fault = None
    downloaded = finish(store, server)
    assert downloaded == (0 if stored else len(DATA) - kept)
    # At most 8 MiB, or half a second's worth with what one look at the clock costs, is lost.
    assert stored or kept >= seen - 8 * MIB


@pytest.mark.parametrize("instant", [0.6, 0.9, 1.3])
def test_after_kill_9_little_is_lost_and_the_next_run_heals(
    tmp_path: Path, server: FaultServer, instant: float
) -> None:
    kill_and_heal(tmp_path / "store", server, instant)


@pytest.mark.marathon
@pytest.mark.timeout(1800)
def test_two_hundred_kills_at_random_instants(tmp_path: Path, server: FaultServer) -> None:
    for trial in range(200):
        kill_and_heal(tmp_path / f"store{trial}", server, random.uniform(0.2, 1.6))  # noqa: S311 - no secret
        shutil.rmtree(tmp_path / f"store{trial}")


def test_many_kills_in_a_row_still_come_to_an_end(tmp_path: Path, server: FaultServer) -> None:
    server.fault = partial(slowly, pause=0.08)
    kept = 0
    for _ in range(3):
        with start(tmp_path / "store", server) as process:
            assert process.stdout
            for line in process.stdout:
                if line.strip().isdecimal() and int(line) >= kept + 3 * MIB:
                    break
            time.sleep(0.6)  # longer than the interval of the records
            process.kill()
        now = progress(tmp_path / "store" / "partial" / SHA)
        assert now > kept
        kept = now
    server.fault = None
    assert finish(tmp_path / "store", server) == len(DATA) - kept


def test_four_processes_that_want_one_blob_download_it_once(tmp_path: Path, server: FaultServer) -> None:
    server.fault = slowly
    with ThreadPoolExecutor(4) as pool:
        runs = [
            pool.submit(
                subprocess.run,
                command(tmp_path / "store", server),
                capture_output=True,
                text=True,
                cwd=ROOT,
                check=False,
            )
            for _ in range(4)
        ]
    results = [run.result() for run in runs]
    assert [r.returncode for r in results] == [0] * 4, results
    downloads = sorted(int(r.stdout.split()[-1]) for r in results)
    assert downloads == [0, 0, 0, len(DATA)]
    # Those who waited saw the bytes come.
    assert all(len({w for w in r.stdout.split() if w.isdecimal()}) > 2 for r in results)


def test_where_locks_keep_nobody_out_each_has_a_partial_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelpm.disk import system

    monkeypatch.setattr(system, "try_lock", lambda *_args, **_kw: True)
    source = MemorySource({"w": DATA})
    trials = [Trial(tmp_path / "store") for _ in range(3)]
    threads = [threading.Thread(target=t.fetch, args=(pinned("w", DATA, [source.origin("w")]),)) for t in trials]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert trials[0].store.check(SHA, len(DATA)) is None
    assert trials[0].leftovers() == []


def limited(size: int) -> None:
    """Let no file grow beyond ``size`` bytes; what a full disk looks like to one process."""
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_full_disk_in_mid_file_keeps_the_partial_and_exits_8(tmp_path: Path, server: FaultServer) -> None:
    done = subprocess.run(
        command(tmp_path / "store", server),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        preexec_fn=lambda: limited(10 * MIB),
    )
    assert done.returncode == 8, done.stdout + done.stderr
    assert "no_space" in done.stdout
    kept = progress(tmp_path / "store" / "partial" / SHA)
    assert finish(tmp_path / "store", server) == len(DATA) - kept


@pytest.mark.parametrize("length", [None, 1 << 50])
@pytest.mark.parametrize("promised", [True, False])
def test_a_download_without_a_promised_size_leaves_the_disk_a_reserve(
    tmp_path: Path, promised: bool, length: int | None
) -> None:
    def forever(_head: str, connection: socket.socket) -> bool:
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(chunked if length is None else answer("200 OK", Content_Length=str(length)))
        piece = bytes(MIB // 4)
        while True:
            connection.sendall(piece if length else b"%x\r\n%s\r\n" % (len(piece), piece))

    with tmpfs(tmp_path / "disk", "64m") as mount, raw_server(forever) as server:
        remote = RemoteFile("w", None, None, (server.url(),))
        source = GuardedSource.of(ENTRY, Plain(Context(network=Network(idle_timeout=5.0))))
        origins = [Origin(source, remote, server.url(), server.url())]
        wish = Fetch("m", "w", None, Digest("sha256", SHA) if promised else None, SHA, lambda: origins)
        (result,) = Trial(mount / "store").run(wish, jobs=32)
        assert isinstance(result, StoreError), result
        assert (result.code, result.exit_code) == ("no_space", 8)
        assert MIB < system.free_space(mount) < 4 * MIB


def test_what_cannot_fit_is_refused_before_the_first_byte(tmp_path: Path) -> None:
    source = MemorySource({"w": b""})
    fetch = pinned("w", b"", [source.origin("w")])
    huge = type(fetch)("m", "w", 1 << 60, fetch.digest, fetch.key, fetch.locate)
    store = Store(tmp_path / "store")
    with pytest.raises(StoreError) as caught:
        check_space(store, [huge])
    assert caught.value.code == "no_space"
    assert caught.value.details["needed"] >= 1 << 60
    assert 0 < caught.value.details["free"] < 1 << 60
    check_space(store, [fetch])
    assert source.requests == []


def test_what_a_partial_has_is_not_needed_again(tmp_path: Path) -> None:
    from modelpm.transfer.disk_space import missing_bytes

    trial = Trial(tmp_path / "store")
    source = MemorySource({"w": DATA})
    fetch = pinned("w", DATA, [source.origin("w")])
    assert missing_bytes(trial.store, [fetch, fetch]) == len(DATA)
    trial.store.open()
    folder = trial.store.partial(fetch.key)
    folder.mkdir()
    (folder / "data").write_bytes(DATA[: 10 * MIB])
    assert missing_bytes(trial.store, [fetch]) <= len(DATA) - 10 * MIB


CALLS = ("pwrite64", "fdatasync", "fsync", "rename", "mkdir", "fchmod", "ftruncate", "unlink", "fallocate")
FAULTS = ("signal=KILL", "error=EIO", "error=ENOSPC")
SMALL = DATA[: 9 * MIB]


def injected(store: Path, server: FaultServer, call: str, what: str) -> "subprocess.CompletedProcess[str]":
    trace = ["strace", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", f"trace={call}"]
    return subprocess.run(
        [*trace, "-e", f"inject={call}:{what}", *command(store, server, data=SMALL, jobs=2)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )


def crash_at(tmp_path: Path, call: str, fault: str, number: int) -> bool:
    """Fail one system call, then heal; return whether it was reached."""
    store = tmp_path / f"{call}-{fault}-{number}".replace("=", "-")
    digest = sha256(SMALL)
    with FaultServer({"/w": SMALL}) as server:
        done = injected(store, server, call, f"{fault}:when={number}")
        assert "Traceback" not in done.stderr or "modelpm" not in done.stderr, done.stderr
        if done.returncode == 0:
            assert Store(store).check(digest, len(SMALL)) is None
        blob = Store(store).blob(digest)
        assert not blob.exists() or sha256(blob.read_bytes()) == digest
        again = subprocess.run(
            command(store, server, data=SMALL), capture_output=True, text=True, cwd=ROOT, check=False, timeout=60
        )
        assert again.returncode == 0, again.stdout + again.stderr
        assert Store(store).check(digest, len(SMALL)) is None
    shutil.rmtree(store)
    return done.returncode != 0


needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")


@needs_strace
@pytest.mark.parametrize(
    ("call", "fault", "number"),
    [
        ("pwrite64", "signal=KILL", 5),
        ("fsync", "signal=KILL", 1),
        ("rename", "signal=KILL", 2),
        ("pwrite64", "error=ENOSPC", 6),
        ("fsync", "error=EIO", 2),
    ],
)
def test_one_failing_system_call_leaves_the_old_state_or_the_new(
    tmp_path: Path, call: str, fault: str, number: int
) -> None:
    crash_at(tmp_path, call, fault, number)


@needs_strace
@pytest.mark.parametrize(("when", "code"), [("1", 0), ("20", 0), ("1+", 8)])
def test_bytes_that_the_disk_does_not_give_back_are_fetched_again(tmp_path: Path, when: str, code: int) -> None:
    with FaultServer({"/w": SMALL}) as server:
        done = injected(tmp_path / "store", server, "preadv2", f"error=EIO:when={when}")
    assert done.returncode == code, done.stdout + done.stderr
    assert ("io_error" in done.stdout) == (code == 8)


@needs_strace
@pytest.mark.marathon
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", FAULTS)
def test_every_failing_system_call_leaves_the_old_state_or_the_new(tmp_path: Path, call: str, fault: str) -> None:
    misses = 0
    for number in range(1, 40):
        misses = 0 if crash_at(tmp_path, call, fault, number) else misses + 1
        if misses > 3:
            break
