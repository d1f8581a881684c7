"""The power goes: real file systems on loop devices, cut off by an ioctl that drops what was not synced.

A cut is timed by what was promised, never by the clock: an install has just said that it is done, and a download has
marked bytes as being on the medium. So every round has an acknowledged model and bytes to resume from, or it fails.
"""

import contextlib
import fcntl
import os
import random
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from modelpm.store import Store
from modelpm.store.partials.journal import decode, read
from modelpm.testing import Exchange, FaultServer
from tests.support.transfers import noise, sha256

ROOT = Path(__file__).parents[2]
MIB = 1 << 20
_SHUTDOWN = 0x8004587D  # FS_IOC_SHUTDOWN
_FLUSH_LOG, _DROP_LOG = 1, 2
_MAKE = {
    "ext4": ["mkfs.ext4", "-q", "-F"],
    "ext4-without-journal": ["mkfs.ext4", "-q", "-F", "-O", "^has_journal"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
}
_ROUNDS = 8
SMALL = noise(3 * MIB + 7, 1)
LARGE_SIZE = 160 * MIB + 3


@cache
def large() -> bytes:
    """Return the large file, which only marathons make."""
    return noise(LARGE_SIZE, 2)


@cache
def large_sha() -> str:
    return sha256(large())


def call(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True)


@dataclass
class Machine:
    """A disk that survives, and boots that do not."""

    kind: str
    image: Path
    mount: Path
    boots: int = 0

    @property
    def home(self) -> Path:
        return self.mount / "home"

    @property
    def store(self) -> Store:
        return Store(self.home / "store")

    def boot(self) -> None:
        self.boots += 1
        if self.kind == "ext4-without-journal" and self.boots > 1:
            subprocess.run(["e2fsck", "-fy", str(self.image)], check=False, capture_output=True)
        call("mount", "-o", "loop", self.image, self.mount)
        (self.image.parent / "boot_id").write_text(f"boot-{self.boots}\n")

    def cut(self, flag: int) -> None:
        fd = os.open(self.mount, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _SHUTDOWN, struct.pack("I", flag))
        finally:
            os.close(fd)

    def off(self) -> None:
        """Take the disk away; processes that were killed may hold it for a moment, in namespaces of their own."""
        call("umount", self.mount)
        deadline = time.monotonic() + 30
        while subprocess.run(["losetup", "-j", self.image], check=True, capture_output=True).stdout:
            assert time.monotonic() < deadline, "the disk is still in use: mounting it would show what is in memory"
            time.sleep(0.02)

    def start(self, *command: object) -> "subprocess.Popen[str]":
        """Run something in a process that sees this boot's id, and takes it for another machine's start."""
        bind = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"'
        full = ["unshare", "-m", "sh", "-c", bind, self.image.parent / "boot_id", *command]
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.image.parent), "MODELPM_HOME": str(self.home)}
        parts = [str(part) for part in full]
        return subprocess.Popen(
            parts, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT, env=environ
        )

    def modelpm(self, *arguments: str) -> "subprocess.Popen[str]":
        return self.start(Path(sys.executable).with_name("modelpm"), *arguments)

    def fetch(self, server: FaultServer) -> "subprocess.Popen[str]":
        arguments = (self.home / "store", server.url("/large.bin"), LARGE_SIZE, large_sha())
        return self.start(sys.executable, "-m", "tests.support.fetcher", *arguments)

    def counted(self) -> int:
        """Return how many bytes of the download would count if the power went now."""
        found = decode(read(self.store.layout.partial(large_sha()) / "journal"), "another boot")
        return found.extents.total if found else 0


@contextmanager
def machine(kind: str, folder: Path) -> Iterator[Machine]:
    image, mount = folder / "disk", folder / "mnt"
    with image.open("wb") as file:
        file.truncate(640 << 20)
    mount.mkdir()
    call(*_MAKE[kind], image)
    it = Machine(kind, image, mount)
    try:
        it.boot()
        yield it
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            call("umount", mount)


