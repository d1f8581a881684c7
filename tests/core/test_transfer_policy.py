"""What the engine decides: after a failure, about the number of connections, about bandwidth. No clock, no network."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import modelpm
from modelpm.api.types import Digest, Stream
from modelpm.errors import (
    Denied,
    Expired,
    IntegrityError,
    ModelpmError,
    NotFound,
    OfflineError,
    PluginError,
    StoreError,
    Unavailable,
)
from modelpm.http import PermanentError
from modelpm.network.health import Hosts
from modelpm.store.blobs.records import PIECE
from modelpm.store.partials.journal import Header
from modelpm.store.partials.partial import Partial
from modelpm.store.partials.ranges import END, Ranges
from modelpm.testing import FaultServer
from modelpm.transfer import Fetch, Options, Origin, RateLimit
from modelpm.transfer.bandwidth import Limiter, RateWindow
from modelpm.transfer.concurrency import Concurrency
from modelpm.transfer.connection import Pace
from modelpm.transfer.file_state import FileState
from modelpm.transfer.hashing import Digests
from modelpm.transfer.origins import Origins
from modelpm.transfer.progress import Speed
from modelpm.transfer.retry import Failure, Verdict, decide
from modelpm.transfer.segment import Segment
from tests.support.memory_source import Answer, MemorySource, Request
from tests.support.models import holding
from tests.support.transfers import QUICK, Trial, hasher, noise, pinned, sha256

MIB = 1 << 20


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (Unavailable("503"), Verdict.RETRY),
        (Unavailable("short", code="size_mismatch"), Verdict.RETRY),
        (Expired("403"), Verdict.RELOCATE),
        (PermanentError("certificate"), Verdict.NEXT),
        (Denied("403"), Verdict.NEXT),
        (NotFound("404"), Verdict.NEXT),
        (IntegrityError("changed"), Verdict.NEXT),
        (OfflineError("offline"), Verdict.FATAL),
        (PluginError("bug"), Verdict.FATAL),
        (StoreError("full"), Verdict.FATAL),
    ],
)
def test_what_an_error_means(error: ModelpmError, verdict: Verdict) -> None:
    assert decide(Failure(error)).verdict is verdict


BUSY = Unavailable("503", retry_after=7.0, status=503)


def test_nothing_can_be_excluded_where_no_origin_was_found() -> None:
    away: list[ModelpmError] = [Unavailable("down"), Expired("403")]
    final: list[ModelpmError] = [Denied("403"), NotFound("404"), OfflineError("offline")]
    assert [decide(Failure(error, located=False)).verdict for error in away] == [Verdict.RETRY] * 2
    assert [decide(Failure(error, located=False)).verdict for error in final] == [Verdict.FATAL] * 3


@pytest.mark.parametrize(
    ("error", "same_file", "same_host", "verdict"),
    [
        (Denied("403"), True, False, Verdict.FEWER),
        (NotFound("404"), False, True, Verdict.FEWER),
        (NotFound("gone", code="repo_not_found"), True, False, Verdict.FEWER),
        (NotFound("gone", code="repo_not_found"), False, True, Verdict.NEXT),
        (Denied("403"), False, False, Verdict.NEXT),
        (IntegrityError("changed"), True, True, Verdict.NEXT),
    ],
)
def test_a_refusal_is_final_only_where_nothing_else_arrives(
    error: ModelpmError, same_file: bool, same_host: bool, verdict: Verdict
) -> None:
    decision = decide(Failure(error, same_file=same_file, same_host=same_host))
    assert decision.verdict is verdict
    assert decision.throttle is (verdict is Verdict.FEWER)


def test_a_plain_request_is_repeated_only_where_the_server_was_away_and_sent_nothing() -> None:
    assert decide(Failure(BUSY, plain=True)).verdict is Verdict.RETRY
    assert decide(Failure(BUSY, plain=True, received=True)).verdict is Verdict.SEQUENTIAL
    assert decide(Failure(Denied("403"), plain=True)).verdict is Verdict.SEQUENTIAL


def test_a_mirror_with_something_else_is_passed_over_and_the_origin_is_asked_again() -> None:
    for error in (Unavailable("short", code="size_mismatch"), PluginError("bug"), OfflineError("offline")):
        assert decide(Failure(error, mirror=True)).verdict is Verdict.NEXT
    assert decide(Failure(Unavailable("down"), mirror=True)).verdict is Verdict.RETRY


def test_a_decision_says_how_the_origin_and_the_connections_are_treated() -> None:
    busy = decide(Failure(BUSY))
    assert (busy.rest, busy.throttle, busy.unreachable) == (7.0, True, False)
    assert decide(Failure(Unavailable("later", retry_after=1e6))).rest == 600.0
    down = decide(Failure(Unavailable("down")))
    assert (down.rest, down.throttle, down.unreachable) == (0.0, False, True)
    expired = decide(Failure(Expired("403")))
    assert (expired.rest, expired.immediately, expired.exclude_origin) == (None, True, True)


def test_a_decision_says_what_is_left_of_ranges_and_of_the_origin_when_the_budget_is_spent() -> None:
    bad = Unavailable("range", code="bad_range")
    assert decide(Failure(bad, ranged=True)).drop_ranges
    assert not decide(Failure(bad)).drop_ranges
    short = Unavailable("short", code="size_mismatch")
    assert decide(Failure(short, promised=False)).single_stream
    assert not decide(Failure(short)).single_stream
    falls_back = [
        decide(Failure(error, promised=promised, started=started)).fall_back
        for error in (BUSY, short)
        for promised in (False, True)
        for started in (False, True)
    ]
    assert falls_back == [True] + 7 * [False]


def test_a_limit_by_time_of_day() -> None:
    limit = RateLimit(100, (("08:00", "18:00", 10), ("22:00", "06:00", 0)))
    assert [limit.at(t) for t in ("07:59", "08:00", "17:59", "18:00", "23:00", "05:59")] == [100, 10, 10, 100, 0, 0]
    assert Limiter(RateLimit()).quantum(1 << 20) == 1 << 20
    assert Limiter(RateLimit()).charge(1 << 30) == 0.0
    assert Limiter(RateLimit(1 << 20)).quantum(1 << 20) < 1 << 17


def test_all_connections_together_keep_to_the_limit(tmp_path: Path) -> None:
    data = noise(3 * MIB)
    source = MemorySource({"a": data, "b": noise(3 * MIB, 1)})
    trial = Trial(tmp_path / "store", Options(jobs=4, limit=RateLimit(4 * MIB)))
    began = time.monotonic()
    trial.run(*(pinned(name, body, [source.origin(name)]) for name, body in source.files.items()))
    assert 6 / 4 - 0.4 <= time.monotonic() - began < 5.0


def test_no_speed_far_beyond_the_limit_is_shown(tmp_path: Path) -> None:
    speeds: list[float] = []
    files = {"/a.gguf": holding("a.gguf", noise(9 * MIB))}
    with FaultServer(files) as server, modelpm.Manager(home=tmp_path, limit_rate=4 * MIB) as manager:
        manager.install(server.url("/a.gguf"), on_progress=lambda progress: speeds.append(progress.speed))
    assert 2 * MIB < max(speeds) < 1.4 * 4 * MIB  # the bucket's burst is in it


def test_a_speed_is_a_mean_that_fades() -> None:
    speed = Speed()
    assert [speed.look(t, 0) for t in (0.0, 5.0)] == [0.0, 0.0]  # waiting for the first byte is no slow transfer
    assert speed.look(5.1, 400) == 400.0  # not 4000: nobody knows what the rest of the second brings
    assert speed.look(6.0, 1000) == 1000.0
    assert speed.look(7.0, 2000) == 1000.0
    shown = [speed.look(8.0 + second, 2000 + 50 * second) for second in range(30)]
    assert 50.0 <= shown[-1] < 51.0


def test_width_grows_while_it_helps_and_goes_back_when_it_does_not() -> None:
    width, now, received = Concurrency(16), 0.0, 0
    for _ in range(40):
        now += 0.3
        received += int(min(width.target, 9) * 0.3 * 10_000_000)
        width.observe(now, received, running=width.target)
    assert 8 <= width.target <= 16
    slow = Concurrency(16)
    for i in range(40):
        slow.observe(i * 0.3, int(i * 0.3 * 10_000_000), running=slow.target)
    assert slow.target <= 8


def test_width_shrinks_where_the_processor_is_the_limit() -> None:
    width = Concurrency(16, cores=2)
    for i in range(20):
        width.observe(i * 0.3, i * 10_000_000, running=width.target, worked=i * 0.6)
    assert width.target == 2


def test_width_comes_back_where_fewer_bring_less_however_busy_the_processor_is() -> None:
    width, received, worked = Concurrency(16, cores=2), 0, 0.0
    for i in range(40):  # a server that gives each connection so much and no more
        received += width.target * 10_000_000
        worked += 0.06 * width.target
        width.observe(i * 0.3, received, running=width.target, worked=worked)
    assert width.target >= 8


def test_width_is_not_judged_by_connections_that_are_about_to_end() -> None:
    width = Concurrency(16, cores=2)
    for i in range(3):
        width.observe(i * 0.3, i * 10_000_000, running=width.target, worked=i * 0.6)
    target = width.target
    assert target < 8
    for i in range(3, 30):
        width.observe(i * 0.3, i * 10_000_000, running=target + 1, worked=i * 0.6)
    assert width.target == target


def test_width_shrinks_on_collapse_and_when_told() -> None:
    width, received = Concurrency(16), 0
    for i in range(20):
        received += width.target * 1_000_000
        width.observe(i * 0.3, received, running=width.target)
    high = width.target
    for i in range(20, 36):
        received += 100_000
        width.observe(i * 0.3, received, running=width.target)
    assert width.target == high // 2, "it shrinks once: what comes now is what is there"
    now = width.target
    width.throttled(10.0)
    assert width.target == max(1, now // 2)


@given(
    st.integers(1, 64),
    st.lists(st.tuples(st.floats(0.01, 5), st.integers(0, 10**9), st.integers(-1, 1), st.booleans()), max_size=80),
)
def test_width_stays_in_its_bounds(most: int, looks: list[tuple[float, int, int, bool]]) -> None:
    width, now, received, worked = Concurrency(most, cores=4), 0.0, 0, 0.0
    for seconds, count, more, hot in looks:
        now += seconds
        received += count
        worked += seconds * 4 * hot
        width.observe(now, received, running=width.target + more, worked=worked)
        assert 1 <= width.target <= most


def test_reads_are_sized_to_the_speed() -> None:
    pace = Pace(4 * MIB)
    for _ in range(20):
        pace.took(0.001, pace.size)
    assert pace.size == 4 * MIB
    for _ in range(20):
        pace.took(1.0, 1)
    assert pace.size == 16 << 10


def test_a_segment_is_split_in_the_middle_and_only_where_it_is_worth_it() -> None:
    segment = Segment(0, 100)
    assert segment.split(60, 1) is None
    assert segment.split(10, 1) == 50
    assert (segment.start, segment.stop, segment.left) == (0, 50, 50)
    assert Segment(0, END).split(1, 1) is None
    segment.abort("why")
    assert segment.split(1, 1) is None


def test_a_segment_that_is_one_too_many_ends_at_the_next_boundary() -> None:
    segment = Segment(10, 1000)
    segment.claim(100)
    assert segment.cut(64) == 128
    assert (segment.start, segment.stop) == (10, 128)
    assert segment.cut(64) is None
    fresh = Segment(64, 1000)  # it has not asked yet, and an empty range is none
    assert fresh.cut(64) == 128
    assert Segment(0, END).cut(1) is None
    given_up = Segment(0, 1000)
    given_up.abort("why")
    assert given_up.cut(64) is None


def test_silence_is_noticed_and_what_opens_slowly_has_a_limit_of_its_own() -> None:
    segment = Segment(0, 100)
    assert segment.silence(segment.started + 19, idle=1, opening=20) is None
    assert segment.silence(segment.started + 21, idle=1, opening=20) == "no answer for 20 s"
    assert segment.opened(Stream(iter(()), 0, 100))
    now = time.monotonic()
    assert segment.silence(now + 0.9, idle=1, opening=20) is None
    assert segment.silence(now + 2, idle=1, opening=20) == "no byte for 1 s"


def test_a_wait_on_purpose_is_no_silence_while_it_lasts_and_counts_no_longer() -> None:
    segment = Segment(0, 100)
    segment.opened(Stream(iter(()), 0, 100))
    now = time.monotonic()
    segment.pause(20.0)  # for a chunk that was many seconds' worth
    assert [segment.silence(now + second, idle=1, opening=20) for second in range(21)] == [None] * 21
    assert "no byte" in (segment.silence(now + 22, idle=1, opening=20) or "")


def test_a_rate_is_of_the_last_seconds_without_those_that_were_waited_on_purpose() -> None:
    span = RateWindow(10.0)
    assert [span.rate(float(t), t * 100) for t in range(10)] == [None] * 10
    assert [span.rate(float(t), 1000) for t in range(10, 21)][::10] == [100.0, 0.0]
    limited = RateWindow(10.0)
    looks = [limited.rate(float(t), t * 100, t * 0.4) for t in range(12)]
    assert looks[11] == pytest.approx(100 / 0.6)
    idle = RateWindow(10.0)
    assert [idle.rate(float(t), t * 100, t * 0.6) for t in range(12)] == [None] * 12


def test_large_chunks_are_waited_for_at_the_limit(tmp_path: Path) -> None:
    data = noise(MIB)
    source = MemorySource({"w": data}, readinto=False, piece=MIB // 2)  # its chunks come as large as it likes
    trial = Trial(tmp_path / "store")
    fetched = trial.fetch(pinned("w", data, [source.origin("w")]), jobs=1, limit=RateLimit(MIB // 2), idle_timeout=0.3)
    assert trial.bytes_of(fetched) == data
    assert (len(source.requests), source.sent) == (1, len(data))
    assert "file.retry" not in trial.actions()


def located(locate: Callable[[], Sequence[Origin]]) -> Fetch:
    return Fetch("model", "w", 0, Digest("sha256", sha256(b"")), "k", locate)


def origins_of(origins: Sequence[Origin], hosts: Hosts) -> Origins:
    return Origins(located(lambda: origins), hosts)


def test_of_several_that_saw_a_link_run_out_one_asks_again() -> None:
    source, asked = MemorySource({"w": b""}), []

    def locate() -> list[Origin]:
        asked.append(1)
        time.sleep(0.05)
        return [source.origin("w")]

    origins = Origins(located(locate), Hosts(time.monotonic))
    choice = origins.choose()
    threads = [threading.Thread(target=origins.relocate, args=(choice.round,)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 2
    assert origins.choose().round == 2


def test_no_more_than_32_mib_wait_for_the_digest(tmp_path: Path) -> None:
    partial = Partial(tmp_path, Header("ab" * 32, None, "sha256:" + "cd" * 32))
    partial.open()
    work = FileState(partial, None, None, Ranges())  # type: ignore[arg-type] # nothing is fetched
    for number in range(8):
        partial.write(number << 22, memoryview(bytes(1 << 22)))
    assert not work.hash_is_behind()
    partial.write(32 << 20, memoryview(b"x"))
    assert work.hash_is_behind()
    work.hashed = 1
    assert not work.hash_is_behind()
    partial.close()


def test_mirrors_are_asked_in_order_and_rest_when_they_fail() -> None:
    source, now = MemorySource({"w": b""}), [0.0]
    a, b = source.origin("w", label="a"), source.origin("w", label="b")
    origins = origins_of([a, b], Hosts(lambda: now[0]))
    assert origins.choose().origin is a
    origins.failed(a, 0.0)
    assert origins.has_fresh()
    assert origins.choose().origin is b
    origins.failed(b, 30.0)
    assert not origins.has_fresh()
    assert origins.choose().origin is a
    now[0] = 2.0
    assert origins.choose().origin is a
    assert origins.exclude(a, Denied("403"))
    assert origins.choose().origin is b
    assert not origins.exclude(b, NotFound("404"))
    with pytest.raises(Denied, match="403"):
        origins.choose()
    with pytest.raises(NotFound, match="no source says where the file is"):
        origins_of([], Hosts(lambda: 0.0)).choose()


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("seconds", [0.0, 10.0, 30.0, 60.0])
def test_each_origin_is_asked_once_before_failures_count_however_long_each_takes(count: int, seconds: float) -> None:
    source, now = MemorySource({"w": b""}), [0.0]
    all_of_them = [source.origin("w", label=f"https://{n}.example") for n in range(count)]
    origins = origins_of(all_of_them, Hosts(lambda: now[0]))
    asked, free = [], []
    for _ in range(5 * count):
        asked.append(origins.choose().origin)
        now[0] += seconds
        origins.failed(asked[-1], 0.0)
        free.append(origins.has_fresh())
    assert asked[:count] == all_of_them
    assert free == [True] * (count - 1) + [False] * (4 * count + 1)
    origins.worked(all_of_them[-1])
    assert origins.has_fresh()
    assert origins.choose().origin is all_of_them[-1]


def test_connections_to_a_mirror_that_break_together_count_once() -> None:
    source, now = MemorySource({"w": b""}), [0.0]
    a, b = (source.origin("w", label=f"https://{name}.example") for name in "ab")
    origins = origins_of([a, b], Hosts(lambda: now[0]))
    origins.choose()
    for _ in range(8):
        origins.failed(a, 0.0)
    assert origins.has_fresh()
    origins.failed(b, 2.0)
    now[0] = 1.0
    assert origins.choose().origin is a
    origins.failed(a, 0.0)  # the second time: it rests for two seconds
    now[0] = 2.5
    assert origins.choose().origin is b


def test_a_server_that_brings_bytes_again_is_not_rested_from_any_more() -> None:
    a, hosts = MemorySource({"w": b""}).origin("w", label="https://a.example/w"), Hosts(lambda: 0.0)
    origins = origins_of([a], hosts)
    origins.choose()
    origins.failed(a, 0.0)
    assert hosts.rest(a.label) > 0
    origins.worked(a)
    assert hosts.rest(a.label) == 0


def test_wrong_bytes_weigh_more_than_a_failure() -> None:
    source, now = MemorySource({"w": b""}), [0.0]
    a, b = (source.origin("w", label=f"https://{name}.example") for name in "ab")
    origins = origins_of([a, b], Hosts(lambda: now[0]))
    origins.choose()
    origins.failed(a, 0.0)
    origins.sent(b)
    origins.distrust_senders()
    assert origins.choose().origin is b
    now[0] = 1.0
    assert origins.choose().origin is a


def test_a_file_is_hopeless_where_the_servers_of_all_its_origins_were_given_up() -> None:
    source, now = MemorySource({"w": b""}), [0.0]
    hosts = Hosts(lambda: now[0])
    a, b = (source.origin("w", label=f"https://{name}.example") for name in "ab")
    origins = origins_of([a, b], hosts)
    origins.choose()
    for origin in (a, b):
        origins.failed(origin, 0.0)
    now[0] = 15.0
    hosts.gave_up(a.label)
    assert not origins.all_given_up()
    hosts.gave_up(b.label)
    assert origins.all_given_up()


def test_hosts_rest_longer_each_time_and_what_fails_together_counts_once() -> None:
    now = [0.0]
    hosts = Hosts(lambda: now[0])
    for _ in range(8):
        hosts.failed("https://dead.example/a")
    assert (hosts.rest("https://dead.example/b"), hosts.rest("https://other.example/a")) == (1.0, 0.0)
    now[0] = 1.0
    hosts.failed("https://dead.example/b")
    assert hosts.rest("https://dead.example/a") == 2.0
    hosts.worked("https://dead.example/a")
    assert hosts.rest("https://dead.example/a") == 0.0


def test_a_host_is_hopeless_for_a_while_after_a_file_gave_it_up() -> None:
    now = [0.0]
    hosts = Hosts(lambda: now[0])
    hosts.failed("https://dead.example/a")
    assert not hosts.hopeless("https://dead.example/a")
    hosts.gave_up("https://dead.example/a")
    assert not hosts.hopeless("https://dead.example/b")  # it may only be restarted
    now[0] = 15.0
    assert hosts.hopeless("https://dead.example/b")
    assert not hosts.hopeless("https://other.example/a")
    now[0] = 31.0
    assert not hosts.hopeless("https://dead.example/b")
    hosts.gave_up("s3://[bucket]x/a")  # a label need not be a URL
    hosts.failed("s3://[bucket]x/a")
    assert hosts.rest("s3://[bucket]x/a") == 1.0


def test_prefix_digests_are_those_of_the_first_pieces() -> None:
    data = noise(2 * PIECE + 5)
    digests = Digests(Digest("git-sha1", "0" * 40), hasher("git-sha1", len(data)))
    view = memoryview(data)
    while digests.position < len(data):
        digests.feed(view[digests.position : digests.position + min(digests.room(), 5 * MIB)])
    assert digests.prefixes == [sha256(data[:PIECE]), sha256(data[: 2 * PIECE])]
    assert digests.sha256() == sha256(data)
    git = hasher("git-sha1", len(data))
    git.update(data)
    assert digests.promised() == git.hexdigest()
    digests.rewind(hasher("git-sha1", len(data)))
    assert digests.position == 0


def test_a_digest_plugin_that_raises_is_named() -> None:
    class Broken:
        def update(self, data: object, /) -> None:
            raise ValueError(data)

        def hexdigest(self) -> str:
            raise ValueError

    digests = Digests(Digest("blake3", "ab"), Broken())
    with pytest.raises(PluginError, match="blake3"):
        digests.feed(memoryview(b"x"))
    with pytest.raises(PluginError, match="blake3"):
        digests.promised()


def test_one_rotten_piece_of_a_partial_is_fetched_again_and_nothing_else(tmp_path: Path) -> None:
    data = noise(5 * PIECE + 100)  # more behind the rotten piece than may wait for the digest
    trial = Trial(tmp_path / "store", QUICK)
    source = MemorySource({"w": data})
    whole = threading.Event()

    def all_but_the_end(request: Request, body: bytes) -> Answer | Exception | None:
        if whole.is_set():
            return None
        if request.start >= 5 * PIECE:
            return Unavailable("later", retry_after=1.0)  # time enough for the digest to follow
        stop = min(request.stop or len(body), 5 * PIECE)
        return Answer(source.pieces(body[request.start : stop]), request.start, len(body))

    source.fault = all_but_the_end
    fetch = pinned("w", data, [source.origin("w")])
    trial.run(fetch, retries=1)
    held = trial.root / "partial" / sha256(data) / "data"
    before = source.sent
    with held.open("r+b") as file:
        file.seek(PIECE + 77)
        file.write(b"rot")
    whole.set()
    fetched = trial.fetch(fetch)
    assert trial.bytes_of(fetched) == data
    again = source.sent - before
    assert again <= PIECE + (len(data) - before) + MIB
