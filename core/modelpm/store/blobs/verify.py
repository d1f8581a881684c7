"""Hash many files at once: one file on each core, the biggest first."""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import NamedTuple

from modelpm.errors import Interrupted
from modelpm.store import Store
from modelpm.store.blobs import shown

_TICK = 0.1  # seconds between two reports


class Target(NamedTuple):
    """A file to check.

    Attributes:
        sha256: The blob.
        size: Bytes it must have.
        path: A file outside the store that should have its bytes; None means the blob in the store.
    """

    sha256: str
    size: int
    path: Path | None = None


def verify(
    store: Store,
    wanted: Sequence[Target],
    *,
    quick: bool = False,
    jobs: int | None = None,
    cancelled: threading.Event | None = None,
    on_bytes: Callable[[int], None] | None = None,
) -> list[str | None]:
    """Check files, each once.

    Args:
        store: Holds them.
        wanted: The files.
        quick: Whether to trust a file that looks as it did at its last hash; any other is hashed.
        jobs: Files to hash at once; default: one per core.
        cancelled: Ends the run within one read when set.
        on_bytes: Called in the calling thread, at most ten times a second, with the bytes hashed since the last call.

    Returns:
        None or the problem for each file, in the order of ``wanted``.

    Raises:
        Interrupted: ``cancelled`` was set.
    """
    check = _Run(store, wanted, quick=quick, cancelled=cancelled or threading.Event())
    threads = max(1, min(jobs or _cores(), len(check.problems)))
    with ThreadPoolExecutor(threads, thread_name_prefix="verify") as pool:
        pending = {pool.submit(check.work) for _ in range(threads)}
        try:
            while pending:
                done, pending = wait(pending, timeout=_TICK, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
                if on_bytes and (count := check.take()):
                    on_bytes(count)
        finally:
            check.over.set()  # for the other threads, when one failed or the caller was interrupted
    return [check.problems[target] for target in wanted]


class _Run:
    """The state that the threads of one run share."""

    def __init__(self, store: Store, wanted: Sequence[Target], *, quick: bool, cancelled: threading.Event) -> None:
        self.problems: dict[Target, str | None] = dict.fromkeys(wanted)
        self.over = threading.Event()
        self._store, self._quick, self._cancelled = store, quick, cancelled
        # The biggest first: a long file that starts last would keep one core busy and the others waiting.
        self._rest = iter(sorted(self.problems, key=lambda target: -target.size))
        self._guard = threading.Lock()
        self._bytes = 0

    def work(self) -> None:
        """Check one file after the other until none is left."""
        while True:
            self._step(0)
            with self._guard:
                target = next(self._rest, None)
            if target is None:
                return
            self.problems[target] = self._check(target)

    def _check(self, target: Target) -> str | None:
        sha256, size, path = target
        if path is None:
            return self._store.check(sha256, size, quick=self._quick, step=self._step)
        return shown.check(self._store, path, sha256, size, quick=self._quick, step=self._step)

    def _step(self, count: int) -> None:
        if self.over.is_set() or self._cancelled.is_set():
            raise Interrupted("the check was interrupted")
        with self._guard:
            self._bytes += count

    def take(self) -> int:
        """Return the bytes hashed since the last call."""
        with self._guard:
            count, self._bytes = self._bytes, 0
            return count


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
