import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, SupportsIndex

import pytest

from modelpm.api.events import Bus
from modelpm.api.types import Digest, Status, Stream
from modelpm.errors import Denied, Expired, IntegrityError, Interrupted, NotFound, PluginError, Unavailable
from modelpm.store.blobs.records import PIECE
from modelpm.transfer import Engine, Fetch, Fetched, Options, RunProgress
from modelpm.transfer.download import Download
from modelpm.transfer.engine import _Run
from tests.support.memory_source import Answer, MemorySource, Request
from tests.support.transfers import HASHERS, QUICK, Trial, hasher, noise, pinned, sha256, unpinned

MIB = 1 << 20


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path / "store")


def test_a_file_arrives_whole_under_its_digest(trial: Trial) -> None:
    data = noise(40 * MIB + 17)
    source = MemorySource({"w": data})
    fetched = trial.fetch(pinned("w", data, [source.origin("w")]))
    assert fetched == Fetched(sha256(data), len(data), len(data), "memory/w")
    assert trial.bytes_of(fetched) == data
    assert trial.store.check(fetched.sha256, len(data)) is None
    assert trial.leftovers() == []
    assert trial.actions() == ["file.start", "file.verify", "file.done"]
    assert source.sent == len(data)
    assert len(source.requests) > 1


def test_many_small_files_arrive_in_the_order_asked(trial: Trial) -> None:
    files = {f"f{i}": noise(1000 + i, i) for i in range(40)}
    source = MemorySource(files)
    results = trial.run(*(pinned(n, d, [source.origin(n)]) for n, d in files.items()))
    assert [r.sha256 for r in results if isinstance(r, Fetched)] == [sha256(d) for d in files.values()]


def test_an_empty_file_needs_no_request(trial: Trial) -> None:
    source = MemorySource({"e": b""})
    fetched = trial.fetch(pinned("e", b"", [source.origin("e")]))
    assert (fetched.size, trial.bytes_of(fetched), source.requests) == (0, b"", [])


def test_what_is_in_the_store_is_not_fetched(trial: Trial) -> None:
    data = noise(1000)
    source = MemorySource({"w": data})
    fetch = pinned("w", data, [source.origin("w")])
    trial.fetch(fetch)
    assert trial.fetch(fetch).downloaded == 0
    assert len(source.requests) == 1


def test_the_same_blob_wanted_twice_is_downloaded_once(trial: Trial) -> None:
    data = noise(5 * MIB)
    source = MemorySource({"w": data})
    fetch = pinned("w", data, [source.origin("w")])
    results = trial.run(fetch, fetch, fetch)
    assert sorted(r.downloaded for r in results if isinstance(r, Fetched)) == [0, 0, len(data)]
    assert source.sent == len(data)


def test_git_sha1_is_checked_and_the_sha256_learned(trial: Trial) -> None:
    data = noise(70_000)
    git = hasher("git-sha1", len(data))
    git.update(data)
    source = MemorySource({"w": data})
    fetch = Fetch("model", "w", len(data), Digest("git-sha1", git.hexdigest()), "ab" * 32, lambda: [source.origin("w")])
    assert trial.fetch(fetch).sha256 == sha256(data)
    trial.store.remove(sha256(data))
    source.files["w"] = noise(70_000, 1)
    (result,) = trial.run(fetch)
    assert isinstance(result, IntegrityError)
    assert result.details["expected"] == git.hexdigest()


@pytest.mark.parametrize("size", [None, 3 * MIB])
@pytest.mark.parametrize("total", [True, False])
@pytest.mark.parametrize("validator", [None, '"v1"'])
def test_a_file_without_digest_is_learned(trial: Trial, size: int | None, total: bool, validator: str | None) -> None:
    data = noise(3 * MIB)
    source = MemorySource({"w": data})
    source.fault = lambda r, d: Answer(
        source.pieces(d[r.start : r.stop]), r.start, len(d) if total else None, validator
    )
    fetched = trial.fetch(unpinned("w", size, [source.origin("w")]))
    assert (fetched.sha256, fetched.size) == (sha256(data), len(data))


def test_chunks_serve_where_there_is_no_readinto(trial: Trial) -> None:
    data = noise(20 * MIB)
    source = MemorySource({"w": data}, readinto=False)
    assert trial.bytes_of(trial.fetch(pinned("w", data, [source.origin("w")]))) == data


