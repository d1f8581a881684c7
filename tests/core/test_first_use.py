"""What is learned comes from the origin, and is no more than its answers prove; after wrong bytes, ask plainly."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelpm.api.types import Context, Digest, Network, RemoteFile, Stream
from modelpm.errors import Denied, IntegrityError, NotFound, Unavailable
from modelpm.plugins.kinds.source import GuardedSource
from modelpm.store.partials.journal import Header
from modelpm.store.partials.partial import Partial
from modelpm.testing import FAULTS, Exchange, FaultServer, first
from modelpm.testing.exchange import Fault
from modelpm.transfer import Fetch, Origin
from modelpm.transfer.validators import Restart, Validators
from tests.support.codes import coded
from tests.support.memory_source import ENTRY, Answer, MemorySource, Request
from tests.support.sources import Plain
from tests.support.transfers import Trial, noise, pinned, sha256, unpinned

MIB = 1 << 20
SMALL, OTHER, LARGE = noise(300_001), noise(300_001, 7), noise(17 * MIB + 5, 1)


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path / "store")


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer({"/w": SMALL, "/large": LARGE}) as server:
        yield server


@pytest.fixture
def mirror() -> Iterator[FaultServer]:
    with FaultServer({"/w": OTHER}) as server:
        yield server


def origin(
    server: FaultServer,
    path: str = "/w",
    *,
    size: int | None = None,
    digest: Digest | None = None,
    mirror: bool = False,
) -> Origin:
    source = Plain(Context(network=Network(connect_timeout=2.0, idle_timeout=1.0)))
    url = server.url(path)
    return Origin(GuardedSource.of(ENTRY, source), RemoteFile(path, size, digest, (url,)), url, url, mirror)


def promised(server: FaultServer, *mirrors: Origin, path: str = "/w") -> Fetch:
    data = server.files[path]
    digest = Digest("sha256", sha256(data))
    return pinned(path, data, [*mirrors, origin(server, path, size=len(data), digest=digest)])


# --- mirrors ---


@pytest.mark.parametrize("size", [None, len(SMALL)])
def test_what_is_not_known_is_learned_from_the_origin(
    trial: Trial, server: FaultServer, mirror: FaultServer, size: int | None
) -> None:
    fetch = unpinned("/w", size, [origin(mirror, size=size, mirror=True), origin(server, size=size)])
    assert trial.bytes_of(trial.fetch(fetch)) == SMALL
    assert mirror.heads == []


def test_a_size_that_is_not_known_is_learned_from_the_origin(
    trial: Trial, server: FaultServer, mirror: FaultServer
) -> None:
    mirror.files["/w"] = SMALL[:1000]
    digest = Digest("sha256", sha256(SMALL))
    origins = [origin(mirror, digest=digest, mirror=True), origin(server, digest=digest)]
    fetch = Fetch("m", "/w", None, digest, digest.hex, lambda: origins)
    assert trial.bytes_of(trial.fetch(fetch)) == SMALL
    assert mirror.heads == []


def lacks(exchange: Exchange) -> None:
    exchange.refuse("404 Not Found")


def has_less(exchange: Exchange) -> None:
    exchange.data = exchange.data[:-1]
    exchange.serve()


def has_more(exchange: Exchange) -> None:
    exchange.data += b"!"
    exchange.serve()


@pytest.mark.parametrize(
    "fault", [lacks, FAULTS["forbidden"], has_less, has_more, FAULTS["portal"], FAULTS["redirect_nowhere"], None]
)
def test_a_mirror_that_has_something_else_is_passed_over(
    trial: Trial, server: FaultServer, mirror: FaultServer, fault: Fault | None
) -> None:
    mirror.fault = fault  # without one it has other bytes of the same size
    of_mirror = origin(mirror, size=len(SMALL), digest=Digest("sha256", sha256(SMALL)), mirror=True)
    fetched = trial.fetch(promised(server, of_mirror), retries=0)
    assert trial.bytes_of(fetched) == SMALL
    assert fetched.source == server.url("/w")
    assert mirror.heads


def test_why_the_origin_failed_is_told_not_that_a_mirror_did(
    trial: Trial, server: FaultServer, mirror: FaultServer
) -> None:
    mirror.fault, server.fault = lacks, FAULTS["forbidden"]
    of_mirror = origin(mirror, size=len(SMALL), mirror=True)
    (failed,) = trial.run(promised(server, of_mirror))
    assert isinstance(failed, Denied)


def test_after_wrong_bytes_the_origin_is_asked_before_other_mirrors(
    trial: Trial, server: FaultServer, mirror: FaultServer
) -> None:
    with FaultServer({"/w": OTHER}) as second:
        digest = Digest("sha256", sha256(SMALL))
        both = [origin(m, size=len(SMALL), digest=digest, mirror=True) for m in (mirror, second)]
        assert trial.bytes_of(trial.fetch(promised(server, *both))) == SMALL
        assert second.heads == []


# --- several sources of a file that nothing is promised of ---


def test_a_source_without_the_file_falls_to_the_next(trial: Trial, server: FaultServer, mirror: FaultServer) -> None:
    mirror.fault = lacks
    fetch = unpinned("/w", None, [origin(mirror), origin(server)])
    assert trial.bytes_of(trial.fetch(fetch)) == SMALL


def test_a_source_that_is_away_falls_to_the_next(trial: Trial, server: FaultServer, mirror: FaultServer) -> None:
    mirror.fault = FAULTS["no_answer"]
    fetch = unpinned("/w", None, [origin(mirror), origin(server)])
    assert trial.bytes_of(trial.fetch(fetch, retries=1)) == SMALL


def test_a_source_that_is_well_is_not_left_for_another_because_of_one_failure(
    trial: Trial, server: FaultServer, mirror: FaultServer
) -> None:
    server.fault = first(2, FAULTS["unavailable"])
    fetch = unpinned("/w", None, [origin(server), origin(mirror)])
    assert trial.bytes_of(trial.fetch(fetch)) == SMALL
    assert mirror.heads == []


def test_when_every_source_failed_the_first_ones_reason_is_told(
    trial: Trial, server: FaultServer, mirror: FaultServer
) -> None:
    mirror.fault, server.fault = lacks, FAULTS["forbidden"]
    (failed,) = trial.run(unpinned("/w", None, [origin(mirror), origin(server)]))
    assert isinstance(failed, NotFound)


# --- answers that contradict themselves ---

WHOLE = (
    *("part_as_whole", "silent_part", "wrong_range", "missing_range", "unknown_total", "multipart", "not_satisfiable"),
    *("range_refused", "range_reset", "ignore_range", "chunked"),
)
REFUSED = ("lying_total", "gzip", "compressed")


def plainly(fault: Fault) -> Fault:
    """Misbehave only where a range is asked for."""

    def some(exchange: Exchange) -> None:
        (fault if exchange.range else Exchange.serve)(exchange)

    return some


@pytest.mark.parametrize("size", [None, len(SMALL)])
@pytest.mark.parametrize("name", WHOLE)
def test_without_a_digest_an_odd_answer_brings_the_whole_file(
    trial: Trial, server: FaultServer, name: str, size: int | None
) -> None:
    server.fault = plainly(FAULTS[name])
    assert trial.bytes_of(trial.fetch(unpinned("/w", size, [origin(server, size=size)]))) == SMALL


@pytest.mark.parametrize("size", [None, len(SMALL)])
@pytest.mark.parametrize("name", REFUSED)
def test_without_a_digest_what_cannot_be_placed_is_refused(
    trial: Trial, server: FaultServer, name: str, size: int | None
) -> None:
    server.fault = FAULTS[name]
    (failed,) = trial.run(unpinned("/w", size, [origin(server, size=size)]), retries=1)
    assert isinstance(failed, Unavailable | IntegrityError)
    assert list(trial.store.blobs()) == []


def test_a_size_that_the_whole_answer_contradicts_is_not_made_true_by_asking_for_less(
    trial: Trial, server: FaultServer
) -> None:
    (failed,) = trial.run(unpinned("/w", 1000, [origin(server, size=1000)]))
    assert isinstance(failed, IntegrityError)
    assert failed.code == "size_mismatch"
    assert list(trial.store.blobs()) == []


@pytest.mark.parametrize("promise", [True, False])
def test_a_server_that_answers_ranges_with_200_is_resumed(trial: Trial, server: FaultServer, promise: bool) -> None:
    def cut(exchange: Exchange) -> None:
        start, stop = exchange.range or (0, len(exchange.data))
        part = {"Content_Range": f"bytes {start}-{stop - 1}/{len(exchange.data)}"}
        exchange.head("200 OK", stop - start, ETag=exchange.etag, **part)
        exchange.body(exchange.data[start : start + 100_000])
        exchange.hang_up()

    server.fault = cut
    fetch = promised(server) if promise else unpinned("/w", len(SMALL), [origin(server, size=len(SMALL))])
    trial.run(fetch, retries=0)
    server.fault = FAULTS["part_as_whole"]
    fetched = trial.fetch(fetch)
    assert trial.bytes_of(fetched) == SMALL
    assert fetched.downloaded <= len(SMALL) - 100_000


def test_many_ranges_answered_with_200_make_one_file(trial: Trial, server: FaultServer) -> None:
    server.fault = FAULTS["part_as_whole"]
    assert trial.fetch(promised(server, path="/large")).sha256 == sha256(LARGE)
    assert len(server.heads) > 1


# --- ranges that are refused ---


def statuses(status: str) -> Fault:
    def refuse(exchange: Exchange) -> None:
        exchange.refuse(status)

    return plainly(refuse)


@pytest.mark.parametrize(
    "fault",
    [statuses("400 Bad Request"), statuses("403 Forbidden"), statuses("501 Not Implemented"), FAULTS["range_reset"]],
)
def test_a_large_file_comes_plainly_where_ranges_are_refused(trial: Trial, server: FaultServer, fault: Fault) -> None:
    server.fault = fault
    assert trial.fetch(promised(server, path="/large")).sha256 == sha256(LARGE)
    assert "range" in server.heads[0][1]


def test_a_refusal_that_is_not_about_ranges_keeps_its_words(trial: Trial, server: FaultServer) -> None:
    server.fault = FAULTS["forbidden"]
    (failed,) = trial.run(promised(server))
    assert isinstance(failed, Denied)
    assert [("range" in headers) for _, headers in server.heads] == [True, False]


def test_connections_that_break_together_say_nothing_of_ranges(trial: Trial, server: FaultServer) -> None:
    barrier = threading.Barrier(4)

    def busy(exchange: Exchange) -> None:
        if exchange.number < 4:
            barrier.wait(5)
            exchange.reset()
        exchange.serve()

    server.fault = busy
    assert trial.fetch(promised(server, path="/large")).sha256 == sha256(LARGE)
    assert all("range" in headers for _, headers in server.heads)


# --- after a mismatch ---


def damaged(exchange: Exchange) -> None:
    body = bytearray(exchange.begin())
    body[len(body) // 2] ^= 1
    exchange.body(bytes(body))


def test_the_try_after_wrong_bytes_is_one_plain_request(trial: Trial, server: FaultServer) -> None:
    server.fault = plainly(damaged)
    fetched = trial.fetch(promised(server, path="/large"))
    assert fetched.sha256 == sha256(LARGE)
    ranged = ["range" in headers for _, headers in server.heads]
    assert ranged[-1] is False
    assert ranged.count(False) == 1


def test_wrong_bytes_twice_are_the_end(trial: Trial, server: FaultServer) -> None:
    server.fault = damaged
    (failed,) = trial.run(promised(server))
    assert isinstance(failed, IntegrityError)
    assert failed.exit_code == 4
    assert ["range" in headers for _, headers in server.heads] == [True, False]


def one_at_a_time(fault: Fault, seen: list[int]) -> Fault:
    """Serve, and note how many requests were under way."""
    running, lock = [0], threading.Lock()

    def some(exchange: Exchange) -> None:
        with lock:
            running[0] += 1
            seen.append(running[0])
        try:
            fault(exchange)
        finally:
            with lock:
                running[0] -= 1

    return some


def test_where_a_plain_request_is_refused_ranges_follow_one_another(trial: Trial, server: FaultServer) -> None:
    seen: list[int] = []
    plain_seen = threading.Event()

    def fault(exchange: Exchange) -> None:
        if exchange.range is None:
            plain_seen.set()
            exchange.refuse("400 Bad Request")
        elif plain_seen.is_set():
            one_at_a_time_serve(exchange)
        else:
            damaged(exchange)

    one_at_a_time_serve = one_at_a_time(Exchange.serve, seen)
    server.fault = fault
    assert trial.fetch(promised(server, path="/large")).sha256 == sha256(LARGE)
    assert len(seen) > 1
    assert set(seen) == {1}


def test_a_plain_request_that_breaks_is_gone_on_with_in_ranges(trial: Trial, server: FaultServer) -> None:
    def fault(exchange: Exchange) -> None:
        if exchange.range is None:
            exchange.body(exchange.begin()[: 10 * MIB])
            exchange.hang_up()
        (damaged if all("range" in headers for _, headers in server.heads) else Exchange.serve)(exchange)

    server.fault = fault
    before = trial.fetch(promised(server, path="/large"))
    assert before.sha256 == sha256(LARGE)
    assert before.downloaded <= 2 * len(LARGE)


def test_a_server_that_is_busy_is_asked_plainly_again(trial: Trial, server: FaultServer) -> None:
    busy = first(1, FAULTS["unavailable"])
    server.fault = lambda exchange: (damaged if exchange.range else busy)(exchange)
    assert trial.bytes_of(trial.fetch(promised(server))) == SMALL


# --- one change counts once ---


def together(count: int, then: Callable[[Request, bytes], Answer]) -> Callable[[Request, bytes], Answer]:
    """Let so many answers begin at the same moment, as far as so many are asked for."""
    barrier = threading.Barrier(count)

    def fault(request: Request, data: bytes) -> Answer:
        if request.number < count:
            barrier.wait(5)
        return then(request, data)

    return fault


def test_a_change_that_many_ranges_notice_is_one(trial: Trial) -> None:
    old, new = noise(64 * MIB, 1), noise(64 * MIB, 2)

    def served(request: Request, data: bytes) -> Answer:
        stop = len(data) if request.stop is None else request.stop  # whatever the validator is
        return Answer(source.pieces(data[request.start : stop]), request.start, len(data), '"new"')

    source = MemorySource({"f": new}, together(4, served))
    key = sha256(b"f")
    trial.store.open()
    partial = Partial(trial.store.partial(key), Header(key, len(old), None, source.origin("f").label, '"old"'))
    partial.open()
    partial.write(0, memoryview(old[:MIB]))
    partial.close()

    fetched = trial.fetch(unpinned("f", len(new), [source.origin("f", len(new))]))

    assert trial.bytes_of(fetched) == new


def validators_of(tmp_path: Path) -> tuple[Validators, Partial]:
    partial = Partial(tmp_path / "partial", Header("k", 10, None, "X", '"0"'))
    partial.open()
    partial.write(0, memoryview(b"12345"))
    return Validators(unpinned("f", 10, [])), partial


def says(validator: str) -> Stream:
    return Stream(iter(()), 5, 10, validator)


@pytest.mark.parametrize("ranges", [1, 2, 16])
def test_each_change_counts_once_however_many_ranges_notice_it(tmp_path: Path, ranges: int) -> None:
    validators, partial = validators_of(tmp_path)
    for change in ('"1"', '"2"'):
        for _ in range(ranges):
            assert validators.check(partial, "X", says(change), alone=True) == Restart("X", change)
        partial.restart("X", change)
        assert validators.check(partial, "X", says(change), alone=True) is None
        partial.write(0, memoryview(b"12345"))
    with pytest.raises(IntegrityError, match="3 times"):
        validators.check(partial, "X", says('"3"'), alone=True)
    partial.close()


def test_two_versions_that_take_turns_are_given_up(tmp_path: Path) -> None:
    validators, partial = validators_of(tmp_path)
    for validator in ('"1"', '"2"'):
        validators.check(partial, "X", says(validator), alone=True)
        partial.restart("X", validator)
        partial.write(0, memoryview(b"12345"))
    with pytest.raises(IntegrityError, check=coded("changed")):
        validators.check(partial, "X", says('"1"'), alone=True)
    partial.close()


@pytest.mark.parametrize(("alone", "error"), [(False, IntegrityError), (True, Unavailable)])
def test_a_change_ends_an_origin_whose_digest_is_pinned_only_where_there_is_another(
    tmp_path: Path, alone: bool, error: type[Exception]
) -> None:
    validators, partial = Validators(pinned("f", b"0123456789", [])), validators_of(tmp_path)[1]
    validators.check(partial, "X", says('"1"'), alone=alone)
    with pytest.raises(error, check=coded("changed")):
        validators.check(partial, "X", says('"2"'), alone=alone)
    assert validators.validator(partial, "X") == (None if alone else '"1"')
    partial.close()
