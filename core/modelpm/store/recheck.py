"""Hash the blobs once more that were committed just before a reboot."""

from modelpm.api.events import Bus
from modelpm.api.stages import Work
from modelpm.store import Store
from modelpm.store.blobs.verify import Target, verify
from modelpm.store.gc import crash


def recheck(store: Store, bus: Bus) -> None:
    """Re-hash the blobs that the end of the last boot may have cost; verbs that change something call it first.

    A bad one is doubted from now on, so that the next verb that needs it repairs it.

    Args:
        store: Opened.
        bus: Gets a warning for each bad one.

    Raises:
        StoreError: The store cannot be written.
    """
    wanted = crash.suspects(store.layout)
    if not wanted:
        return
    targets = [Target(sha256, size) for sha256, size in wanted]
    with bus.during(Work.HASHING, "files from before the restart", total=sum(t.size for t in targets)) as hashing:
        problems = verify(store, targets, on_bytes=hashing.add)
    bad = [t.sha256 for t, problem in zip(targets, problems, strict=True) if problem]
    for sha256 in bad:
        store.doubt(sha256)
    crash.settle(store.layout)
    if bad:
        count = "1 file" if len(bad) == 1 else f"{len(bad)} files"
        bus.warn(f"the machine stopped before {count} reached the disk whole; `modelpm verify --repair` restores it")
