"""How much a kill or a power cut may cost: 8 MiB or half a second of what was written, 64 MiB or 2 s of what counts."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelpm.disk import system
from modelpm.store.partials.journal import Contents, Header, Journal, Kind, decode, encode, encode_header, read
from modelpm.store.partials.partial import Partial, progress
from modelpm.store.partials.ranges import Ranges
from tests.support.memory_source import Answer, MemorySource, Request
from tests.support.transfers import Trial, noise, pinned, sha256

MIB = 1 << 20
KEY = "ab" * 32
PROMISED = "sha256:" + "cd" * 32
MEDIUM = 1 << 50
Steps = st.lists(
    st.tuples(
        st.sampled_from([Kind.EXTENT, Kind.EXTENT, Kind.DROP, Kind.SYNC]), st.integers(0, 4000), st.integers(1, 64)
    ),
    max_size=40,
)


class Clock:
    """What :func:`time.monotonic` says, until it is told otherwise."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "monotonic", made)
    return made


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[int | None], Partial]]:
    made: list[Partial] = []

    def begin(size: int | None) -> Partial:
        made.append(Partial(tmp_path / KEY, Header(KEY, size, PROMISED)))
        made[-1].open()
        return made[-1]

    yield begin
    for partial in made:
        partial.close()


def put(partial: Partial, offset: int, size: int) -> None:
    partial.write(offset, memoryview(bytes(size)))


def counted(folder: Path, boot: str) -> int:
    """Return the bytes that count in a boot."""
    found = decode(read(folder / "journal"), boot)
    return found.extents.total if found else 0


@settings(max_examples=100)  # mutants are aimed at it
@given(Steps)
def test_extents_of_real_sizes_count_after_another_boot_only_up_to_the_last_mark(
    steps: list[tuple[Kind, int, int]],
) -> None:
    header = Header(KEY, MEDIUM, PROMISED, boot="boot-1")
    raw, now, marked = encode_header(header), Ranges(), Ranges()
    for kind, offset, length in steps:
        if kind is Kind.SYNC:
            raw, marked = raw + encode(kind, 0, len(raw)), now.copy()
            continue
        raw += encode(kind, offset * MIB, length * MIB)
        (now.add if kind is Kind.EXTENT else now.remove)(offset * MIB, (offset + length) * MIB)
    for boot, expected in (("boot-1", now), ("boot-2", marked), ("", marked)):
        found = decode(raw, boot)
        assert found is not None
        assert found.extents == expected


@pytest.mark.parametrize("synced", [True, False])
def test_a_journal_that_is_begun_vouches_for_extents_only_where_they_are_on_the_medium(
    tmp_path: Path, synced: bool
) -> None:
    header = Header(KEY, MEDIUM, PROMISED, boot="boot-1")
    journal = Journal(tmp_path / "journal")
    journal.start(Contents(header, Ranges([(0, 64 * MIB)])), synced=synced)
    journal.append(Kind.EXTENT, 128 * MIB, 64 * MIB)
    journal.close()
    assert counted(tmp_path, "boot-1") == 128 * MIB
    assert counted(tmp_path, "boot-2") == (64 * MIB if synced else 0)


def test_bytes_written_after_the_last_mark_do_not_count_after_a_power_cut(
    tmp_path: Path, opened: Callable[[int | None], Partial], monkeypatch: pytest.MonkeyPatch
) -> None:
    partial = opened(64 * MIB)
    put(partial, 0, 6 * MIB)
    partial.sync()
    put(partial, 16 * MIB, 6 * MIB)
    partial.close()
    assert counted(tmp_path / KEY, system.boot_id()) == 12 * MIB
    monkeypatch.setattr(system, "boot_id", lambda: "another boot")
    assert opened(64 * MIB).gaps(0, 64 * MIB) == [(6 * MIB, 64 * MIB)]


@pytest.mark.parametrize("size", [None, 100 * MIB, 1 << 40, 1 << 50])
def test_whatever_the_size_at_most_8_mib_are_not_recorded(
    tmp_path: Path,
    opened: Callable[[int | None], Partial],
    clock: Clock,
    size: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert clock.now
    monkeypatch.setattr(system, "reserve", lambda _fd, _size: False)
    partial = opened(size)
    for number in range(1, 25):
        put(partial, (number - 1) * MIB, MIB)
        assert progress(tmp_path / KEY) >= (number - 8) * MIB
    assert partial.present == 24 * MIB


def test_what_is_too_little_for_a_record_is_recorded_after_half_a_second(
    tmp_path: Path, opened: Callable[[int | None], Partial], clock: Clock
) -> None:
    partial = opened(100 * MIB)
    put(partial, 0, 1000)
    clock.now += 0.5
    partial.flush()
    assert progress(tmp_path / KEY) == 1000
    put(partial, 1000, 1000)
    clock.now += 0.5
    partial.flush()
    assert progress(tmp_path / KEY) == 2000


def test_a_mark_is_due_after_64_mib(opened: Callable[[int | None], Partial], clock: Clock) -> None:
    partial = opened(200 * MIB)
    assert clock.now
    for round_ in range(2):
        for number in range(15):
            put(partial, (round_ * 16 + number) * 4 * MIB, 4 * MIB)
            assert not partial.sync_is_due(), f"after {number + 1} times 4 MiB"
        put(partial, (round_ * 16 + 15) * 4 * MIB, 4 * MIB)
        assert partial.sync_is_due()
        partial.sync()
        assert not partial.sync_is_due()


def test_a_mark_is_due_after_2_s_in_which_something_came(
    tmp_path: Path, opened: Callable[[int | None], Partial], clock: Clock
) -> None:
    partial = opened(200 * MIB)
    clock.now += 60
    assert not partial.sync_is_due(), "nothing was written"
    partial.sync()
    put(partial, 0, MIB)
    clock.now += 1.9
    assert not partial.sync_is_due()
    clock.now += 0.1
    assert partial.sync_is_due()
    partial.sync()
    assert counted(tmp_path / KEY, "another boot") == MIB
    assert not partial.sync_is_due()


def until(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def test_a_run_records_and_marks_what_came_while_nothing_more_comes(tmp_path: Path) -> None:
    """Far less than a record or a mark is about comes, and then its sender waits: only time can be the reason."""
    data, seen = noise(MIB), threading.Event()

    def begun(request: Request, whole: bytes) -> Answer:
        def pieces() -> Iterator[bytes]:
            yield whole[request.start : request.start + 1000]
            seen.wait(30)
            yield whole[request.start + 1000 : request.stop]

        return Answer(pieces(), request.start, len(whole))

    source, trial = MemorySource({"w": data}, fault=begun), Trial(tmp_path / "store")
    fetch = pinned("w", data, [source.origin("w")])
    thread = threading.Thread(target=trial.run, args=(fetch,), kwargs={"idle_timeout": 60.0, "min_rate": 0, "jobs": 1})
    thread.start()
    folder = tmp_path / "store" / "partial" / sha256(data)
    try:
        assert until(lambda: progress(folder) == 1000)
        recorded = time.monotonic()
        assert until(lambda: counted(folder, "another boot") == 1000)
        assert time.monotonic() - recorded > 0.5, "recorded only because it was marked"
    finally:
        seen.set()
        thread.join()
    assert trial.store.check(sha256(data), len(data)) is None
