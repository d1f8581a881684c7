"""The transfer engine: it downloads files into the store, in parallel, verified and resumable.

A **download** (``download.Download``) is one file::

    QUEUED -> DOWNLOADING -> VERIFYING -> COMPLETED     or, at any time, FAILED or CANCELLED

It takes the lock of the file's key, opens the partial, and hashes the bytes in file order while they arrive. Two things
send it back to DOWNLOADING: wrong bytes (they go to quarantine, and a plain request fetches the file again, once), and
another version of the object (``validators``: every byte is dropped). Nothing is committed against a promised digest.

Before the first segment, ``comparison`` may find spans that older files seem to have. A thread copies them (``copier``)
while the rest is fetched. If the digest then differs, the copied spans are fetched, too.

A **segment** (``segment.Segment``) is one range of a file on one connection::

    unassigned -> running -> finished                   all its bytes were written, or the attempt failed
                          -> aborted -> finished        the thread noticed
                          -> aborted -> abandoned       the thread is stuck, and may not write any more

What is missing of a segment that is over is unassigned again. A running segment only shrinks: the scheduler splits it
for an idle connection, or cuts it when there are too many. After a failure, ``Recovery`` asks ``retry.decide`` once and
does what the decision says; nothing else interprets it.

Who may touch what, and from which thread:

* **Calling thread** (``engine.Engine.run``): starts downloads, looks for stalled and slow connections, and is the only
  thread that tells the bus and calls ``tick``. Every other thread puts its events into ``context.EventQueue``.
* **File threads** (``modelpm-file``): run one download after another, hash, commit, and restart a partial. Only they
  write ``FileState.hashed``.
* **Connection threads** (``modelpm-connection``): the scheduler's pool. Each fetches one segment at a time through the
  file's ``Worker``, and alone moves that segment's ``position``.
* **Copying threads** (``modelpm-copy``) and **comparison threads** (``modelpm-comparison``): write what an older file
  seems to have, and look at further places of it, for one file each.
* **Sync thread** (``modelpm-sync``): flushes and syncs partials, because a disk may take long.
* ``FileState``: only the scheduler writes it (except ``hashed``), under its own lock; every thread may read it. Nothing
  else takes the scheduler's lock. A segment has a lock of its own, used only by its methods; where both are held, the
  scheduler's comes first. ``Origins``, ``Validators`` and ``Limiter`` lock themselves.
"""

from modelpm.transfer.bandwidth import RateLimit
from modelpm.transfer.disk_space import check_space, check_unpacking
from modelpm.transfer.engine import Engine
from modelpm.transfer.likeness import SMALLEST
from modelpm.transfer.model import Fetch, Fetched, FileProgress, Options, Origin, RunProgress

__all__ = [
    "SMALLEST",
    "Engine",
    "Fetch",
    "Fetched",
    "FileProgress",
    "Options",
    "Origin",
    "RateLimit",
    "RunProgress",
    "check_space",
    "check_unpacking",
]
