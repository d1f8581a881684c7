"""How long a download is tried again, over real sockets with small limits."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelpm.api import Context, Network
from modelpm.api.types import RemoteFile
from modelpm.errors import Denied, ModelpmError, NotFound, Unavailable
from modelpm.plugins.kinds.source import GuardedSource
from modelpm.testing import FAULTS, Exchange, Fault, FaultServer
from modelpm.testing.faults import outage
from modelpm.transfer import Fetched, Options, Origin, engine
from tests.support.memory_source import ENTRY, MemorySource, Request
from tests.support.sources import Plain
from tests.support.transfers import Trial, noise, pinned

MIB = 1 << 20
DATA = noise(24 * MIB)
SHORT = Options(jobs=4, retries=2, outage=0.0, idle_timeout=0.6, first_byte_timeout=2.0, backoff=0.05)


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path / "store", SHORT)


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer({"/w": DATA}) as server:
        yield server


def origin(server: FaultServer, path: str = "/w", first_byte: float = SHORT.first_byte_timeout) -> Origin:
    network = Network(connect_timeout=2.0, idle_timeout=SHORT.idle_timeout, first_byte_timeout=first_byte)
    url = server.url(path)
    remote = RemoteFile(path, len(server.files[path]), None, (url,))
    return Origin(GuardedSource.of(ENTRY, Plain(Context(network=network))), remote, url, url)


def run(trial: Trial, server: FaultServer, fault: Fault, **options: object) -> Fetched | ModelpmError:
    server.fault = fault
    (result,) = trial.run(pinned("/w", server.files["/w"], [origin(server)]), **options)
    return result


def paced(exchange: Exchange, rate: int = 4 * MIB) -> None:
    """Serve well, and no faster than that."""
    body, piece = exchange.begin(), max(1, rate // 20)
    for at in range(0, len(body), piece):
        exchange.body(body[at : at + piece])
        if exchange.ended.wait(0.05):
            exchange.hang_up()


def reasons(trial: Trial) -> list[str]:
    return [str(fields["code"]) for action, fields in trial.events if action == "file.retry"]


def test_an_outage_is_outlived_where_the_host_has_served_something(trial: Trial, server: FaultServer) -> None:
    assert isinstance(run(trial, server, outage(1.0), outage=10.0), Fetched)
    assert server.sent < 2 * len(DATA)  # what a reset throws away on the way was sent, too


def test_an_outage_costs_the_tries_alone_where_they_were_given(trial: Trial, server: FaultServer) -> None:
    began = time.monotonic()
    result = run(trial, server, outage(20.0))
    assert isinstance(result, Unavailable)
    assert "gave up after 3 tries (2 retries) without progress" in result.message
    assert time.monotonic() - began < 5.0


def test_a_host_that_never_served_anything_costs_the_tries_alone(trial: Trial, server: FaultServer) -> None:
    began = time.monotonic()
    assert isinstance(run(trial, server, FAULTS["no_answer"], outage=20.0), Unavailable)
    # What closes without an answer is asked once more by a fresh connection, and once without a range; in 20 seconds
    # of an outage there would be dozens.
    assert len(server.heads) <= 3 * (3 + 1)
    assert time.monotonic() - began < 5.0


def limited(status: str, most: int = 2) -> Fault:
    """Allow so many connections at once, and refuse the others."""
    busy, lock = [0], threading.Lock()

    def some(exchange: Exchange) -> None:
        with lock:
            allowed = busy[0] < most
            busy[0] += allowed
        if not allowed:
            exchange.refuse(status)
            return
        try:
            paced(exchange, 12 * MIB)
        finally:
            with lock:
                busy[0] -= 1

    return some


@pytest.mark.parametrize("status", ["403 Forbidden", "404 Not Found", "401 Unauthorized", "400 Bad Request"])
def test_a_server_of_two_connections_refuses_the_third_and_gets_fewer(
    trial: Trial, server: FaultServer, status: str
) -> None:
    assert isinstance(run(trial, server, limited(status)), Fetched)
    assert any(head for head in server.heads[2:])
    assert reasons(trial)


def test_one_404_among_bytes_that_flow_is_no_verdict(trial: Trial, server: FaultServer) -> None:
    def edge(exchange: Exchange) -> None:
        (Exchange.refuse(exchange, "404 Not Found") if exchange.number == 2 else paced(exchange))

    assert isinstance(run(trial, server, edge), Fetched)


def test_a_refusal_before_any_byte_is_a_verdict_at_once(trial: Trial, server: FaultServer) -> None:
    began = time.monotonic()
    assert isinstance(run(trial, server, FAULTS["forbidden"], outage=20.0), Denied)
    assert time.monotonic() - began < 10.0  # far from the outage
    # Each also without a range; and again with fewer, where another connection was still open.
    assert len(server.heads) <= 5 * SHORT.jobs


def test_a_file_that_goes_away_while_it_is_fetched_ends_in_what_the_server_says(
    trial: Trial, server: FaultServer
) -> None:
    gone = threading.Event()

    def vanishing(exchange: Exchange) -> None:
        if gone.is_set():
            exchange.refuse("404 Not Found")
            return
        body = exchange.begin()
        exchange.body(body[:MIB])
        gone.set()
        exchange.hang_up()

    began = time.monotonic()
    result = run(trial, server, vanishing, outage=20.0)
    assert isinstance(result, NotFound), result
    assert time.monotonic() - began < 5.0


def test_a_refusal_of_another_file_counts_where_the_server_only_has_a_bad_moment(trial: Trial) -> None:
    refused = threading.Event()

    def fault(exchange: Exchange) -> None:
        if exchange.path == "/other" and not refused.is_set():
            refused.set()
            exchange.refuse("403 Forbidden")
        else:
            paced(exchange)

    with FaultServer({"/w": DATA, "/other": DATA[: 5 * MIB]}, fault) as server:
        source = Plain(Context())

        def late(exchange: Exchange) -> None:
            while exchange.path == "/other" and server.sent == 0 and not exchange.ended.wait(0.01):
                if any(path == "/w" for path, _ in server.heads) and time.monotonic() > soon:
                    break
            fault(exchange)

        soon = time.monotonic() + 1.0
        server.fault = late
        del source
        results = trial.run(
            *(pinned(path, server.files[path], [origin(server, path)]) for path in ("/w", "/other")), jobs=2
        )
    assert all(isinstance(result, Fetched) for result in results), results
    assert refused.is_set()


def test_storage_that_refuses_every_link_says_so_in_its_own_words_and_soon(trial: Trial) -> None:
    words = "Auth failed: SignatureError: invalid key pair id"
    with FaultServer({"/blob": b""}, lambda e: e.refuse("403 Forbidden", words)) as storage:
        links: list[str] = []

        def redirect(exchange: Exchange) -> None:
            links.append(f"{storage.origin}/blob?Signature=canary{len(links)}")
            exchange.refuse("302 Found", "", Location=links[-1])

        with FaultServer({"/w": DATA}) as server:
            began = time.monotonic()
            result = run(trial, server, redirect, retries=5, jobs=1)
    assert isinstance(result, Unavailable)
    assert words in result.message
    assert "canary" not in result.message
    assert len(links) <= 2 * 3  # each try also without a range
    assert time.monotonic() - began < 5.0


def test_a_trickle_on_every_connection_ends_and_keeps_what_came(trial: Trial, server: FaultServer) -> None:
    began = time.monotonic()
    result = run(trial, server, FAULTS["trickle"])
    assert isinstance(result, Unavailable)
    assert result.code in {"trickle", "stalled"}
    assert time.monotonic() - began < 30 * SHORT.idle_timeout
    assert trial.leftovers()
    came = trial.progress[-1].downloaded
    again = run(trial, server, Exchange.serve)
    assert isinstance(again, Fetched)
    assert MIB < came <= len(DATA) + MIB - again.downloaded


def test_a_burst_at_each_try_does_not_keep_a_trickle_alive(trial: Trial, server: FaultServer) -> None:
    def burst(exchange: Exchange) -> None:
        body = exchange.begin()
        exchange.body(body[:7_000])
        for byte in body[7_000:]:
            exchange.body(bytes([byte]))
            if exchange.ended.wait(0.2):
                exchange.hang_up()

    server.files["/w"] = DATA[:96_000]  # 7,000 bytes are progress there
    result = run(trial, server, burst)
    assert isinstance(result, Unavailable)
    assert len(server.heads) <= 4


def test_a_trickle_beside_others_is_replaced_within_two_idle_times(trial: Trial, server: FaultServer) -> None:
    began: list[float] = []

    def one_bad(exchange: Exchange) -> None:
        if exchange.number != 1:
            paced(exchange, 2 * MIB)
            return
        began.append(time.monotonic())
        body = exchange.begin()
        for at in range(0, len(body), 500):
            exchange.body(body[at : at + 500])
            if exchange.ended.wait(0.2):
                exchange.hang_up()

    noticed: list[float] = []
    server.fault = one_bad

    def emit(action: str, _fields: object) -> None:
        if action == "file.retry":
            noticed.append(time.monotonic())

    trial.events = _Watched(emit)
    assert isinstance(run(trial, server, one_bad), Fetched)
    assert noticed[0] - began[0] < 2 * SHORT.idle_timeout + 3


class _Watched(list):  # type: ignore[type-arg]
    """Events that are also looked at as they come."""

    def __init__(self, emit: object) -> None:
        super().__init__()
        self._emit = emit

    def append(self, event: object) -> None:
        super().append(event)
        self._emit(*event)  # type: ignore[operator, misc]


def test_a_slow_line_is_no_trickle(trial: Trial, server: FaultServer) -> None:
    turn = threading.Lock()

    def line(exchange: Exchange) -> None:
        body = exchange.begin()
        for at in range(0, len(body), 1024):
            with turn:
                time.sleep(0.05)  # 20 KiB a second over all connections
            exchange.body(body[at : at + 1024])

    server.files["/w"] = DATA[: 100 << 10]
    assert isinstance(run(trial, server, line), Fetched)
    assert reasons(trial) == []


def test_a_fast_line_that_becomes_slow_is_gone_on_with(trial: Trial, server: FaultServer) -> None:
    turn, slow = threading.Lock(), threading.Event()

    def line(exchange: Exchange) -> None:
        body = exchange.begin()
        for at in range(0, len(body), 2048):
            if server.sent + exchange.sent > MIB:
                slow.set()
            with turn:
                time.sleep(0.1 if slow.is_set() else 0.001)  # 2 MiB, then 20 KiB a second
            exchange.body(body[at : at + 2048])

    server.files["/w"] = DATA[: MIB + (120 << 10)]
    assert isinstance(run(trial, server, line), Fetched)
    assert set(reasons(trial)) <= {"replaced"}


def test_a_registry_may_take_longer_to_begin_than_to_go_on(trial: Trial, server: FaultServer) -> None:
    def cold(exchange: Exchange) -> None:
        exchange.ended.wait(1.6 * SHORT.idle_timeout)
        exchange.serve()

    server.fault = cold
    wanted = pinned("/w", DATA, [origin(server, first_byte=20.0)])
    assert isinstance(trial.run(wanted, retries=0, first_byte_timeout=20.0)[0], Fetched)


def test_one_that_never_begins_is_told_apart_and_the_setting_is_named(trial: Trial, server: FaultServer) -> None:
    def silent(exchange: Exchange) -> None:
        exchange.ended.wait(20)

    result = run(trial, server, silent, retries=0)
    assert isinstance(result, Unavailable)
    assert "sent no answer within 2.0s" in result.message
    assert any("modelpm config set network.first-byte-timeout" in hint for hint in result.hints)


@pytest.mark.parametrize("error", [ConnectionResetError(104, "reset"), TimeoutError("late"), EOFError("cut")])
def test_a_foreign_source_whose_connection_breaks_is_asked_again(trial: Trial, error: Exception) -> None:
    source = MemorySource({"w": DATA})
    source.fault = lambda request, _: error if request.number == 0 else None
    assert isinstance(trial.run(pinned("w", DATA, [source.origin("w")]))[0], Fetched)

    def always(_request: Request, _data: bytes) -> Exception:
        return error

    source.fault = always
    other = noise(1000, 7)
    source.files["o"] = other
    (result,) = trial.run(pinned("o", other, [source.origin("o")]))
    assert isinstance(result, Unavailable)
    assert "of modelpm-tests 1" in result.message


def test_a_plugin_that_does_not_come_back_from_open_is_given_up_when_it_is_said(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_OPENING", 0.5)
    release = threading.Event()
    source = MemorySource({"w": DATA[:1000]})

    def stuck(_request: Request, _data: bytes) -> None:
        release.wait(60)

    source.fault = stuck
    began = time.monotonic()
    (result,) = trial.run(pinned("w", DATA[:1000], [source.origin("w")]), retries=0)
    release.set()
    assert isinstance(result, Unavailable)
    assert "no answer for 2.5 s" in result.message
    assert 2.5 <= time.monotonic() - began < 30