def steadily(exchange: Exchange) -> None:
    """Serve the large file at some 10 MB a second and connection, so that it takes longer than a mark does."""
    body = exchange.begin()
    for at in range(0, len(body), 1 << 17):
        exchange.body(body[at : at + (1 << 17)])
        if len(exchange.data) == LARGE_SIZE:
            time.sleep(0.012)


def await_promise(promised: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    """Wait until something was promised while a process still works."""
    deadline = time.monotonic() + 60
    while not promised():
        assert process.poll() is None, "it ended before it had promised anything"
        assert time.monotonic() < deadline, "nothing was promised"
        time.sleep(0.02)


def cut_and_heal(it: Machine, server: FaultServer, marked_at: int, flag: int) -> None:
    server.fault = steadily
    with it.fetch(server) as download:
        try:
            await_promise(lambda: it.counted() >= marked_at, download)
            with it.modelpm("install", server.url("/small.bin"), "-q") as install:
                said = install.stdout.read() if install.stdout else ""
            marked = it.counted()
            it.cut(flag)
            assert install.returncode == 0, said
            assert download.poll() is None, "the large file was whole before the cut"
        finally:
            download.kill()
    it.off()
    it.boot()
    assert marked >= marked_at, "nothing was to be resumed from"
    check_acknowledged(it)
    kept = it.counted()
    assert kept >= marked, f"{marked - kept} bytes that were marked as being on the medium are lost"
    server.fault = None
    with it.fetch(server) as download:
        said = download.stdout.read() if download.stdout else ""
    assert download.returncode == 0, said
    assert said.split()[-1] == str(LARGE_SIZE - kept), "what was kept is not fetched again, and all else is"
    assert it.store.check(large_sha(), LARGE_SIZE) is None
    shutil.rmtree(it.home)


def check_acknowledged(it: Machine) -> None:
    """Hold that the model whose install said so is there: bytes, lock and view."""
    assert it.store.check(sha256(SMALL), len(SMALL)) is None, "what was reported as done is lost"
    with it.modelpm("verify") as process:
        said = process.stdout.read() if process.stdout else ""
    assert process.returncode == 0, said
    assert (it.home / "env" / "models" / "small" / "small.bin").read_bytes() == SMALL


def cut_at_the_end(it: Machine, server: FaultServer, flag: int) -> None:
    """Cut when every byte is there and the file is about to get its name: it is right then, or it is not there."""
    server.fault = None
    with it.fetch(server) as download:
        assert download.stdout
        for line in download.stdout:
            if line.strip().isdecimal() and int(line) >= LARGE_SIZE - 8 * MIB:
                break
        else:
            pytest.fail("the download ended without a sign")
        it.cut(flag)
        download.kill()
    it.off()
    it.boot()
    problem = it.store.check(large_sha(), LARGE_SIZE)
    assert problem is None or not it.store.blob(large_sha()).exists(), f"a blob that is not right: {problem}"
    with it.fetch(server) as download:
        said = download.stdout.read() if download.stdout else ""
    assert download.returncode == 0, said
    assert it.store.check(large_sha(), LARGE_SIZE) is None
    shutil.rmtree(it.home)


tools = all(shutil.which(tool) for tool in ("mkfs.ext4", "mkfs.xfs", "mount", "unshare", "e2fsck"))


@pytest.mark.marathon
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not tools or os.geteuid() != 0, reason="needs root, loop devices, ext4 and XFS")
@pytest.mark.parametrize("kind", sorted(_MAKE))
def test_a_power_cut_loses_nothing_that_was_promised(tmp_path: Path, kind: str) -> None:
    with (
        machine(kind, tmp_path) as it,
        FaultServer({"/large.bin": large(), "/small.bin": SMALL}) as server,
    ):
        for number in range(_ROUNDS):
            flag = (_FLUSH_LOG, _DROP_LOG)[number % 2]
            cut_and_heal(it, server, random.randint(1, 96 * MIB), flag)  # noqa: S311 - no secret
            cut_at_the_end(it, server, flag)
