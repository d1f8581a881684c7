"""Several that want one file whose sha256 nobody knows: one downloads it, the others take what that one brought."""

import hashlib
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from modelpm.api.types import Digest
from modelpm.errors import Unavailable
from modelpm.store import Store
from modelpm.transfer import Fetch, Fetched
from tests.support.codes import coded
from tests.support.memory_source import MemorySource
from tests.support.stores import put, umask
from tests.support.transfers import Trial, noise, sha256, unpinned

DATA = noise(300_000)
OTHER = noise(300_000, seed=1)


def by_git(data: bytes, source: MemorySource) -> Fetch:
    """Want a file as the Hub promises its small ones."""
    sha1 = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    key = sha256(b"where it is from")
    return Fetch("model", "f", len(data), Digest("git-sha1", sha1), key, lambda: [source.origin("f")])


def of_nobody(data: bytes, source: MemorySource) -> Fetch:
    """Want a file of which only the size is known."""
    return unpinned("f", len(data), [source.origin("f")])


Want: TypeAlias = Callable[[bytes, MemorySource], Fetch]
WANTS = pytest.mark.parametrize("want", [by_git, of_nobody])


@contextmanager
def waiting(root: Path, fetch: Fetch, word: str) -> Iterator[Future[Fetched]]:
    """Hold the file's lock until somebody waits for it; leave a word and let go."""
    trial = Trial(root)
    with ThreadPoolExecutor(1) as pool:
        with Store(root).lock(fetch.key) as lock:
            lock.word = word
            future = pool.submit(trial.fetch, fetch)
            while not trial.ticks or trial.ticks[-1][0].status.value == "queued":
                threading.Event().wait(0.01)
        yield future


def word(data: bytes) -> str:
    return f"{sha256(data)} {len(data)}"


@WANTS
def test_four_that_want_one_file_download_it_once(tmp_path: Path, want: Want) -> None:
    source = MemorySource({"f": DATA}, piece=10_000)
    begun, go = threading.Event(), threading.Event()

    def hold(_request: object, _data: bytes) -> None:
        begun.set()
        go.wait(10)

    source.fault = hold
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(Trial(tmp_path / "store").fetch, want(DATA, source))
        assert begun.wait(10)
        trials = [Trial(tmp_path / "store") for _ in range(3)]
        others = [pool.submit(trial.fetch, want(DATA, source)) for trial in trials]
        while not all(t.ticks and t.ticks[-1][0].status.value == "downloading" for t in trials):
            threading.Event().wait(0.01)
        go.set()
        results = [first.result(20), *(other.result(20) for other in others)]

    assert {(r.sha256, r.size) for r in results} == {(sha256(DATA), len(DATA))}
    assert sorted(r.downloaded for r in results) == [0, 0, 0, len(DATA)]
    assert source.sent == len(DATA)


def test_what_keeps_a_promise_is_not_fetched_again(tmp_path: Path) -> None:
    source = MemorySource({"f": DATA})
    trial = Trial(tmp_path / "store")
    assert trial.fetch(by_git(DATA, source)).downloaded == len(DATA)
    assert trial.fetch(by_git(DATA, source)) == Fetched(sha256(DATA), len(DATA), 0, "")


def test_what_an_earlier_run_left_says_nothing_of_a_file_that_nobody_promised(tmp_path: Path) -> None:
    source = MemorySource({"f": DATA})
    trial = Trial(tmp_path / "store")
    put(trial.store, OTHER)
    fetch = of_nobody(DATA, source)
    with trial.store.lock(fetch.key) as lock:
        lock.word = word(OTHER)
    with trial.store.lock(fetch.key) as lock:
        assert lock.found == word(OTHER)  # and whoever fails after that leaves nothing
    with trial.store.lock(fetch.key) as lock:
        assert lock.found == ""
        lock.word = word(OTHER)

    assert trial.fetch(fetch).downloaded == len(DATA)
    assert trial.bytes_of(trial.fetch(fetch)) == DATA


@pytest.mark.parametrize(
    "said",
    [
        "",
        "nonsense",
        word(noise(300_001)),
        word(b""),
        f"{sha256(DATA)} x",
        f"../../etc {len(DATA)}",
        f"{'0' * 64} 300000",
    ],
)
@WANTS
def test_a_word_that_means_nothing_is_not_believed(tmp_path: Path, want: Want, said: str) -> None:
    source = MemorySource({"f": DATA})
    put(Store(tmp_path / "store"), noise(300_001))
    with waiting(tmp_path / "store", want(DATA, source), said) as future:
        assert future.result(10) == Fetched(sha256(DATA), len(DATA), len(DATA), source.origin("f").label)


def test_other_bytes_than_those_promised_are_not_taken(tmp_path: Path) -> None:
    source = MemorySource({"f": DATA})
    put(Store(tmp_path / "store"), OTHER)
    with waiting(tmp_path / "store", by_git(DATA, source), word(OTHER)) as future:
        assert future.result(10).sha256 == sha256(DATA)

    assert source.sent == len(DATA)


@pytest.mark.parametrize(("want", "downloaded"), [(by_git, 0), (of_nobody, len(DATA))])
def test_a_word_that_another_user_could_have_left_needs_a_promise(tmp_path: Path, want: Want, downloaded: int) -> None:
    source = MemorySource({"f": DATA})
    fetch = want(DATA, source)
    with umask(0o002):
        put(Store(tmp_path / "store"), DATA)
        with waiting(tmp_path / "store", fetch, word(DATA)) as future:
            assert future.result(10).downloaded == downloaded

    assert Store(tmp_path / "store").layout.lock(fetch.key).stat().st_mode & stat.S_IWGRP


def test_who_fails_leaves_the_work_to_the_next(tmp_path: Path) -> None:
    source = MemorySource({"f": DATA})
    trial = Trial(tmp_path / "store")
    source.fault = lambda _request, _data: Unavailable("away", retryable=False)
    with pytest.raises(Unavailable, check=coded("network")):
        trial.fetch(of_nobody(DATA, source))
    source.fault = None
    with trial.store.lock(of_nobody(DATA, source).key) as lock:
        assert lock.found == ""
    assert trial.fetch(of_nobody(DATA, source)).downloaded == len(DATA)
