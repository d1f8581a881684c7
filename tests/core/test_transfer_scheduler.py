"""The scheduler: how many connections a file gets, and when it gets no more."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from modelpm.api.types import Stream
from modelpm.store.partials.journal import Header
from modelpm.store.partials.partial import Partial
from modelpm.store.partials.ranges import Ranges
from modelpm.transfer.file_state import FileState
from modelpm.transfer.scheduler import Scheduler
from modelpm.transfer.segment import Segment
from tests.support.memory_source import Answer, MemorySource, Request
from tests.support.transfers import Trial, noise, pinned

KEY = "ab" * 32
SIZE = 64 << 20


class Waiting:
    """Fetches nothing until the segment is aborted; the first thread then stays a moment longer than the others."""

    def __init__(self) -> None:
        self.begun: list[Segment] = []
        self.changed = threading.Condition()

    def fetch_segment(self, _file: FileState, segment: Segment, _buffer: memoryview) -> None:
        aborted = threading.Event()
        with self.changed:
            self.begun.append(segment)
            is_first = len(self.begun) == 1
            self.changed.notify_all()
        if segment.opened(Stream(iter(()), segment.start, SIZE, abort=aborted.set)):
            aborted.wait(5)
        if is_first:
            self.wait_for(lambda: any(it.aborted is None for it in self.begun), 0.3)

    def lost(self, _file: FileState, _segment: Segment) -> None:
        """Nothing is left to do."""

    def distrust_senders(self) -> None:
        """Nothing was sent."""

    def wait_for(self, condition: Callable[[], bool], seconds: float) -> bool:
        with self.changed:
            return self.changed.wait_for(condition, seconds)


def test_a_file_that_is_removed_gets_no_connection_any_more(tmp_path: Path) -> None:
    scheduler, fetcher, partial = Scheduler(4, 1 << 20), Waiting(), Partial(tmp_path / KEY, Header(KEY, SIZE, None))
    partial.open()
    file = FileState(partial, fetcher, SIZE, Ranges([(0, SIZE)]))
    scheduler.add_file(file)
    assert fetcher.wait_for(lambda: len(fetcher.begun) == 4, 10)
    scheduler.remove_file(file)
    assert [segment.aborted for segment in fetcher.begun] == [""] * 4
    assert scheduler.running() == []
    scheduler.stop()
    partial.close()


def test_several_connections_fetch_one_file_at_once(tmp_path: Path) -> None:
    data, second, together = noise(12 << 20), threading.Event(), list[bool]()

    def once_there_are_two(body: bytes) -> Iterator[bytes]:
        together.append(second.wait(5))
        yield body

    def fault(request: Request, whole: bytes) -> Answer | None:
        if request.number:
            second.set()
            return None
        return Answer(once_there_are_two(whole[request.start : request.stop]), request.start, len(whole))

    trial, source = Trial(tmp_path / "store"), MemorySource({"w": data}, fault)
    fetched = trial.fetch(pinned("w", data, [source.origin("w")]), idle_timeout=20.0)
    assert trial.bytes_of(fetched) == data
    assert together == [True]
