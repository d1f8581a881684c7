"""Leases: the blobs that running installs need, which prune must not free, even if process locks do not work."""

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from modelpm import disk
from modelpm.disk import system
from modelpm.disk.atomic import write_atomic
from modelpm.store.layout import Layout, is_sha256

_LARGEST = 64 << 20
_FOREIGN = 24 * 3600  # seconds for which a lease of another machine counts, whose processes are not visible here


@dataclass(frozen=True, slots=True)
class Lease:
    """The blobs that one running install needs.

    Attributes:
        digests: Blobs that it found, or will fetch.
        pid: Its process.
        start: When that process began, as the system says it; "" if unknown.
        host: The machine.
        boot: Boot id of that machine.
        since: Seconds since 1970.
        path: The lease's file.
    """

    digests: frozenset[str]
    pid: int
    start: str
    host: str
    boot: str
    since: int
    path: Path

    @property
    def alive(self) -> bool:
        """Whether its process still runs, or may run on another machine."""
        if self.host != system.host_name():
            return abs(time.time() - self.since) < _FOREIGN
        return self.boot == system.boot_id() and system.is_running(self.pid, self.start)


@contextmanager
def hold(layout: Layout, digests: Iterable[str]) -> Iterator[None]:
    """Keep blobs from being freed while the block runs.

    Raises:
        StoreError: The system refuses.
    """
    import json

    disk.make_folder(layout.leases, below=layout.root)
    pid = os.getpid()
    start = system.process_start(pid)
    path = layout.lease(f"{pid}-{start or 0}-{os.urandom(4).hex()}")
    lease = Lease(frozenset(digests), pid, start, system.host_name(), system.boot_id(), int(time.time()), path)
    fields = {**asdict(lease), "digests": sorted(lease.digests)}
    del fields["path"]
    try:
        write_atomic(path, json.dumps(fields, indent=0).encode() + b"\n")
        yield
    finally:
        with contextlib.suppress(OSError):  # a dead lease is swept later
            path.unlink()


def listing(layout: Layout) -> Iterator[Lease]:
    """Yield every lease, of processes dead or alive; skip other files."""
    try:
        paths = sorted(layout.leases.iterdir())
    except FileNotFoundError:
        return
    for path in paths:
        lease = _load(path) if path.suffix == ".json" else None
        if lease is not None:
            yield lease


def sweep(layout: Layout) -> int:
    """Remove the leases of dead processes; return how many there were."""
    dead = [lease for lease in listing(layout) if not lease.alive]
    for lease in dead:
        with contextlib.suppress(OSError):
            lease.path.unlink()
    return len(dead)


def _load(path: Path) -> Lease | None:
    import json

    try:
        fd = system.open_file(path, os.O_RDONLY)
        with os.fdopen(fd, "rb") as file:
            found = json.loads(file.read(_LARGEST))
        lease = Lease(**{**found, "digests": frozenset(found["digests"]), "path": path})
        sound = all(is_sha256(d) for d in lease.digests) and type(lease.pid) is type(lease.since) is int
        return lease if sound and all(type(t) is str for t in (lease.start, lease.host, lease.boot)) else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