@pytest.mark.parametrize("at", [0, 1, 999, 100_000, 1_000_000])
def test_a_stream_that_breaks_is_gone_on_with(trial: Trial, at: int) -> None:
    data = noise(1_500_000)
    source = MemorySource({"w": data})

    def breaking(body: bytes) -> Iterator[bytes]:
        yield from source.pieces(body)
        raise Unavailable("connection reset")

    def fault(request: Request, data: bytes) -> Answer | None:
        if request.number == 0:
            return Answer(breaking(data[:at]), 0, len(data))
        return None

    source.fault = fault
    fetched = trial.fetch(pinned("w", data, [source.origin("w")]))
    assert trial.bytes_of(fetched) == data
    assert source.sent == len(data)
    assert trial.actions().count("file.retry") == 1


def test_a_stream_that_ends_too_early_is_gone_on_with(trial: Trial) -> None:
    data = noise(1_500_000)
    source = MemorySource({"w": data})
    source.fault = lambda r, d: Answer(source.pieces(d[:500_000]), 0, len(d)) if r.number == 0 else None
    assert trial.bytes_of(trial.fetch(pinned("w", data, [source.origin("w")]))) == data
    assert source.requests[1].start == 500_000


def test_a_source_without_ranges_gets_one_stream(trial: Trial) -> None:
    data = noise(50 * MIB)
    source = MemorySource({"w": data})
    source.fault = lambda _, d: Answer(source.pieces(d), 0, len(d))
    fetched = trial.fetch(pinned("w", data, [source.origin("w")]))
    assert trial.bytes_of(fetched) == data
    assert source.sent < 2 * len(data)


def test_more_bytes_than_wanted_are_cut_off(trial: Trial) -> None:
    data = noise(3 * MIB)
    source = MemorySource({"w": data})

    def endless(start: int) -> Iterator[bytes]:
        yield data[start:]
        while True:
            yield b"x" * 65536

    source.fault = lambda r, _: Answer(endless(r.start), r.start, None)
    assert trial.bytes_of(trial.fetch(pinned("w", data, [source.origin("w")]))) == data
    assert source.sent < 2 * len(data)


def test_a_wrong_total_is_an_integrity_error_in_the_end(trial: Trial) -> None:
    data = noise(3 * MIB)
    source = MemorySource({"w": data[:-5]})
    (result,) = trial.run(pinned("w", data, [source.origin("w")]))
    assert isinstance(result, IntegrityError)
    assert (result.code, result.details["expected"], result.details["actual"]) == (
        "size_mismatch",
        len(data),
        len(data) - 5,
    )
    assert source.sent == 0


def test_one_flipped_bit_is_healed(trial: Trial) -> None:
    data = noise(3 * MIB)
    bad = bytearray(data)
    bad[12345] ^= 1
    source = MemorySource({"w": data})
    source.fault = lambda r, _: Answer(iter([bytes(bad)]), 0, len(bad)) if r.number == 0 else None
    fetched = trial.fetch(pinned("w", data, [source.origin("w")]))
    assert trial.bytes_of(fetched) == data
    assert source.sent == 2 * len(data)
    assert [p.name for p in (trial.root / "quarantine").iterdir()] == [f"{sha256(data)}-{sha256(bytes(bad))}"]


def test_wrong_bytes_cost_the_file_once_more_however_long_it_is(trial: Trial) -> None:
    data = noise(2 * PIECE + 5)
    wrong = bytes([data[0] ^ 1]) + data[1:]
    source = MemorySource({"w": data})
    source.fault = lambda r, _: (
        Answer(source.pieces(wrong[r.start : r.stop]), r.start, len(data)) if not r.number else None
    )
    fetched = trial.fetch(pinned("w", data, [source.origin("w")]))
    assert trial.bytes_of(fetched) == data
    assert source.sent == 2 * len(data)


def test_wrong_bytes_always_are_exit_4_with_both_digests(trial: Trial) -> None:
    data, bad = noise(3 * MIB), noise(3 * MIB, 1)
    source = MemorySource({"w": bad})
    (result,) = trial.run(pinned("w", data, [source.origin("w")]))
    assert isinstance(result, IntegrityError)
    assert result.code == "digest_mismatch"
    assert result.details == {"expected": sha256(data), "actual": sha256(bad), "model": "model", "file": "w"}
    assert not trial.store.has(sha256(data), len(data))
    assert trial.leftovers() == []
    assert source.sent == 2 * len(data)
    assert trial.actions()[-1] == "file.failed"


