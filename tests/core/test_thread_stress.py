"""Many threads at one partial, one scheduler, one registry, with as many switches between them as there can be."""

import random
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelpm.api.types import Context
from modelpm.errors import ModelpmError
from modelpm.plugins.discovery import API_VERSION, Entry
from modelpm.plugins.registry import Registry
from modelpm.store.partials import partial as partials
from modelpm.store.partials.journal import Header, decode, read
from modelpm.store.partials.partial import Partial
from modelpm.transfer import Fetched
from tests.support.memory_source import Answer, MemorySource, Request
from tests.support.transfers import Trial, noise, pinned, sha256, unpinned

KEY = "ab" * 32
PIECE = 4096
PIECES = 512


@pytest.fixture(autouse=True)
def restless() -> Iterator[None]:
    """Switch between threads as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def together(*works: Callable[[], object]) -> None:
    """Run all at once; what one of them raises is raised here."""
    raised = list[BaseException]()
    start = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> None:
        start.wait()
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised below
            raised.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


@pytest.mark.parametrize(("seed", "long"), [(0, 4 << 20), (1, 4 << 20), (2, 4096), (3, 4096)])
def test_what_many_threads_wrote_is_what_the_journal_says(
    tmp_path: Path, seed: int, long: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partials, "_LONG", long)  # bytes of a journal that is written anew
    monkeypatch.setattr(partials, "RECORD_BYTES", PIECE)
    order = list(range(PIECES))
    random.Random(seed).shuffle(order)  # noqa: S311 - no secret
    partial = Partial(tmp_path / KEY, Header(KEY, PIECES * PIECE, "sha256:" + "cd" * 32))
    partial.open()
    done, dropped = threading.Event(), set(order[::7])
    left = [6]

    def write(mine: list[int]) -> None:
        for number in mine:
            partial.write(number * PIECE, memoryview(number.to_bytes(4, "big") * (PIECE // 4)))
            if number in dropped:
                partial.drop(number * PIECE, (number + 1) * PIECE)
        left[0] -= 1
        if not left[0]:
            done.set()

    def disturb() -> None:
        while not done.wait(0.0005):
            partial.flush()
            partial.sync()
            partial.gaps(0, PIECES * PIECE)
            partial.reach(0)
            partial.record_prefix(PIECE, "ef" * 32)

    together(*[lambda n=n: write(order[n::6]) for n in range(6)], disturb)
    wanted = (PIECES - len(dropped)) * PIECE
    assert partial.present == wanted
    partial.sync()
    partial.close()
    for boot in (partial.header.boot, "another boot"):
        found = decode(read(tmp_path / KEY / "journal"), boot)
        assert found is not None
        assert found.extents.total == wanted
    data = (tmp_path / KEY / "data").read_bytes()
    for number in set(order) - dropped:
        assert data[number * PIECE :][:4] == number.to_bytes(4, "big")


def test_a_partial_that_is_closed_meanwhile_is_not_written_any_more(tmp_path: Path) -> None:
    for _ in range(10):
        partial = Partial(tmp_path / KEY, Header(KEY, None, "sha256:" + "cd" * 32))
        partial.open()

        def write(first: int, partial: Partial = partial) -> None:
            try:
                for number in range(first, 400, 3):
                    partial.write(number * 64, memoryview(b"x" * 64))
            except ModelpmError as error:
                assert error.code == "closed"

        together(*[lambda n=n: write(n) for n in range(3)], partial.close)
        end = (tmp_path / KEY / "data").stat().st_size
        found = decode(read(tmp_path / KEY / "journal"), partial.header.boot)
        assert found is None or found.extents.total <= end
        partial.discard()


def test_closing_waits_for_those_who_read(tmp_path: Path) -> None:
    partial = Partial(tmp_path / KEY, Header(KEY, 5, "sha256:" + "cd" * 32))
    partial.open()
    partial.write(0, memoryview(b"bytes"))
    closed, buffer = threading.Event(), bytearray(5)

    def close() -> None:
        partial.close()
        closed.set()

    with partial.reading() as fill:
        thread = threading.Thread(target=close)
        thread.start()
        assert not closed.wait(0.2)
        assert fill(0, memoryview(buffer)) == 5
    thread.join(10)
    assert closed.is_set()
    assert buffer == b"bytes"


@pytest.mark.parametrize("seed", range(3))
def test_many_connections_bring_each_byte_once(tmp_path: Path, seed: int) -> None:
    sizes = [*(100_000 + n for n in range(12)), 9 << 20, 17 << 20, 3]
    files = {f"f{n}": noise(size, seed * 100 + n) for n, size in enumerate(sizes)}
    source, trial = MemorySource(files, piece=1 << 14), Trial(tmp_path / "store")
    results = trial.run(*(pinned(name, data, [source.origin(name)]) for name, data in files.items()), jobs=12)
    assert [r.sha256 for r in results if isinstance(r, Fetched)] == [sha256(data) for data in files.values()]
    assert sum(r.downloaded for r in results if isinstance(r, Fetched)) == sum(map(len, files.values()))


@pytest.mark.parametrize("seed", range(3))
def test_a_size_that_is_learned_amid_the_bytes_cuts_no_connection_short(tmp_path: Path, seed: int) -> None:
    data = noise((11 << 20) + seed, seed)

    def fault(request: Request, whole: bytes) -> Answer:
        body = (whole[at : at + 8192] for at in range(request.start, request.stop or len(whole), 8192))
        stop = request.stop or len(whole)
        cut = (piece[: max(0, stop - at)] for piece, at in zip(body, range(request.start, stop, 8192), strict=False))
        return Answer(cut, request.start, len(whole), '"v"')

    source, trial = MemorySource({"w": data}, fault, '"v"'), Trial(tmp_path / "store")
    fetched = trial.fetch(unpinned("w", None, [source.origin("w")]), jobs=8)
    assert trial.bytes_of(fetched) == data
    assert fetched.downloaded == len(data)


def test_many_threads_that_want_one_plugin_get_the_same_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slowplug.py").write_text(
        "import time\nfrom modelpm.api import hookimpl\nmade = []\n"
        "class It:\n    def resolve(self, reference): ...\n    def open(self, file, location, **more): ...\n"
        "@hookimpl\ndef modelpm_source(name):\n"
        "    time.sleep(0.05)\n    made.append(It())\n    return made[-1]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    entry = Entry("source", API_VERSION, "slow", "slowplug", "slow", "1")
    registry = Registry((entry,), lambda _kind, _name: Context())
    got = list[object]()
    together(*[lambda: got.append(registry.source("slow")) for _ in range(8)])
    assert len(set(map(id, got))) == 1
    assert len(sys.modules["slowplug"].made) == 1
