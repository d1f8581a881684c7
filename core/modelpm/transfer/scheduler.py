"""Assign segments of all active files to one pool of connections.

Each file gets its ranges lowest first, so that its digest can follow. When everything is assigned, the largest running
segment is split, so that no connection idles while another has much to do.

The scheduler's lock and the file states belong to it: everything else calls its methods, from any thread.
"""

import mmap
import os
import threading
import time

from modelpm.store.partials.ranges import END, Ranges
from modelpm.transfer.concurrency import Concurrency
from modelpm.transfer.file_state import FileState
from modelpm.transfer.segment import Segment

_ALIGN = 1 << 20  # segments start on whole MiB, as the journal records them: fewer and longer extents
_SMALLEST = 8 << 20  # bytes of a segment where the file has more: a request costs a round trip, and TCP starts slowly
_LARGEST = 64 << 20  # bytes of a segment: the digest, which follows the lowest gap, must not wait for a distant one
_SPLIT = 2 << 20  # bytes that are worth a connection of their own; less arrives before the second answer does
_SECONDS = 4.0  # that one segment should take, so that the round trip of its request costs next to nothing
_TINY = 1 << 20  # bytes that arrive faster than the answer to the request for them
_AHEAD = 16 << 20  # bytes to assign for each connection; with fewer, another file is started before they run out
_FEW_FILES = 2  # files that are always under way: one is fetched while the other one is verified and committed
_LINGER = 0.2  # seconds that a closed file's last connection gets to end by itself, so that it can be reused
_ABORT = 0.5  # seconds that aborted connections get to return before the scheduler abandons them
_DOZE = 1.0  # seconds an idle thread sleeps at most: a wake-up that was lost costs no more than that


