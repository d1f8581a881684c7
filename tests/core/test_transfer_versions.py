"""Never are bytes of two versions put together, and what a wrong answer said is forgotten with its bytes."""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from modelpm.api.types import Digest
from modelpm.errors import Expired, IntegrityError, Unavailable
from modelpm.store.partials.journal import Header
from modelpm.store.partials.partial import Partial
from modelpm.transfer import Fetch, Origin
from modelpm.transfer.concurrency import Concurrency
from tests.support.memory_source import Answer, Fault, MemorySource, Request
from tests.support.transfers import Trial, noise, pinned, sha256, unpinned

MIB = 1 << 20
OLD, NEW = noise(4 * MIB, 1), noise(4 * MIB, 2)


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path / "store")


def begins(data: bytes, count: int, then: Exception, validator: str | None = '"old"') -> Fault:
    """Send so many bytes of a file, and fail from then on."""

    def fault(request: Request, _data: bytes) -> Answer | Exception:
        if request.start == 0 and request.number == 0:
            return Answer(iter([data[:count]]), 0, len(data), validator)
        return then

    return fault


def test_what_was_begun_elsewhere_is_not_gone_on_with(trial: Trial) -> None:
    old = MemorySource({"f": OLD}, begins(OLD, MIB, Unavailable("away")), '"old"')
    new = MemorySource({"f": NEW}, validator='"new"')
    (failed,) = trial.run(unpinned("f", len(OLD), [old.origin("f", label="X")]), retries=1)
    assert isinstance(failed, Unavailable)

    assert trial.bytes_of(trial.fetch(unpinned("f", len(NEW), [new.origin("f", label="Y")]))) == NEW


def test_what_moved_on_the_way_is_begun_anew(trial: Trial) -> None:
    old = MemorySource({"f": OLD}, begins(OLD, MIB, Expired("ran out")), '"old"')
    new = MemorySource({"f": NEW}, validator='"new"')
    asked: list[int] = []

    def locate() -> Sequence[Origin]:
        asked.append(1)
        return [old.origin("f", label="X") if len(asked) == 1 else new.origin("f", label="Y")]

    assert trial.bytes_of(trial.fetch(Fetch("m", "f", len(OLD), None, sha256(b"f"), locate))) == NEW


def test_bytes_of_no_version_are_not_joined_by_those_of_one(trial: Trial) -> None:
    source = MemorySource({"f": NEW}, begins(OLD, MIB, Unavailable("cut"), validator=None), '"new"')

    def fault(request: Request, data: bytes) -> Answer | Exception | None:
        return begins(OLD, MIB, Unavailable("cut"), None)(request, data) if request.number < 1 else None

    source.fault = fault
    assert trial.bytes_of(trial.fetch(unpinned("f", len(NEW), [source.origin("f")]))) == NEW


def test_who_says_another_version_every_time_is_given_up(trial: Trial) -> None:
    source = MemorySource({"f": OLD})

    def fault(request: Request, data: bytes) -> Answer:
        begin = request.start
        return Answer(iter([data[begin : begin + MIB]]), begin, len(data), f'"{request.number}"')

    source.fault = fault
    (failed,) = trial.run(unpinned("f", len(OLD), [source.origin("f")]))
    assert isinstance(failed, IntegrityError)
    assert failed.code == "changed"


@pytest.mark.parametrize("promised", [True, False])
def test_a_partial_with_holes_is_filled_though_nobody_knows_the_size(trial: Trial, promised: bool) -> None:
    data = noise(6 * MIB)
    source = MemorySource({"f": data}, validator='"v"')
    digest = Digest("sha256", sha256(data)) if promised else None
    key = sha256(data) if promised else sha256(b"f")
    begun = Header(key, None, str(digest)) if digest else Header(key, None, None, source.origin("f").label, '"v"')
    trial.store.open()
    partial = Partial(trial.store.partial(key), begun)
    partial.open()
    for begin in (0, 2 * MIB):
        partial.write(begin, memoryview(data[begin : begin + MIB]))
    partial.close()

    fetched = trial.fetch(Fetch("m", "f", None, digest, key, lambda: [source.origin("f")]))

    assert trial.bytes_of(fetched) == data
    assert fetched.downloaded == 4 * MIB


def test_the_size_that_a_wrong_answer_had_is_forgotten_with_it(trial: Trial) -> None:
    good, bad = noise(2 * MIB), noise(MIB, 1)

    def fault(request: Request, _data: bytes) -> Answer | None:
        return Answer(iter([bad]), 0, len(bad)) if request.number == 0 else None

    source = MemorySource({"f": good}, fault)
    fetch = Fetch("m", "f", None, Digest("sha256", sha256(good)), sha256(good), lambda: [source.origin("f")])
    assert trial.bytes_of(trial.fetch(fetch)) == good


def slowly(trial: Trial, pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        trial.cancelled.wait(0.03)
        yield piece


def test_no_connection_that_must_bring_a_whole_file_is_cut_short(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    observe = Concurrency.observe

    def narrowing(self: Concurrency, now: float, received: int, *, running: int, worked: float = 0.0) -> None:
        observe(self, now, received, running=running, worked=worked)
        self.target = 5 if received < 10 * MIB else 4

    def fault(request: Request, data: bytes) -> Answer:
        return Answer(slowly(trial, source.pieces(data[request.start :])), request.start, len(data))

    monkeypatch.setattr(Concurrency, "observe", narrowing)
    files = {str(number): noise(6 * MIB, number) for number in range(5)}
    source = MemorySource(files, fault, piece=1 << 17)

    trial.run(*(unpinned(name, len(data), [source.origin(name)]) for name, data in files.items()), jobs=8)

    assert sorted(request.path for request in source.requests) == sorted(files)


def test_a_connection_that_comes_back_late_is_not_counted_again(trial: Trial) -> None:
    good, other = noise(MIB), noise(MIB, 1)
    back = threading.Event()

    def silent() -> Iterator[bytes]:
        until = time.monotonic() + 20
        while ("file.done", "f") not in [(action, fields["path"]) for action, fields in trial.events]:
            assert time.monotonic() < until
            trial.cancelled.wait(0.02)  # nothing else can interrupt it
        back.set()
        yield b""
        raise Unavailable("too late")

    def until_it_is_back() -> Iterator[bytes]:
        for begin in range(0, MIB, 4096):
            trial.cancelled.wait(0.2 if not back.is_set() else 0.005)
            yield other[begin : begin + 4096]

    def fault(request: Request, data: bytes) -> Answer | None:
        if request.path == "slow":
            return Answer(until_it_is_back(), 0, len(data))
        first = next(r for r in source.requests if r.path == "f")
        return Answer(silent(), 0, len(data)) if request is first else None

    source = MemorySource({"f": good, "slow": other}, fault)
    trial.run(
        pinned("f", good, [source.origin("f")]),
        pinned("slow", other, [source.origin("slow")]),
        idle_timeout=0.4,
        min_rate=1,
    )

    assert back.is_set()
    actions = [action for action, fields in trial.events if fields["path"] == "f"]
    # On a busy machine other connections may finish its part before its silence is noticed.
    assert actions.count("file.retry") <= 1
    steps = [action for action in actions if action not in {"file.retry", "file.recovered"}]
    assert steps == ["file.start", "file.verify", "file.done"]