def test_after_wrong_bytes_another_origin_is_asked_first(trial: Trial) -> None:
    data, bad = noise(3 * MIB), noise(3 * MIB, 1)
    poisoned, good = MemorySource({"w": bad}), MemorySource({"w": data})
    origins = [poisoned.origin("w", label="poisoned"), good.origin("w", label="good")]
    assert trial.fetch(pinned("w", data, origins)).source == "good/w"
    assert (poisoned.sent, good.sent) == (len(data), len(data))


def test_a_dead_mirror_rests_and_the_next_takes_over_in_mid_file(trial: Trial) -> None:
    data = noise(30 * MIB)
    dying, good = MemorySource({"w": data}), MemorySource({"w": data})

    def until_dead(body: bytes) -> Iterator[bytes]:
        for piece in dying.pieces(body):
            if dying.sent > 5 * MIB:
                raise Unavailable("dead")
            yield piece

    dying.fault = lambda r, d: Answer(until_dead(d[r.start : r.stop]), r.start, len(d))
    origins = [dying.origin("w", label="dying"), good.origin("w", label="good")]
    fetched = trial.fetch(pinned("w", data, origins))
    assert trial.bytes_of(fetched) == data
    assert good.sent < len(data) - 4 * MIB
    assert "file.mirror" in trial.actions()


