"""Stores to test with, and folders that refuse to be written."""

import contextlib
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from modelpm.store import Store


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def draft(store: Store, data: bytes) -> Path:
    """Write bytes where downloads stand before they are committed."""
    store.open()
    folder = store.partial(sha256(data))
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"data-{os.urandom(4).hex()}"
    path.write_bytes(data)
    path.chmod(0o600)
    return path


def put(store: Store, data: bytes) -> str:
    """Commit bytes; return their name."""
    name, path = sha256(data), draft(store, data)
    store.commit(path, name)
    with contextlib.suppress(OSError):
        path.parent.rmdir()
    return name


def damage(path: Path, offset: int = 0) -> None:
    """Flip one bit behind the store's back: size, time and inode stay."""
    facts = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))
    path.chmod(0o444)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


@contextmanager
def tmpfs(folder: Path, size: str = "256k", *options: str) -> Iterator[Path]:
    """Mount a small file system, or skip the test where that needs rights we lack."""
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", ",".join([f"size={size}", *options]), "tmpfs", str(folder)]
    if os.name != "posix" or os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """Mount a real disk file system of a few bytes, or skip the test where that needs rights or tools we lack."""
    image, place = folder / "image", folder / "disk"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(size)
    make, mount = ["mkfs.ext4", "-q", "-F", str(image)], ["mount", "-o", "loop", str(image), str(place)]
    if os.geteuid() != 0 or not shutil.which("mkfs.ext4"):
        pytest.skip("mounting needs root")
    if any(subprocess.run(command, check=False, capture_output=True).returncode for command in (make, mount)):
        pytest.skip("no loop devices here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@contextmanager
def fixed(disk: Path) -> Iterator[None]:
    """Make what :func:`tmpfs` mounted read-only while the block runs."""
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    yield
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[Path]:
    """Make a folder that cannot be written, not even by root."""
    if os.geteuid() == 0:
        with tmpfs(folder):
            subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
            yield folder
        return
    folder.mkdir(mode=0o555)
    yield folder
    folder.chmod(0o755)


@contextmanager
def umask(value: int) -> Iterator[None]:
    """Set the umask while the block runs."""
    old = os.umask(value)
    try:
        yield
    finally:
        os.umask(old)
