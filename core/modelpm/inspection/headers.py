"""Read what the headers of remote files say, by few ranges: 64 KiB a file, within a bound for all of them together."""

import threading
from dataclasses import dataclass, field
from typing import Final

from modelpm.api.cursor import BoundError, MalformedError
from modelpm.api.inspection import Facts
from modelpm.api.types import RemoteFile
from modelpm.errors import ModelpmError
from modelpm.inspection.files import remote_range
from modelpm.inspection.inspectors import Inspectors
from modelpm.inspection.remembered import Remembered
from modelpm.plugins.kinds.source import GuardedSource

A_FILE: Final = 64 << 10
BRIEF: Final = 16 << 20
WHOLE: Final = 256 << 20
"""Bytes that are read: of each file, of all together, and of all together where whole headers are asked for."""


@dataclass(slots=True)
class Budget:
    """The bytes that may still be fetched. Thread-safe.

    Attributes:
        left: How many.
    """

    left: int
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, count: int) -> None:
        """Spend some.

        Raises:
            BoundError: There are fewer.
        """
        with self._lock:
            if count > self.left:
                raise BoundError("the headers have more bytes than modelpm reads")
            self.left -= count


class Ranged:
    """A file at its source, of which the first 64 KiB are fetched once and the rest by further ranges."""

    def __init__(self, source: GuardedSource, file: RemoteFile, location: str, budget: Budget) -> None:
        """Fetch nothing yet; the file's size is known."""
        self._source, self._file, self._location, self._budget = source, file, location, budget
        self._first = b""

    @property
    def size(self) -> int:
        """Return how many bytes there are."""
        return self._file.size or 0

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes from ``offset``: ``length`` of them, or those up to the end.

        Raises:
            BoundError: The budget is spent.
            ModelpmError: The source fails.
        """
        if not self._first:
            self._first = self._fetch(0, min(A_FILE, self.size))
        stop = min(offset + length, self.size)
        known = self._first[offset:stop]
        if offset + len(known) >= stop:
            return known
        return known + self._fetch(offset + len(known), stop - offset - len(known))

    def _fetch(self, start: int, count: int) -> bytes:
        self._budget.take(count)
        return remote_range(self._source, self._file, self._location, start, count)


@dataclass(frozen=True, slots=True)
class Headers:
    """Reads facts of remote files.

    Attributes:
        inspectors: They read.
        budget: The bytes for all files.
        remembered: What was read lately; also says whether headers are read whole, with their tensor tables.
    """

    inspectors: Inspectors
    budget: Budget
    remembered: Remembered

    def read(self, source: GuardedSource, file: RemoteFile, location: str) -> Facts | None:
        """Return what a file's header says; None if that cannot be had, whatever the reason.

        Args:
            source: Serves the file.
            file: As its source lists it.
            location: Where it is.
        """
        if (known := self.remembered.find(file)) is not None:
            return known
        try:
            found = self.inspectors.facts(Ranged(source, file, location, self.budget), whole=self.remembered.whole)
        except (ModelpmError, MalformedError):
            return None
        if found is not None:
            self.remembered.keep(file, found)
        return found

    def text(self, source: GuardedSource, file: RemoteFile, location: str) -> bytes:
        """Return a small file; empty if it cannot be had, or has more than 64 KiB."""
        try:
            return Ranged(source, file, location, self.budget).read(0, A_FILE) if (file.size or 0) <= A_FILE else b""
        except (ModelpmError, MalformedError):
            return b""