def test_an_expired_location_is_located_again(trial: Trial) -> None:
    data = noise(2 * MIB)
    source = MemorySource({"old": data, "new": data})
    located: list[str] = []

    def locate() -> list[object]:
        located.append("old" if not located else "new")
        return [source.origin(located[-1])]

    def fault(request: Request, data: bytes) -> Answer | Exception | None:
        if request.path != "old":
            return None
        return Expired("ran out") if request.start else Answer(source.pieces(data[: MIB // 2]), 0, len(data))

    source.fault = fault
    fetch = pinned("w", data, [])
    fetched = trial.fetch(Fetch("model", "w", fetch.size, fetch.digest, fetch.key, locate))  # type: ignore[arg-type]
    assert located == ["old", "new"]
    assert trial.bytes_of(fetched) == data
    assert source.sent == len(data)


def test_retries_without_progress_end(trial: Trial) -> None:
    source = MemorySource({"w": b"x" * 100}, fault=lambda _r, _d: Unavailable("503"))
    (result,) = trial.run(pinned("w", b"x" * 100, [source.origin("w")]), retries=3)
    assert isinstance(result, Unavailable)
    assert result.exit_code == 6
    assert len(source.requests) == 4


def test_retries_end_where_no_mirror_ever_answers_however_slowly(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelpm.network.health._REST_CAP", 0.0)  # every rest is over when the next one has failed
    silent = MemorySource({"w": b"x"}, fault=lambda _r, _d: Unavailable("went silent", code="stalled"))
    (result,) = trial.run(pinned("w", b"x", [silent.origin("w", label=name) for name in "abc"]), retries=3)
    assert isinstance(result, Unavailable)
    assert len(silent.requests) == 2 + 4  # each mirror once, and then the tries that count


def test_a_server_that_one_file_gave_up_costs_the_next_one_try(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelpm.network.health._OUTAGE", 0.0)
    source = MemorySource({"a": b"a", "b": b"b"}, fault=lambda _r, _d: Unavailable("no answer", code="network"))
    fetches = [pinned(path, path.encode(), [source.origin(path, label="https://dead.example")]) for path in "ab"]
    engine = Engine(trial.store, HASHERS, replace(QUICK, retries=3), Bus())
    for fetch in fetches:
        (result,) = engine.run([fetch], tick=lambda _files: None, cancelled=trial.cancelled)
        assert isinstance(result, Unavailable)
    assert [request.path for request in source.requests] == ["a", "a", "a", "a", "b"]

    source.fault = lambda r, _d: Unavailable("503", status=503) if r.number < 7 else None
    (result,) = engine.run([fetches[1]], tick=lambda _files: None, cancelled=trial.cancelled)
    assert isinstance(result, Fetched)


@pytest.mark.parametrize("error", [Denied("403"), NotFound("404")])
def test_a_refusal_moves_on_to_the_next_origin_or_is_final(trial: Trial, error: Exception) -> None:
    data = noise(1000)
    bad, good = MemorySource({"w": data}, fault=lambda _r, _d: error), MemorySource({"w": data})
    (result,) = trial.run(pinned("w", data, [bad.origin("w", label="bad")]))
    assert result is error
    assert len(bad.requests) == 1
    assert trial.fetch(pinned("w", data, [bad.origin("w", label="bad"), good.origin("w", label="good")])).size == 1000


def test_a_fault_of_the_plugin_is_never_retried(trial: Trial) -> None:
    source = MemorySource({"w": b"x"}, fault=lambda _r, _d: ValueError("bug"))
    (result,) = trial.run(pinned("w", b"x", [source.origin("w")]))
    assert isinstance(result, PluginError)
    assert len(source.requests) == 1


def test_one_failure_leaves_the_other_files_alone(trial: Trial) -> None:
    data = noise(2 * MIB)
    source, dead = MemorySource({"w": data}), MemorySource({"d": data}, fault=lambda _r, _d: NotFound("gone"))
    other = noise(100, 7)
    bad, good = trial.run(pinned("d", other, [dead.origin("d")]), pinned("w", data, [source.origin("w")]))
    assert isinstance(bad, NotFound)
    assert isinstance(good, Fetched)


def test_retry_after_is_waited_for(trial: Trial) -> None:
    data = noise(1000)
    source = MemorySource({"w": data})
    source.fault = lambda r, _: Unavailable("429", retry_after=0.4) if r.number == 0 else None
    began = time.monotonic()
    trial.fetch(pinned("w", data, [source.origin("w")]))
    assert time.monotonic() - began >= 0.4


@pytest.mark.parametrize("how", ["works", "is missing", "raises"])
def test_a_silent_stream_is_given_up(trial: Trial, how: str) -> None:
    data = noise(3 * MIB)
    source, release = MemorySource({"w": data}), threading.Event()

    def broken() -> None:
        raise RuntimeError("a bug in a plugin")

    abort = {"works": release.set, "is missing": None, "raises": broken}[how]

    def silent(body: bytes) -> Iterator[bytes]:
        yield body
        release.wait(20)
        yield b"never to be written" * 1000

    def fault(request: Request, data: bytes) -> Answer | None:
        if request.number == 0:
            return Answer(silent(data[:MIB]), 0, len(data), abort=abort)
        return None

    source.fault = fault
    fetched = trial.fetch(pinned("w", data, [source.origin("w")]), idle_timeout=0.5)
    release.set()
    assert trial.bytes_of(fetched) == data
    assert any("no byte for" in f["reason"] for a, f in trial.events if a == "file.retry")


@pytest.mark.parametrize("promised", [True, False])
def test_a_mirror_is_asked_only_for_bytes_that_are_promised(trial: Trial, promised: bool) -> None:
    data = noise(MIB)
    mirror, source = MemorySource({"w": data}), MemorySource({"w": data})
    origins = [replace(mirror.origin("w", label="mirror"), mirror=True), source.origin("w")]
    fetched = trial.fetch(pinned("w", data, origins) if promised else unpinned("w", MIB, origins))
    assert trial.bytes_of(fetched) == data
    assert bool(mirror.requests) == promised


def test_a_drip_is_given_up(trial: Trial) -> None:
    data = noise(MIB)
    source, stop = MemorySource({"w": data}), threading.Event()

    def drip(body: bytes) -> Iterator[bytes]:
        for i in range(len(body)):
            stop.wait(0.02)
            yield body[i : i + 1]

    source.fault = lambda r, d: Answer(drip(d), 0, len(d), abort=stop.set) if r.number == 0 else None
    fetched = trial.fetch(pinned("w", data, [source.origin("w")]), idle_timeout=0.5)
    assert trial.bytes_of(fetched) == data
    assert "B a second" in next(f["reason"] for a, f in trial.events if a == "file.retry")


@pytest.mark.parametrize("abortable", [True, False])
def test_cancelling_stops_within_a_second_and_keeps_the_partial(trial: Trial, abortable: bool) -> None:
    data = noise(4 * MIB)
    source, release = MemorySource({"w": data}), threading.Event()

    def stuck(request: Request, data: bytes) -> Answer:
        def body() -> Iterator[bytes]:
            yield data[request.start : MIB]
            threading.Timer(0.7, trial.cancelled.set).start()
            release.wait(20)

        return Answer(body(), request.start, len(data), abort=release.set if abortable else None)

    source.fault = stuck
    fetch = pinned("w", data, [source.origin("w")])
    threads = threading.active_count()
    began = time.monotonic()
    (result,) = trial.run(fetch, idle_timeout=30.0)
    assert time.monotonic() - began < 0.7 + 5.0  # far from the idle timeout
    assert isinstance(result, Interrupted)
    assert trial.ticks[-1][0].status == Status.CANCELLED
    release.set()
    trial.cancelled = threading.Event()
    source.fault = None
    before = source.sent
    assert trial.bytes_of(trial.fetch(fetch)) == data
    assert source.sent - before == len(data) - MIB
    assert threading.active_count() <= threads + 3


def test_progress_never_goes_back_and_ends_at_the_size(trial: Trial) -> None:
    data = noise(30 * MIB)
    bad = bytearray(data)
    bad[-1] ^= 1
    source = MemorySource({"w": data})

    def slow(body: bytes) -> Iterator[bytes]:
        for piece in source.pieces(body):
            time.sleep(0.01)
            yield piece

    source.fault = lambda r, d: Answer(
        slow(bytes(bad[r.start : r.stop]) if source.sent < len(d) else d[r.start : r.stop]), r.start, len(d)
    )
    trial.fetch(pinned("w", data, [source.origin("w")]))
    figures = [p[0].downloaded for p in trial.ticks]
    assert figures == sorted(figures)
    assert figures[-1] == len(data)
    assert trial.ticks[-1][0].status == Status.COMPLETED
    assert len(figures) > 3


def test_a_failing_tick_stops_the_run(trial: Trial) -> None:
    data = noise(4 * MIB)
    source = MemorySource({"w": data})

    class Stop(Exception):  # noqa: N818
        pass

    def tick(_: object) -> None:
        raise Stop

    engine = Engine(trial.store, HASHERS, Options(), Bus())
    with pytest.raises(Stop):
        engine.run([pinned("w", data, [source.origin("w")])], tick=tick, cancelled=threading.Event())


def test_a_run_that_is_cancelled_while_another_is_at_the_file_was_interrupted(trial: Trial) -> None:
    data, cancelled = noise(1000), threading.Event()

    def tick(progress: RunProgress) -> None:
        if any(file.status is Status.DOWNLOADING for file in progress.files):  # it waits
            cancelled.set()

    engine, fetch = Engine(trial.store, HASHERS, Options(), Bus()), pinned("w", data, [])
    with trial.store.lock(fetch.key):
        (result,) = engine.run([fetch], tick=tick, cancelled=cancelled)
    assert isinstance(result, Interrupted)


@pytest.mark.parametrize(("readinto", "said"), [(True, "readinto returned"), (False, "answered with a str as piece")])
def test_a_stream_that_is_none_is_its_plugins_fault(trial: Trial, *, readinto: bool, said: str) -> None:
    class Odd(MemorySource):
        @contextmanager
        def open(self, *args: Any, **options: Any) -> Iterator[Stream]:
            with super().open(*args, **options) as stream:
                chunks: Any = iter(["text"])
                yield replace(stream, chunks=chunks, readinto=(lambda buffer: len(buffer) + 1) if readinto else None)

    with pytest.raises(PluginError, match=said):
        trial.fetch(pinned("w", noise(1000), [Odd({"w": noise(1000)}).origin("w")]))
    assert not list(trial.store.blobs())


def test_no_file_is_lost_as_one_thread_takes_the_next(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {str(number): noise(1000, number) for number in range(2)}
    source = MemorySource(files)
    wanted = [pinned(name, data, [source.origin(name)]) for name, data in files.items()]
    trial.fetch(wanted[0])  # so that it ends at once the next time, before the other was begun

    class Slowly(list[Download]):
        def pop(self, index: SupportsIndex = -1) -> Download:
            download = super().pop(index)
            if threading.current_thread().name == "modelpm-file":
                threading.Event().wait(0.4)
            return download

    begin = _Run.__init__

    def init(self: _Run, *args: Any) -> None:
        begin(self, *args)
        self._waiting = Slowly(self._waiting)

    monkeypatch.setattr(_Run, "__init__", init)

    assert all(isinstance(result, Fetched) for result in trial.run(*wanted))


def test_progress_names_what_is_under_way_and_each_end_once(trial: Trial) -> None:
    contents = {f"w{n}": noise(1000 + n) for n in range(300)}
    source = MemorySource(contents)
    trial.run(*(pinned(name, data, [source.origin(name)]) for name, data in contents.items()), jobs=4)
    ended = [f.path for files in trial.ticks for f in files if f.status is Status.COMPLETED]
    assert sorted(ended) == sorted(contents)
    assert all(sum(f.status is not Status.COMPLETED for f in files) <= 4 for files in trial.ticks), "none that waits"
    figures = [p.downloaded for p in trial.progress]
    assert figures == sorted(figures)
    total = sum(map(len, contents.values()))
    assert (trial.progress[-1].downloaded, trial.progress[-1].received) == (total, total)
