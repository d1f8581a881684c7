"""What is to be fetched of one file, as the scheduler sees it."""

from dataclasses import dataclass, field
from typing import Protocol

from modelpm.store.partials.partial import Partial
from modelpm.store.partials.ranges import Ranges
from modelpm.transfer.segment import Task

_BACKLOG = 32 << 20  # bytes that may wait for the digest


class Fetcher(Protocol):
    """What fetches the ranges of one file; called on the threads of the pool, and never raises."""

    def run(self, work: "Work", task: Task, buffer: memoryview) -> None:
        """Fetch one range, as far as it goes."""
        ...

    def lost(self, work: "Work", task: Task) -> None:
        """Take note that a connection did not come back."""
        ...


@dataclass(slots=True, eq=False)
class Work:
    """What is to be fetched of one file.

    Attributes:
        partial: Where it goes.
        fetcher: Brings the ranges.
        size: Bytes of the whole file, or None while nobody knows.
        unassigned: What nobody is fetching.
        tasks: What somebody is.
        single: Whether the source serves only whole files: one connection, from the beginning.
        alone: Whether to fetch range after range over one connection.
        narrow: Whether to try with one connection, because the last attempt failed.
        not_before: No new attempt until then.
        closed: Whether nothing more shall be fetched.
        received: Bytes that came in attempts that are over.
        hashed: Up to where the digest has followed.
    """

    partial: Partial
    fetcher: Fetcher
    size: int | None
    unassigned: Ranges
    tasks: list[Task] = field(default_factory=list)
    single: bool = False
    alone: bool = False
    narrow: bool = False
    not_before: float = 0.0
    closed: bool = False
    received: int = 0
    hashed: int = 0

    def hasty(self) -> bool:
        """Whether so much waits for the digest that more would only take the processor from it."""
        hashed = self.hashed
        return self.partial.reach(hashed) - hashed > _BACKLOG

    def ready(self, now: float) -> bool:
        """Whether another connection may begin."""
        alone = self.single or self.alone or self.narrow or self.size is None
        return not self.closed and now >= self.not_before and not (alone and self.tasks)

    def so_far(self) -> int:
        """Return the bytes that came."""
        return self.received + sum(task.received for task in list(self.tasks))
