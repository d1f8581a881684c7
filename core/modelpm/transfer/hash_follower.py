"""Follow the bytes of one file with its digest, in order, as they come; what rots on the way is fetched again."""

from collections.abc import Callable
from dataclasses import dataclass, field

from modelpm.api.types import Digest
from modelpm.errors import Code, StoreError
from modelpm.store.blobs.records import PIECE
from modelpm.transfer.file_state import Work
from modelpm.transfer.hashing import BLOCK, Digests
from modelpm.transfer.scheduler import Scheduler

_REFETCHES = 2  # of bytes that rotted: from where they came first, then from elsewhere
_PATIENCE = 0.25  # seconds to wait for bytes before looking whether they are still to come


@dataclass(slots=True)
class Follower:
    """Takes in what is there, behind the lowest offset that is missing. Used by the file's own thread.

    Attributes:
        work: What is fetched.
        scheduler: Is told what must be fetched again.
        digests: Of what was taken in.
        wanted: What they should turn out to be, where somebody promised it.
        suspect: Makes other origins be preferred from now on.
    """

    work: Work
    scheduler: Scheduler
    digests: Digests
    wanted: Digest | None
    suspect: Callable[[], None]
    _refetched: dict[int, int] = field(default_factory=dict)
    _buffer: memoryview = field(init=False)

    def __post_init__(self) -> None:
        self._buffer = memoryview(bytearray(min(BLOCK, self.work.size or BLOCK)))

    def step(self) -> bool:
        """Take in what came, or wait a moment for it; return whether that was all.

        Raises:
            StoreError: The disk does not give back what was written.
        """
        work, digests = self.work, self.digests
        if digests.position == work.size and not self._rotten_at_the_end():
            return True
        work.hashed = digests.position  # which may be less than it was, where bytes are fetched again
        self._hash(work.partial.await_bytes(digests.position, _PATIENCE))
        return False

    def _hash(self, end: int) -> None:
        """Take in what is there up to ``end``, or up to the next prefix digest."""
        digests, buffer = self.digests, self._buffer
        begin, end = digests.position, min(end, digests.position + digests.room())
        try:
            with self.work.partial.reading() as read:
                while (at := digests.position) < end:
                    came = read(at, buffer[: end - at])
                    if not came:  # somebody cut the file behind our back
                        self._again(at, end)
                        return
                    digests.feed(buffer[:came])
                    self.work.hashed = digests.position
        except StoreError as error:
            at = digests.position
            if error.code != Code.IO_ERROR or not self._worth_another(at):
                raise
            self._again(at, min(end, at + len(buffer)))  # written anew, they may land where the disk is sound
            return
        if begin < end and end % PIECE == 0:
            self._compare()

    def _compare(self) -> None:
        """Hold a prefix digest against the one an earlier run saw: what rotted since is fetched again."""
        digests, partial = self.digests, self.work.partial
        at, found = digests.position, digests.prefixes[-1]
        known = partial.prefix(at)
        if known is not None and known != found:
            if self._worth_another(at):
                digests.rewind()
                self._again(at - PIECE, at)
                return
            partial.forget_prefixes()  # fetched anew and still different: the record is wrong
            known = None
        if known is None:
            partial.record_prefix(at, found)
        digests.keep()

    def _rotten_at_the_end(self) -> bool:
        """Have what stands behind the last prefix digest fetched again, where all of a wrong file is from before."""
        digests, at = self.digests, self.digests.position
        if self.wanted is None or self.work.partial.resumed != at or at % PIECE == 0:
            return False
        if digests.promised() == self.wanted.hex or not self._worth_another(at):
            return False
        digests.rewind()
        self._again(digests.position, at)
        return True

    def _worth_another(self, at: int) -> bool:
        """Count the times the bytes before an offset were fetched again; the second time from elsewhere."""
        count = self._refetched.get(at, 0)
        self._refetched[at] = count + 1
        if count:
            self.suspect()
        return count < _REFETCHES

    def _again(self, start: int, stop: int) -> None:
        self.work.partial.drop(start, stop)
        self.scheduler.add(self.work, start, stop)
