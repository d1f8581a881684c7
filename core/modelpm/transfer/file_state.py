"""The bytes of one file that are still to fetch, as the scheduler sees them."""

from dataclasses import dataclass, field
from typing import Protocol

from modelpm.store.partials.partial import Partial
from modelpm.store.partials.ranges import Ranges
from modelpm.transfer.segment import Segment

# Bytes that may wait for the digest. They are still in the page cache then, so that hashing does not read the disk; and
# where the processor is the limit, fetching more would only slow the digest down.
_BACKLOG = 32 << 20


class Fetcher(Protocol):
    """Fetches the segments of one file; called on the threads of the pool, and never raises."""

    def fetch_segment(self, file: "FileState", segment: Segment, buffer: memoryview) -> None:
        """Fetch one segment, as far as possible."""
        ...

    def lost(self, file: "FileState", segment: Segment) -> None:
        """Handle a connection that did not return."""
        ...

    def distrust_senders(self) -> None:
        """Prefer other origins than those that sent the bytes so far."""
        ...


@dataclass(slots=True, eq=False)
class FileState:
    """The bytes of one file still to fetch. The scheduler writes it, except ``hashed``; any thread may read it.

    Attributes:
        partial: Where the bytes go.
        fetcher: Fetches the segments.
        size: Bytes of the whole file, or None while it is unknown.
        unassigned: Ranges that no connection is fetching.
        segments: Ranges that connections are fetching.
        single_stream: Whether the source serves only whole files: one connection, from the first byte.
        sequential: Whether to fetch range after range over one connection.
        probing: Whether to use one connection until bytes arrive, because the last attempt failed.
        not_before: No new attempt starts before this time, by the monotonic clock.
        closed: Whether nothing more will be fetched.
        received: Bytes that segments received that are over.
        hashed: How far the digest has followed; the file's own thread writes it.
    """

    partial: Partial
    fetcher: Fetcher
    size: int | None
    unassigned: Ranges
    segments: list[Segment] = field(default_factory=list)
    single_stream: bool = False
    sequential: bool = False
    probing: bool = False
    not_before: float = 0.0
    closed: bool = False
    received: int = 0
    hashed: int = 0

    def hash_is_behind(self) -> bool:
        """Whether too many bytes wait to be hashed, so that fetching must pause."""
        hashed = self.hashed
        return self.partial.reach(hashed) - hashed > _BACKLOG

    def ready(self, now: float) -> bool:
        """Whether another connection may start."""
        one_connection = self.single_stream or self.sequential or self.probing or self.size is None
        return not self.closed and now >= self.not_before and not (one_connection and self.segments)

    def total_received(self) -> int:
        """Return the bytes that were received in this run."""
        return self.received + sum(segment.received for segment in list(self.segments))
