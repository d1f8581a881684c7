"""Hash the bytes of one file in order while they arrive; fetch again what was damaged on the way."""

from dataclasses import dataclass, field

from modelpm.api.types import Digest
from modelpm.errors import Code, StoreError
from modelpm.store.blobs.records import PIECE
from modelpm.transfer.context import RunContext
from modelpm.transfer.file_state import FileState
from modelpm.transfer.hashing import BLOCK, Digests

_REFETCHES = 2  # of bytes that were damaged: first from the same origin, because the disk may be at fault, then another
_PATIENCE = 0.25  # seconds to wait for bytes before the file's thread looks for a failure or a cancellation


@dataclass(slots=True)
class HashFollower:
    """Hashes what is present, up to the lowest missing offset. Used only by the file's own thread.

    Attributes:
        file: What is fetched.
        context: The state that the run shares; its scheduler has bytes fetched again.
        promised: The promised digest, or None.
        digests: Of the bytes hashed so far.
    """

    file: FileState
    context: RunContext
    promised: Digest | None
    digests: Digests = field(init=False)
    _size: int | None = field(init=False)
    _refetches: dict[int, int] = field(default_factory=dict)
    _buffer: memoryview = field(init=False)

    def __post_init__(self) -> None:
        self._size = self.file.size
        self.digests = Digests(self.promised, self.context.engine.hasher(self.promised, self._size))
        self._buffer = memoryview(bytearray(min(BLOCK, self._size or BLOCK)))

    def step(self) -> bool:
        """Hash what is present, or wait a moment for more; return whether that was all.

        Raises:
            StoreError: The disk does not return what was written.
        """
        file, digests = self.file, self.digests
        if digests.position == file.size and not self._refetch_damaged_tail():
            return True
        file.hashed = digests.position  # this may be less than before, where bytes are fetched again
        self._hash(file.partial.await_bytes(digests.position, _PATIENCE))
        return False

    def _hash(self, end: int) -> None:
        """Hash what is present up to ``end``, or up to the next prefix digest."""
        digests, buffer = self.digests, self._buffer
        begin, end = digests.position, min(end, digests.position + digests.room())
        try:
            with self.file.partial.reading() as read:
                while (at := digests.position) < end:
                    count = read(at, buffer[: end - at])
                    if not count:  # another program cut the file
                        self._refetch(at, end)
                        return
                    digests.feed(buffer[:count])
                    self.file.hashed = digests.position
        except StoreError as error:
            at = digests.position
            if error.code != Code.IO_ERROR or not self._may_refetch(at):
                raise
            self._refetch(at, min(end, at + len(buffer)))  # written again, they may land where the disk is sound
            return
        if begin < end and end % PIECE == 0:
            self._compare_prefix()

    def _compare_prefix(self) -> None:
        """Compare a prefix digest with the one an earlier run recorded, and fetch damaged bytes again."""
        digests, partial = self.digests, self.file.partial
        at, found = digests.position, digests.prefixes[-1]
        known = partial.prefix(at)
        if known is not None and known != found:
            if self._may_refetch(at):
                self._rewind()
                self._refetch(at - PIECE, at)
                return
            partial.forget_prefixes()  # fetched again and still different: the record is wrong
            known = None
        if known is None:
            partial.record_prefix(at, found)
        digests.keep()

    def _refetch_damaged_tail(self) -> bool:
        """Fetch the bytes after the last prefix digest again, where a wrong file is all from an earlier run."""
        digests, at = self.digests, self.digests.position
        partial = self.file.partial
        if self.promised is None or partial.resumed != at or at % PIECE == 0 or partial.copied:
            return False
        if digests.promised() == self.promised.hex or not self._may_refetch(at):
            return False
        self._rewind()
        self._refetch(digests.position, at)
        return True

    def _rewind(self) -> None:
        self.digests.rewind(self.context.engine.hasher(self.promised, self._size))

    def _may_refetch(self, at: int) -> bool:
        """Count how often the bytes before an offset are fetched again; the second time, other origins come first."""
        count = self._refetches.get(at, 0)
        self._refetches[at] = count + 1
        if count:
            self.file.fetcher.distrust_senders()
        return count < _REFETCHES

    def _refetch(self, start: int, stop: int) -> None:
        self.file.partial.drop(start, stop)
        self.context.scheduler.refetch(self.file, start, stop)
