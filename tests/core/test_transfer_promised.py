"""What an origin may do to a file whose digest is promised, or whose versions only a validator tells apart."""

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from modelpm.api.types import Digest
from modelpm.errors import Expired, Unavailable
from modelpm.transfer import Fetch, Origin
from tests.support.memory_source import Answer, MemorySource, Request
from tests.support.transfers import Trial, noise, pinned, sha256, unpinned

MIB = 1 << 20
DATA = noise(6 * MIB, 1)


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path / "store")


def codes(trial: Trial) -> list[str]:
    return [str(fields["code"]) for action, fields in trial.events if action == "file.retry"]


def test_an_origin_that_changed_is_left_for_another_at_once(trial: Trial) -> None:
    """One connection has the right version, and another is told that it is no more: the rest comes from elsewhere."""
    right, wrong = noise(20 * MIB, 3), noise(20 * MIB, 4)
    changed, steady = MemorySource({"w": right}), MemorySource({"w": right}, validator='"v"')
    second = threading.Event()

    def fault(request: Request, data: bytes) -> Answer:
        def pieces() -> Iterator[bytes]:
            yield data[: MIB // 2]
            second.wait(10)
            yield data[MIB // 2 : request.stop]

        if request.number == 0:
            return Answer(pieces(), 0, len(data), '"old"')
        second.set()
        return Answer(iter([wrong[request.start : request.stop]]), request.start, len(data), '"new"')

    changed.fault = fault
    origins = [changed.origin("w", label="A"), steady.origin("w", label="B")]
    fetched = trial.fetch(pinned("w", right, origins), jobs=2)
    assert trial.bytes_of(fetched) == right
    assert codes(trial) == ["changed"]
    assert len(changed.requests) == 2, "it is not asked again"
    assert steady.sent >= 12 * MIB


def test_the_only_origin_is_asked_on_without_a_validator_and_the_digest_decides(trial: Trial) -> None:
    source = MemorySource({"w": DATA})

    def fault(request: Request, data: bytes) -> Answer:
        stop = min(request.stop or len(data), request.start + MIB)
        return Answer(iter([data[request.start : stop]]), request.start, len(data), f'"{request.number}"')

    source.fault = fault
    assert trial.bytes_of(trial.fetch(pinned("w", DATA, [source.origin("w")]), jobs=1, retries=2)) == DATA
    assert codes(trial).count("changed") == 1, "servers behind one name may differ in their validators"
    told = [fields["reason"] for action, fields in trial.events if fields.get("code") == "changed"]
    assert "changed during the download" in str(told[0])
    assert [r.validator for r in source.requests[2:]] == [None] * len(source.requests[2:])


@pytest.mark.parametrize("promised", [True, False])
def test_bytes_that_came_are_progress_where_they_can_be_told_from_others(trial: Trial, promised: bool) -> None:
    """With one try that may fail, a server that breaks every half MiB is used to the end."""
    source = MemorySource({"w": DATA}, validator='"v"')

    def fault(request: Request, data: bytes) -> Answer | Exception:
        begin = request.start
        if request.number % 2:
            return Unavailable("away")
        return Answer(iter([data[begin : begin + MIB // 2]]), begin, len(data), '"v"')

    source.fault = fault
    fetch = pinned("w", DATA, [source.origin("w")]) if promised else unpinned("w", len(DATA), [source.origin("w")])
    assert trial.bytes_of(trial.fetch(fetch, jobs=1, retries=2)) == DATA


def test_a_source_that_never_begins_at_the_first_byte_is_given_up(trial: Trial) -> None:
    source = MemorySource({"w": DATA})
    source.fault = lambda _request, data: Answer(iter([data[5:]]), 5, len(data))
    (failed,) = trial.run(pinned("w", DATA, [source.origin("w")]), retries=1, jobs=1)
    assert isinstance(failed, Unavailable)
    assert failed.code == "bad_range"


def test_a_link_that_ran_out_is_asked_for_again_at_once(trial: Trial) -> None:
    source, asked = MemorySource({"w": DATA}), list[int]()
    source.fault = lambda request, _data: Expired("ran out") if request.number == 0 else None

    def locate() -> Sequence[Origin]:
        asked.append(1)
        return [source.origin("w")]

    digest = Digest("sha256", sha256(DATA))
    trial.fetch(Fetch("m", "w", len(DATA), digest, digest.hex, locate), jobs=1)
    assert [fields["wait"] for action, fields in trial.events if action == "file.retry"] == [0.0]
    assert len(asked) == 2


def test_a_run_that_is_cancelled_writes_no_more(trial: Trial) -> None:
    source, more = MemorySource({"w": DATA}), threading.Event()

    def fault(request: Request, data: bytes) -> Answer:
        def pieces() -> Iterator[bytes]:
            yield data[request.start : request.start + 1000]
            trial.cancelled.set()
            more.wait(10)
            yield data[request.start + 1000 : request.stop]

        return Answer(pieces(), request.start, len(data))

    source.fault = fault
    trial.run(pinned("w", DATA, [source.origin("w")]), jobs=1)
    (partial,) = (p for p in trial.leftovers() if p.name == "data")
    before = partial.read_bytes()
    more.set()
    time.sleep(0.2)
    assert partial.read_bytes() == before


def test_a_connection_that_was_left_to_itself_writes_nothing_of_an_older_version(trial: Trial) -> None:
    """It comes back late from a source that nobody could interrupt, when the file was begun anew."""
    old, new = noise(20 * MIB, 5), noise(20 * MIB, 6)
    source, late, wrote = MemorySource({"w": new}), threading.Event(), threading.Event()

    def of_before() -> Iterator[bytes]:
        yield old[: MIB // 2]
        late.wait(20)
        yield old[MIB // 2 : 8 * MIB]
        wrote.set()

    def of_now(request: Request, data: bytes) -> Iterator[bytes]:
        if request.number == 2:  # the first of those that begin anew
            late.set()
            wrote.wait(1)
        yield data[request.start : request.stop]

    def fault(request: Request, data: bytes) -> Answer:
        if request.number == 0:
            return Answer(of_before(), 0, len(data), '"old"')
        return Answer(of_now(request, data), request.start, len(data), '"new"')

    source.fault, source.readinto = fault, False
    fetched = trial.fetch(unpinned("w", len(new), [source.origin("w")]), jobs=2, idle_timeout=60.0)
    assert trial.bytes_of(fetched) == new
    assert late.is_set()