class Scheduler:
    """Assigns segments to the threads of a pool that grows as needed. Thread-safe."""

    def __init__(self, jobs: int, buffer_bytes: int) -> None:
        """Start no thread yet.

        Args:
            jobs: Connections at most.
            buffer_bytes: Memory of each.
        """
        lock = threading.RLock()
        # One sleeper is woken at a time, and wakes the next where there is more to do: a crowd that wakes for one small
        # file takes longer to fall asleep again than the file takes.
        self._changed = threading.Condition(lock)
        self._ended = threading.Condition(lock)
        self._concurrency = Concurrency(jobs, os.cpu_count() or 1)
        self._buffer_bytes = buffer_bytes
        self._files: list[FileState] = []
        self._running = 0
        self._idle = 0
        self._threads = 0
        self._stopping = False
        self._received = 0  # for files that were removed

    # --- the life of a file ---

    def add_file(self, file: FileState) -> None:
        """Add a file, so that the pool fetches what is missing of it."""
        with self._changed:
            self._files.append(file)
            self._start_thread()
            self._changed.notify()

    def close_file(self, file: FileState) -> None:
        """Assign nothing more of a file; its running segments finish or fail by themselves."""
        with self._changed:
            file.closed = True

    def remove_file(self, file: FileState) -> None:
        """Stop fetching a file; return when its connections ended, or were abandoned."""
        with self._changed:
            done = not file.closed and not self._stopping and file.partial.present >= (file.size or 0)
            file.closed = True
            if done:
                self._ended.wait_for(lambda: not file.segments, _LINGER)
        self.abort_file(file, seconds=_ABORT)
        with self._changed:
            if file in self._files:
                self._files.remove(file)
                self._received += file.received

    def abort_file(self, file: FileState, *, seconds: float) -> None:
        """Abort the connections of a file; abandon those that have not ended after so long."""
        segments = list(file.segments)
        for segment in segments:
            segment.abort("")
        with self._changed:
            self._ended.wait_for(lambda: not file.segments, seconds)
        for segment in segments:
            self.abandon(file, segment)

    def reset_file(self, file: FileState, size: int | None) -> None:
        """Have the whole file fetched again; no connection may be under way."""
        with self._changed:
            file.size, file.closed = size, False
            file.unassigned = Ranges([(0, END if size is None else size)])
            self._changed.notify()

    def refetch(self, file: FileState, start: int, stop: int) -> None:
        """Have bytes fetched again."""
        with self._changed:
            file.unassigned.add(start, stop)
            self._start_thread()
            self._changed.notify()

    def set_size(self, file: FileState, size: int) -> None:
        """Record the size of a file: from now on more connections may help."""
        with self._changed:
            file.size = size
            for segment in file.segments:
                segment.limit(size)
            file.unassigned.remove(size, END)
            self._changed.notify()

    # --- how many connections, and when ---

    def throttled(self, now: float) -> None:
        """Use half as many connections: a server said that there are too many."""
        with self._changed:
            self._concurrency.throttled(now)

    def single_stream(self, file: FileState, *, on: bool = True) -> None:
        """Fetch a file over one connection from the first byte, or, where off, in ranges; what runs is not touched."""
        with self._changed:
            file.single_stream = on

    def abort_for_single_stream(self, file: FileState, segment: Segment) -> None:
        """Abort all connections of a file, ``segment`` last, and fetch it in one stream."""
        with self._changed:
            file.single_stream = True
            others = [other for other in file.segments if other is not segment]
        for other in others:
            other.abort("")
        segment.abort("")

    def sequential(self, file: FileState) -> None:
        """Fetch a file range after range, over one connection."""
        with self._changed:
            file.single_stream, file.sequential = False, True

    def delay(self, file: FileState, seconds: float, *, probing: bool) -> None:
        """Start no new attempt for so long, and then use one connection if ``probing``."""
        with self._changed:
            file.not_before = max(file.not_before, time.monotonic() + seconds)
            file.probing = probing
            self._changed.notify()

    def end_probing(self, file: FileState) -> None:
        """Note that bytes arrive: all connections may help again."""
        with self._changed:
            file.probing = False
            self._changed.notify()

    def is_only_segment(self, file: FileState, segment: Segment) -> bool:
        """Whether no other connection of the file is open."""
        with self._changed:
            return all(other is segment for other in file.segments)

    # --- called by the engine ---

    def measure(self, now: float) -> int:
        """Measure the throughput and adapt to it; return the bytes received so far."""
        with self._changed:
            received = self._received + sum(file.total_received() for file in self._files)
            self._concurrency.observe(now, received, running=self._running, worked=time.process_time())
            self._cut_surplus()
            self._start_thread()
            self._changed.notify()
            return received

    def wants_file(self) -> bool:
        """Whether another file should be started, so that no connection runs out of work."""
        with self._changed:
            now = time.monotonic()
            ready = [file for file in self._files if file.ready(now)]
            waiting = sum(file.unassigned.total for file in ready if file.size is not None)
            return len(self._files) < _FEW_FILES or waiting < _AHEAD * self._concurrency.target

    def running(self) -> list[tuple[FileState, Segment]]:
        """Return every running segment with its file."""
        with self._changed:
            return [(file, segment) for file in self._files for segment in file.segments]

    def abandon(self, file: FileState, segment: Segment) -> None:
        """Continue without a thread that does not return: it may not write any more, and others fetch the rest."""
        if not segment.abandon():
            return
        with self._changed:
            self._threads -= 1
            self._put_back(file, segment)
        if segment.aborted:
            file.fetcher.lost(file, segment)

    def stop(self) -> None:
        """Tell every thread to end after its current segment."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    # --- the pool; the lock is held, except in _serve ---

    def _cut_surplus(self) -> None:
        """End surplus connections soon; what they leave goes to the others."""
        under_way = [(file, segment) for file in self._files for segment in file.segments]
        can_be_cut = [(f, s) for f, s in under_way if not f.single_stream and _ALIGN < s.left < END - s.position]
        surplus = self._running - self._limit() - (len(under_way) - len(can_be_cut))
        for file, segment in sorted(can_be_cut, key=lambda pair: -pair[1].left)[: max(0, surplus)]:
            stop = segment.stop
            if (begin := segment.cut(_ALIGN)) is not None:
                file.unassigned.add(begin, stop)

    def _start_thread(self) -> None:
        """Start a thread where there is work and no thread is idle."""
        now = time.monotonic()
        if self._stopping or not any(f.ready(now) and (f.unassigned or f.segments) for f in self._files):
            return
        if not self._idle and self._threads < self._limit():
            self._threads += 1
            threading.Thread(target=self._serve, name="modelpm-connection", daemon=True).start()

    def _serve(self) -> None:
        buffer = memoryview(mmap.mmap(-1, self._buffer_bytes))  # takes memory only as far as it is used
        while (taken := self._take()) is not None:
            file, segment = taken
            file.fetcher.fetch_segment(file, segment, buffer)
            if not segment.finish():
                return
            with self._changed:
                self._put_back(file, segment)

    def _take(self) -> tuple[FileState, Segment] | None:
        with self._changed:
            while not self._stopping:
                now = time.monotonic()
                picked = self._pick(now) if self._running < self._limit() else None
                if picked is not None:
                    self._running += 1
                    self._start_thread()
                    if picked[1].left > _SPLIT or any(file.unassigned for file in self._files):
                        self._changed.notify()
                    return picked
                self._idle += 1
                self._changed.wait(self._seconds_until_ready(now))
                self._idle -= 1
            return None

    def _limit(self) -> int:
        """Return how many connections may be open: all that are allowed where they mostly wait for answers."""
        waiting = [file.unassigned.total for file in self._files if file.unassigned]
        tiny = waiting and max(waiting) <= _TINY
        return self._concurrency.for_small_files if tiny else self._concurrency.target

    def _seconds_until_ready(self, now: float) -> float:
        return min((f.not_before - now for f in self._files if f.not_before > now), default=_DOZE)

    def _pick(self, now: float) -> tuple[FileState, Segment] | None:
        ready = [file for file in self._files if file.ready(now)]
        waiting = [file for file in ready if file.unassigned]
        if waiting:
            file = min(waiting, key=lambda f: len(f.segments))
            segment = self._next_segment(file)
            file.segments.append(segment)
            return file, segment
        return self._split_largest(ready)

    def _next_segment(self, file: FileState) -> Segment:
        if file.single_stream:
            file.unassigned.remove(0, END)
            return Segment(0, END if file.size is None else file.size)
        found = file.unassigned.first(END if file.size is None else self._length(file))
        assert found is not None  # noqa: S101 - only files with something unassigned come here
        file.unassigned.remove(*found)
        return Segment(*found)

    def _length(self, file: FileState) -> int:
        """Return how long a segment should be: some seconds' worth, but so that all connections get a share."""
        each = self._concurrency.rate / max(1, self._running)
        share = file.unassigned.total // max(1, self._concurrency.target)
        length = int(min(each * _SECONDS, share, _LARGEST))
        return max(_SMALLEST, length - length % _ALIGN)

    def _split_largest(self, ready: list[FileState]) -> tuple[FileState, Segment] | None:
        under_way = [(file, segment) for file in ready for segment in file.segments if segment.stop != END]
        if not under_way:
            return None
        file, largest = max(under_way, key=lambda pair: pair[1].left)
        stop = largest.stop
        middle = largest.split(_SPLIT, _ALIGN)
        if middle is None:
            return None
        segment = Segment(middle, stop)
        file.segments.append(segment)
        return file, segment

    def _put_back(self, file: FileState, segment: Segment) -> None:
        if segment in file.segments:
            file.segments.remove(segment)
            file.received += segment.received
            self._running -= 1
            if not file.closed:
                end = min(segment.stop, END if file.size is None else file.size)
                for start, stop in file.partial.gaps(segment.start, end):
                    file.unassigned.add(start, stop)
            if file.unassigned:
                self._changed.notify()
            self._ended.notify_all()
