"""The store and the engine on systems that lack a call: each is taken away in turn, and everything still works."""

import errno
import fcntl
import os
import shutil
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from modelpm.disk import system
from modelpm.disk.atomic import write_atomic
from modelpm.store import Store
from tests.support.memory_source import MemorySource
from tests.support.stores import put
from tests.support.transfers import Trial, noise, pinned

DATA = noise((9 << 20) + 5)
CALLS = ["pwrite", "preadv", "fchmod", "statvfs", "uname", "getuid", "geteuid"]
FLAGS = ["O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_DIRECTORY"]


def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the module believe that it is on Windows, with locks that are made of ours."""

    def locking(fd: int, mode: int, _count: int) -> None:
        fcntl.flock(fd, mode)

    fake = SimpleNamespace(locking=locking, LK_NBLCK=fcntl.LOCK_EX | fcntl.LOCK_NB, LK_UNLCK=fcntl.LOCK_UN)
    monkeypatch.setattr(system, "msvcrt", fake, raising=False)
    monkeypatch.setattr(sys, "platform", "win32")


def another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the module believe that it is on a system of which it knows nothing."""
    monkeypatch.setattr(sys, "platform", "sunos5")


def without(name: str) -> Callable[[pytest.MonkeyPatch], None]:
    def lacking(monkeypatch: pytest.MonkeyPatch) -> None:
        if name == "statvfs":  # which shutil needs here; systems without it have another way
            usage = shutil.disk_usage("/")
            monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
        monkeypatch.delattr(os, name)

    return lacking


LACKS = {**{name: without(name) for name in CALLS + FLAGS}, "windows": windows, "another system": another}


@pytest.mark.parametrize("lack", LACKS)
def test_a_file_arrives_is_linked_and_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lack: str) -> None:
    LACKS[lack](monkeypatch)
    source, trial = MemorySource({"w": DATA}), Trial(tmp_path / "store")
    fetched = trial.fetch(pinned("w", DATA, [source.origin("w")]))
    assert trial.bytes_of(fetched) == DATA
    for mode in ("copy", "symlink", "hardlink", "auto"):
        trial.store.link(fetched.sha256, tmp_path / "view" / mode, mode)
        assert (tmp_path / "view" / mode).read_bytes() == DATA
    write_atomic(tmp_path / "lock", b"one")
    write_atomic(tmp_path / "lock", b"two", mode=0o600)
    assert (tmp_path / "lock").read_bytes() == b"two"
    assert trial.store.check(fetched.sha256, len(DATA)) is None
    trial.store.remove(fetched.sha256)
    assert not trial.store.blob(fetched.sha256).exists()


@pytest.mark.parametrize("lack", ["windows", "another system", "pwrite"])
def test_one_lock_excludes_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lack: str) -> None:
    LACKS[lack](monkeypatch)
    store = Store(tmp_path / "store")
    store.open()
    assert store.locks_work
    fds = [os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT) for _ in range(2)]
    assert system.try_lock(fds[0])
    assert not system.try_lock(fds[1])
    assert not system.try_lock(fds[1], shared=True)
    system.unlock(fds[0])
    assert system.try_lock(fds[1])
    for fd in fds:
        os.close(fd)


@pytest.mark.parametrize("name", ["O_NOFOLLOW"])
def test_no_symlink_is_followed_where_the_system_cannot_refuse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delattr(os, name)
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic") as caught:
        system.open_file(tmp_path / "link", os.O_RDWR)
    assert caught.value.errno == errno.ELOOP


@pytest.mark.parametrize("call", ["write", "read"])
def test_without_pwrite_threads_that_share_a_file_do_not_mix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    import threading

    monkeypatch.delattr(os, "pwrite")
    monkeypatch.delattr(os, "preadv")
    (tmp_path / "file").write_bytes(b"0123456789")
    fd = os.open(tmp_path / "file", os.O_RDWR)
    seek, buffer = os.lseek, bytearray(2)
    other = threading.Thread(target=system.pwrite, args=(fd, b"xy", 6))

    def interrupted(fd: int, offset: int, whence: int) -> int:
        position = seek(fd, offset, whence)
        if other.ident is None:
            other.start()
            other.join(0.3)  # it waits for its turn; if it has none to wait for, it moves the position now
        return position

    monkeypatch.setattr(os, "lseek", interrupted)
    if call == "write":
        system.pwrite(fd, b"ab", 2)
    else:
        system.pread_into(fd, buffer, 2)
    other.join()
    os.close(fd)
    expected = {"write": (b"01ab45xy89", b"\0\0"), "read": (b"012345xy89", b"23")}
    assert ((tmp_path / "file").read_bytes(), bytes(buffer)) == expected[call]


def test_where_fsync_stops_at_the_disks_cache_the_full_one_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, refused = list[int](), list[OSError]()

    def call(fd: int, what: int) -> int:
        asked.append(what)
        if refused:
            raise refused[0]
        return fd

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(system, "fcntl", SimpleNamespace(fcntl=call, F_FULLFSYNC=51))
    synced = list[int]()
    monkeypatch.setattr(os, "fsync", synced.append)
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    system.fsync(fd)
    system.fdatasync(fd)
    assert (asked, synced) == ([51, 51], [])
    refused.append(OSError(errno.ENOTSUP, "not here"))
    system.fsync(fd)
    assert synced == [fd], "a network disk that has no such call"
    refused[0] = OSError(errno.EIO, "lost")
    with pytest.raises(OSError, match="lost"):
        system.fsync(fd)
    os.close(fd)


def test_a_folder_that_cannot_be_synced_is_no_failure_and_one_that_is_lost_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(number: int) -> Callable[[int], None]:
        def call(_fd: int) -> None:
            raise OSError(number, os.strerror(number))

        return call

    monkeypatch.setattr(os, "fsync", refuse(errno.EINVAL))
    system.fsync_folder(tmp_path)
    monkeypatch.setattr(os, "fsync", refuse(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        system.fsync_folder(tmp_path)


def test_windows_replaces_and_removes_what_is_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    windows(monkeypatch)
    changed = list[int]()
    real = Path.chmod

    def chmod(path: Path, mode: int) -> None:
        changed.append(mode)
        real(path, mode)

    monkeypatch.setattr(Path, "chmod", chmod)
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
        real(tmp_path / name, 0o444)
    system.replace(tmp_path / "a", tmp_path / "b")
    system.unlink(tmp_path / "b")
    assert changed == [stat.S_IWRITE, stat.S_IWRITE]
    system.fsync_folder(tmp_path / "nowhere")
    assert system.is_running(os.getpid(), "") is True


def test_what_a_system_does_not_tell_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_text

    def refuse(path: Path, *args: object, **kwargs: object) -> str:
        if str(path).startswith("/proc/"):
            raise FileNotFoundError(path)
        return read(path, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "read_text", refuse)
    system.boot_id.cache_clear()
    try:
        assert system.boot_id() == ""
        digest = put(Store(tmp_path / "store"), b"weights")
        assert Store(tmp_path / "store").check(digest, 7) is None
    finally:
        system.boot_id.cache_clear()
