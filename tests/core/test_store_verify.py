import os
import threading
from pathlib import Path

import pytest

from modelpm.api.events import Bus
from modelpm.api.types import Progress, Status
from modelpm.errors import Interrupted
from modelpm.events.progress import Checking
from modelpm.events.subscribers import Callback
from modelpm.store import Store
from modelpm.store.blobs.verify import Target, _cores, verify
from tests.support.stores import damage, put


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_an_empty_list_is_answered_with_an_empty_list(store: Store) -> None:
    assert verify(store, []) == []


def test_answers_come_in_the_order_of_the_questions_each_blob_read_once(store: Store) -> None:
    wanted = [Target(put(store, os.urandom(size)), size) for size in (0, 10, 5_000_000, 100, 300_000)]
    damage(store.blob(wanted[2][0]), 4_999_999)
    store.remove(wanted[3][0])
    counted: list[int] = []
    problems = verify(store, [*wanted, *wanted, Target(wanted[0].sha256, 1)], jobs=3, on_bytes=counted.append)
    assert [p is None for p in problems] == [True, True, False, False, True] * 2 + [False]
    assert str(problems[2]).startswith("digest ")
    assert problems[3] == "missing"
    assert problems[-1] == "size 0, expected 1"
    assert sum(counted) == 10 + 5_000_000 + 300_000


def test_quick_reads_only_the_bytes_of_what_looks_different(store: Store) -> None:
    wanted = [Target(put(store, os.urandom(size)), size) for size in (10, 5000)]
    counted: list[int] = []
    assert verify(store, wanted, quick=True, on_bytes=counted.append) == [None, None]
    assert counted == []
    os.utime(store.blob(wanted[1].sha256), ns=(0, 0))
    assert verify(store, wanted, quick=True, on_bytes=counted.append) == [None, None]
    assert sum(counted) == 5000
    assert verify(store, wanted, quick=True, on_bytes=counted.append) == [None, None]
    assert sum(counted) == 5000


def test_bytes_are_reported_in_the_calling_thread(store: Store) -> None:
    wanted = [Target(put(store, os.urandom(1000)), 1000) for _ in range(5)]
    threads = set()
    verify(store, wanted, on_bytes=lambda _count: threads.add(threading.current_thread()))
    assert threads == {threading.current_thread()}


def test_a_run_that_is_cancelled_ends_as_interrupted(store: Store) -> None:
    cancelled = threading.Event()
    cancelled.set()
    for quick in (False, True):  # which may read nothing
        with pytest.raises(Interrupted) as caught:
            verify(store, [Target(put(store, b"x"), 1)], cancelled=cancelled, quick=quick)
        assert caught.value.exit_code == 130


def test_an_error_of_the_listener_ends_the_run_and_its_threads(store: Store) -> None:
    def broken(_count: int) -> None:
        raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        verify(store, [Target(put(store, os.urandom(1000)), 1000)], on_bytes=broken)
    assert threading.active_count() == before


def test_a_blob_that_cannot_be_read_is_a_problem_and_no_failure(store: Store) -> None:
    name = put(store, b"x")
    store.blob(name).unlink()
    os.mkfifo(store.blob(name))
    assert verify(store, [Target(name, 1)]) == ["replaced: it is not a regular file"]


def test_the_last_progress_of_a_check_says_how_it_ended() -> None:
    seen: list[Progress] = []
    for error in ("", "bad"):
        checking = Checking("m", 200, Bus((Callback(seen.append, Bus()),)))
        checking.add(50)
        checking.ended(error)
    ends = [(p.percentage, p.speed, p.status, p.error) for p in (seen[1], seen[3])]
    assert ends == [(100.0, 0.0, Status.COMPLETED, None), (25.0, 0.0, Status.FAILED, "bad")]


@pytest.mark.parametrize(("count", "cores"), [(6, 6), (None, 1)])
def test_a_system_that_tells_no_affinity_has_all_its_cores_hash(
    monkeypatch: pytest.MonkeyPatch, count: int | None, cores: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert _cores() == cores
