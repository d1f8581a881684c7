"""Interval arithmetic: which bytes of a file are there, and which are missing. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

END = 1 << 62
"""Behind every byte of every file, and safe to add; stands for the end of a file of unknown size."""


class Ranges:
    """A set of offsets, kept as sorted, disjoint half-open intervals that do not touch each other.

    Not thread-safe: threads that share one hold a lock.
    """

    __slots__ = ("_starts", "_stops", "total")

    total: int
    """How many offsets are in the set."""

    def __init__(self, spans: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []
        self.total = 0
        for start, stop in spans:
            self.add(start, stop)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield the intervals as ``(start, stop)``, lowest first."""
        return iter(list(zip(self._starts, self._stops, strict=True)))

    def __bool__(self) -> bool:
        return bool(self._starts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranges) and (self._starts, self._stops) == (other._starts, other._stops)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"Ranges({list(self)})"

    def add(self, start: int, stop: int) -> int:
        """Put ``start`` to ``stop`` (exclusive) in; return how many offsets are new."""
        if start >= stop:
            return 0
        first = bisect_left(self._stops, start)  # the first interval that touches
        last = bisect_right(self._starts, stop)  # the first one after it that does not
        inside = 0
        for i in range(first, last):
            inside += min(stop, self._stops[i]) - max(start, self._starts[i])
        low = min(start, self._starts[first]) if first < last else start
        high = max(stop, self._stops[last - 1]) if first < last else stop
        self._starts[first:last] = [low]
        self._stops[first:last] = [high]
        new = stop - start - inside
        self.total += new
        return new

    def remove(self, start: int, stop: int) -> int:
        """Take ``start`` to ``stop`` (exclusive) out; return how many offsets were there."""
        if start >= stop:
            return 0
        first = bisect_right(self._stops, start)
        last = bisect_left(self._starts, stop)
        gone = 0
        rest: list[tuple[int, int]] = []
        for a, b in zip(self._starts[first:last], self._stops[first:last], strict=True):
            gone += min(stop, b) - max(start, a)
            rest += [(x, y) for x, y in ((a, min(b, start)), (max(a, stop), b)) if x < y]
        if first < last:
            self._starts[first:last] = [a for a, _ in rest]
            self._stops[first:last] = [b for _, b in rest]
        self.total -= gone
        return gone

    def end(self, offset: int) -> int:
        """Return where the interval that holds ``offset`` ends, or ``offset`` itself where none does."""
        i = bisect_right(self._starts, offset) - 1
        return max(offset, self._stops[i]) if i >= 0 else offset

    def gaps(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield what is missing between ``start`` and ``stop`` (exclusive), lowest first."""
        i = bisect_right(self._stops, start)
        while start < stop:
            if i == len(self._starts) or self._starts[i] >= stop:
                yield start, stop
                return
            if start < self._starts[i]:
                yield start, self._starts[i]
            start = self._stops[i]
            i += 1

    def first(self, length: int) -> tuple[int, int] | None:
        """Return the lowest offsets, at most ``length`` of one interval, or None of an empty set."""
        if not self._starts:
            return None
        return self._starts[0], min(self._stops[0], self._starts[0] + length)

    def copy(self) -> "Ranges":
        """Return a set of its own with the same offsets."""
        other = Ranges()
        other._starts, other._stops, other.total = self._starts.copy(), self._stops.copy(), self.total
        return other
