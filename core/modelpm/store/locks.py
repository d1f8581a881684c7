"""Locks between processes: ``flock`` on files that are never deleted; the kernel frees what a dead holder held."""

import contextlib
import os
import re
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from modelpm import disk
from modelpm.disk import system
from modelpm.errors import Code, StoreError

_SHORTEST, _LONGEST = 0.005, 0.1  # seconds between two tries
_HOLDER_BYTES = 200
_LEFT = "left: "


def work(path: Path) -> bool:
    """Find out whether a lock in this file keeps anyone out: on some network file systems it does not.

    Raises:
        StoreError: The file cannot be made, or is not a regular file.
    """
    with disk.explained(path, "lock"), _opened(path) as first, _opened(path) as second:
        try:
            # Another process testing at this moment, and keeping us out, is as good a proof.
            return not (system.try_lock(first) and system.try_lock(second))
        except OSError:
            return False


class Held:
    """A lock while it is held.

    Attributes:
        real: Whether it keeps anybody out.
        found: What the last holder left.
        sure: Whether only this user can have left it.
        word: What to leave for the next one; a line of text.
    """

    __slots__ = ("found", "real", "sure", "word")

    def __init__(self, *, real: bool, found: str = "", sure: bool = False) -> None:
        self.real = real
        self.found = found
        self.sure = sure
        self.word = ""


@contextmanager
def hold(
    path: Path, *, shared: bool = False, timeout: float | None = None, waiting: Callable[[str], bool] | None = None
) -> Iterator[Held]:
    """Hold a lock while the block runs.

    Args:
        path: The lock's file; it is made where it is missing.
        shared: Whether others may hold it shared at the same time.
        timeout: Seconds to wait; None waits for ever, 0 not at all.
        waiting: Called with the holder about ten times a second while waiting; False gives up.

    Raises:
        StoreError: ``lock_timeout`` where waiting ended without the lock; ``symlink`` where one is planted.
    """
    fd = _acquire(path, shared, timeout, waiting)
    held = Held(real=True, found=_left_in(fd), sure=_is_ours_alone(fd))
    try:
        with contextlib.suppress(OSError):  # who holds it is a courtesy: a full disk must not stop anybody
            _sign(fd, f"{os.getpid()}\n{_command()}\n")
        yield held
    finally:
        with contextlib.suppress(OSError):
            if not shared:
                _sign(fd, f"{_LEFT}{held.word}\n" if held.word else "")
            system.unlock(fd)
        os.close(fd)


def _acquire(path: Path, shared: bool, timeout: float | None, waiting: Callable[[str], bool] | None) -> int:
    deadline = None if timeout is None else time.monotonic() + timeout
    pause = _SHORTEST
    while True:
        fd, holder = _attempt(path, shared)
        if fd is not None:
            return fd
        if (deadline is not None and time.monotonic() >= deadline) or (waiting and not waiting(holder)):
            raise StoreError(
                f"gave up waiting for {path.stem}: it is in use by {holder}",
                code=Code.LOCK_TIMEOUT,
                hints=["wait for that process to end, or stop it: the lock is released with it"],
                path=str(path),
                holder=holder,
            )
        time.sleep(pause if deadline is None else max(0.0, min(pause, deadline - time.monotonic())))
        pause = min(pause * 2, _LONGEST)


def _attempt(path: Path, shared: bool) -> tuple[int | None, str]:
    """Return the locked descriptor, or None and who has it."""
    with disk.explained(path, "lock"):
        fd = _open(path)
        kept = False
        try:
            if not system.try_lock(fd, shared=shared):
                return None, _holder(fd)
            # A user may have cleared the folder meanwhile: only the file that has the name now keeps others out.
            kept = _same_file(fd, path)
            return (fd, "") if kept else (None, "another process")
        finally:
            if not kept:
                os.close(fd)


def _open(path: Path) -> int:
    try:
        return system.open_file(path, os.O_RDWR)
    except FileNotFoundError:
        return disk.create(path, 0o666)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    fd = _open(path)
    try:
        yield fd
    finally:
        os.close(fd)


def _same_file(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.lstat())
    except FileNotFoundError:
        return False


def _sign(fd: int, text: str) -> None:
    data = text.encode("utf-8", "replace")[:_HOLDER_BYTES]
    system.pwrite(fd, data, 0)
    os.ftruncate(fd, len(data))


@cache
def _command() -> str:
    """Say what we are: never the arguments, which may carry a signed address."""
    program = Path(sys.argv[0]).name if sys.argv else ""
    if program == "__main__.py":
        program = "modelpm"
    verb = next((a for a in sys.argv[1:] if re.fullmatch(r"[a-z]{2,20}", a)), "") if program == "modelpm" else ""
    return " ".join(part for part in (program, verb) if part)


def _left_in(fd: int) -> str:
    """Return the word that the last holder left."""
    with contextlib.suppress(OSError):
        text = _read(fd)
        return text[len(_LEFT) : -1] if text.startswith(_LEFT) and text.endswith("\n") else ""
    return ""


def _is_ours_alone(fd: int) -> bool:
    facts = os.fstat(fd)
    return system.is_own(facts) and not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _read(fd: int) -> str:
    buffer = bytearray(_HOLDER_BYTES)
    count = system.pread_into(fd, buffer, 0)
    return buffer[:count].decode("utf-8", "replace")


def _holder(fd: int) -> str:
    text = ""
    with contextlib.suppress(OSError):
        text = _read(fd)
    pid, _, rest = text.partition("\n")
    command = "".join(c if c.isprintable() else "?" for c in rest.strip())
    if not re.fullmatch(r"[0-9]{1,10}", pid):
        return "another process"
    return f"process {pid} ({command})" if command else f"process {pid}"
