"""The power goes: real file systems on loop devices, cut off by an ioctl that drops what was not synced."""

import contextlib
import fcntl
import os
import random
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from modelpm.store import Store
from modelpm.testing import FaultServer
from tests.core.test_transfer_crashes import DATA, ROOT, SHA, slowly

_SHUTDOWN = 0x8004587D  # FS_IOC_SHUTDOWN
_FLUSH_LOG, _DROP_LOG = 1, 2
_MAKE = {
    "ext4": ["mkfs.ext4", "-q", "-F"],
    "ext4-without-journal": ["mkfs.ext4", "-q", "-F", "-O", "^has_journal"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
}


def call(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True)


@dataclass
class Machine:
    """A disk that survives, and boots that do not."""

    kind: str
    image: Path
    mount: Path
    boots: int = 0

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

    def start(self, server: FaultServer) -> "subprocess.Popen[str]":
        """Fetch in a process that sees this boot's id, and takes it for another machine's start."""
        fetch = [sys.executable, "-m", "tests.support.fetcher", self.mount / "store", server.url("/w"), len(DATA), SHA]
        bind = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"'
        command = ["unshare", "-m", "sh", "-c", bind, self.image.parent / "boot_id", *fetch]
        return subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT
        )


@contextmanager
def machine(kind: str, folder: Path) -> Iterator[Machine]:
    image, mount = folder / "disk", folder / "mnt"
    with image.open("wb") as file:
        file.truncate(320 << 20)
    mount.mkdir()
    call(*_MAKE[kind], image)
    it = Machine(kind, image, mount)
    try:
        it.boot()
        yield it
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            call("umount", mount)


def cut_and_heal(it: Machine, server: FaultServer, instant: float, flag: int) -> None:
    server.fault = slowly
    with it.start(server) as process:
        time.sleep(instant)
        it.cut(flag)
        acknowledged = process.poll() == 0
        process.kill()
    call("umount", it.mount)
    it.boot()
    blob = Store(it.mount / "store").blob(SHA)
    problem = Store(it.mount / "store").check(SHA, len(DATA))
    assert problem is None or not acknowledged, "what was reported as done is lost"
    assert problem is None or not blob.exists(), f"a blob that is not right: {problem}"
    server.fault = None
    with it.start(server) as process:
        said = process.stdout.read() if process.stdout else ""
    assert process.returncode == 0, said
    assert Store(it.mount / "store").check(SHA, len(DATA)) is None
    shutil.rmtree(it.mount / "store")


tools = all(shutil.which(tool) for tool in ("mkfs.ext4", "mkfs.xfs", "mount", "unshare", "e2fsck"))


@pytest.mark.marathon
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not tools or os.geteuid() != 0, reason="needs root, loop devices, ext4 and XFS")
@pytest.mark.parametrize("kind", sorted(_MAKE))
def test_a_power_cut_at_any_instant_loses_nothing_that_was_acknowledged(tmp_path: Path, kind: str) -> None:
    with machine(kind, tmp_path) as it, FaultServer({"/w": DATA}) as server:
        for _ in range(20):
            instant = random.uniform(0.3, 2.2)  # noqa: S311 - no secret
            cut_and_heal(it, server, instant, random.choice([_FLUSH_LOG, _DROP_LOG]))  # noqa: S311 - no secret
