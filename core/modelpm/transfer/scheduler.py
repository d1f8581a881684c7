"""Who fetches what: ranges of all active files, one pool of connections.

Each file gets its ranges lowest first, so that its digest can follow. When nothing is left to give out, the largest
range under way is split, so that no connection idles while another has much to do.
"""

import mmap
import os
import threading
import time

from modelpm.store.partials.ranges import END, Ranges
from modelpm.transfer.concurrency import Width
from modelpm.transfer.file_state import Work
from modelpm.transfer.segment import Task

_ALIGN = 1 << 20
_SMALLEST = 8 << 20  # bytes of a range, where the file has more
_LARGEST = 64 << 20
_SPLIT = 2 << 20  # bytes that are worth a connection of their own
_SECONDS = 4.0  # that one range should take, so that asking for it costs nothing against it
_TINY = 1 << 20  # bytes that come faster than the answer to who has them
_AHEAD = 16 << 20  # bytes a connection that should be there to give out before another file is begun


class Scheduler:
    """Gives ranges to the threads of a pool that it lets grow as needed."""

    def __init__(self, jobs: int, buffer_bytes: int) -> None:
        lock = threading.RLock()
        # One sleeper is woken at a time, and wakes the next where there is more to do: a crowd that wakes for one
        # small file takes longer to lie down again than the file takes.
        self.changed = threading.Condition(lock)
        self._ended = threading.Condition(lock)
        self.width = Width(jobs, os.cpu_count() or 1)
        self._buffer_bytes = buffer_bytes
        self._works: list[Work] = []
        self._running = 0
        self._idle = 0
        self._threads = 0
        self._stopping = False
        self._received = 0  # by works that are over

    def offer(self, work: Work) -> None:
        """Let the pool fetch what is missing of a file."""
        with self.changed:
            self._works.append(work)
            self._staff()
            self.changed.notify()

    def close(self, work: Work) -> None:
        """Stop fetching a file; returns when its connections ended, or were left to themselves."""
        with self.changed:
            done = not work.closed and not self._stopping and work.partial.present >= (work.size or 0)
            work.closed = True
            if done:  # the last connection is about to end by itself, and can be used again then
                self._ended.wait_for(lambda: not work.tasks, 0.2)
        self.halt(work, seconds=0.5)
        with self.changed:
            if work in self._works:
                self._works.remove(work)
                self._received += work.received

    def halt(self, work: Work, *, seconds: float) -> None:
        """Abort the connections of a file and wait for their end, so long and no longer."""
        tasks = list(work.tasks)
        for task in tasks:
            task.abort("")
        with self.changed:
            self._ended.wait_for(lambda: not work.tasks, seconds)
        for task in tasks:
            self.abandon(work, task)

    def add(self, work: Work, start: int, stop: int) -> None:
        """Have bytes fetched again."""
        with self.changed:
            work.unassigned.add(start, stop)
            self._staff()
            self.changed.notify()

    def reset(self, work: Work, size: int | None) -> None:
        """Have everything fetched again; no connection may be under way."""
        with self.changed:
            work.size, work.closed = size, False
            work.unassigned = Ranges([(0, END if size is None else size)])
            self.changed.notify()

    def learn(self, work: Work, size: int) -> None:
        """Take note of the size of a file: from now on others may help."""
        with self.changed:
            work.size = size
            for task in work.tasks:
                with task.lock:
                    task.stop = min(task.stop, size)
            work.unassigned.remove(size, END)
            self.changed.notify()

    def delay(self, work: Work, seconds: float, *, narrow: bool) -> None:
        """Begin no new attempt for so long, and then with one connection if ``narrow``."""
        with self.changed:
            work.not_before = max(work.not_before, time.monotonic() + seconds)
            work.narrow = narrow
            self.changed.notify()

    def widen(self, work: Work) -> None:
        """Let all connections help again: bytes come."""
        with self.changed:
            work.narrow = False
            self.changed.notify()

    def observe(self, now: float) -> int:
        """Look at the throughput and adapt to it; return the bytes received so far."""
        with self.changed:
            received = self._received + sum(work.so_far() for work in self._works)
            self.width.observe(now, received, running=self._running, worked=time.process_time())
            self._trim()
            self._staff()
            self.changed.notify()
            return received

    def _trim(self) -> None:
        """Let connections that are too many end soon; what they leave is given to the others."""
        under_way = [(work, task) for work in self._works for task in work.tasks]
        lasting = [(w, task) for w, task in under_way if not w.single and _ALIGN < task.left < END - task.position]
        excess = self._running - self._limit() - (len(under_way) - len(lasting))
        for work, task in sorted(lasting, key=lambda pair: -pair[1].left)[: max(0, excess)]:
            stop = task.stop
            if (begin := task.cut(_ALIGN)) is not None:
                work.unassigned.add(begin, stop)

    def hungry(self) -> bool:
        """Whether another file should be begun, so that no connection runs out of work."""
        with self.changed:
            now = time.monotonic()
            ready = [work for work in self._works if work.ready(now)]
            waiting = sum(work.unassigned.total for work in ready if work.size is not None)
            return len(self._works) < 2 or waiting < _AHEAD * self.width.target  # noqa: PLR2004 - see _AHEAD

    def running(self) -> list[tuple[Work, Task]]:
        """Return what is under way."""
        with self.changed:
            return [(work, task) for work in self._works for task in work.tasks]

    def abandon(self, work: Work, task: Task) -> None:
        """Go on without a thread that does not come back: what it had left is given to others, it may write no more."""
        with task.lock:
            if task.finished:
                return
            task.finished = True
            task.aborted = task.aborted or ""
        with self.changed:
            self._threads -= 1
            self._put_back(work, task)
        if task.aborted:
            work.fetcher.lost(work, task)

    def stop(self) -> None:
        """Let every thread end after what it is doing."""
        with self.changed:
            self._stopping = True
            self.changed.notify_all()

    def _staff(self) -> None:
        """Begin threads while there is work that no idle one could take."""
        now = time.monotonic()
        if self._stopping or not any(w.ready(now) and (w.unassigned or w.tasks) for w in self._works):
            return
        if not self._idle and self._threads < self._limit():
            self._threads += 1
            threading.Thread(target=self._serve, name="modelpm-connection", daemon=True).start()

    def _serve(self) -> None:
        buffer = memoryview(mmap.mmap(-1, self._buffer_bytes))  # takes memory only as far as it is used
        while (taken := self._take()) is not None:
            work, task = taken
            work.fetcher.run(work, task, buffer)
            with task.lock:
                abandoned, task.finished = task.finished, True
            if abandoned:
                return
            with self.changed:
                self._put_back(work, task)

    def _take(self) -> tuple[Work, Task] | None:
        with self.changed:
            while not self._stopping:
                now = time.monotonic()
                picked = self._pick(now) if self._running < self._limit() else None
                if picked is not None:
                    self._running += 1
                    self._staff()
                    if picked[1].left > _SPLIT or any(work.unassigned for work in self._works):
                        self.changed.notify()
                    return picked
                self._idle += 1
                self.changed.wait(self._nap(now))
                self._idle -= 1
            return None

    def _limit(self) -> int:
        """Return how many connections may be used: all that are allowed where most of their time is asking."""
        waiting = [work.unassigned.total for work in self._works if work.unassigned]
        return self.width.wide if waiting and max(waiting) <= _TINY else self.width.target

    def _nap(self, now: float) -> float:
        """Return the seconds until some work may be ready again."""
        return min((w.not_before - now for w in self._works if w.not_before > now), default=1.0)

    def _pick(self, now: float) -> tuple[Work, Task] | None:
        ready = [work for work in self._works if work.ready(now)]
        waiting = [work for work in ready if work.unassigned]
        if waiting:
            work = min(waiting, key=lambda w: len(w.tasks))
            task = self._next(work)
            work.tasks.append(task)
            return work, task
        return self._steal(ready)

    def _next(self, work: Work) -> Task:
        if work.single:
            work.unassigned.remove(0, END)
            return Task(0, END if work.size is None else work.size)
        found = work.unassigned.first(END if work.size is None else self._length(work))
        assert found is not None  # noqa: S101 - only works with something unassigned come here
        work.unassigned.remove(*found)
        return Task(*found)

    def _length(self, work: Work) -> int:
        """Return how long a range should be: some seconds' worth, but so that all connections get a share."""
        each = self.width.rate / max(1, self._running)
        share = work.unassigned.total // max(1, self.width.target)
        length = int(min(each * _SECONDS, share, _LARGEST))
        return max(_SMALLEST, length - length % _ALIGN)

    def _steal(self, ready: list[Work]) -> tuple[Work, Task] | None:
        under_way = [(work, task) for work in ready for task in work.tasks if task.stop != END]
        if not under_way:
            return None
        work, task = max(under_way, key=lambda pair: pair[1].left)
        stop = task.stop
        middle = task.split(_SPLIT, _ALIGN)
        if middle is None:
            return None
        mine = Task(middle, stop)
        work.tasks.append(mine)
        return work, mine

    def _put_back(self, work: Work, task: Task) -> None:
        if task in work.tasks:
            work.tasks.remove(task)
            work.received += task.received
            self._running -= 1
            if not work.closed:
                for start, stop in work.partial.gaps(
                    task.start, min(task.stop, END if work.size is None else work.size)
                ):
                    work.unassigned.add(start, stop)
            if work.unassigned:
                self.changed.notify()
            self._ended.notify_all()
