"""Every fault a server can commit, at a fresh, a resumed and a parallel download, over real sockets."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from modelpm.api.types import Context, Digest, Network, RemoteFile
from modelpm.errors import Denied, IntegrityError, ModelpmError, Unavailable
from modelpm.plugins.kinds.source import GuardedSource
from modelpm.testing import FAULTS, Exchange, FaultServer, first
from modelpm.testing.faults import end
from modelpm.transfer import Fetch, Options, Origin
from tests.support.memory_source import ENTRY
from tests.support.sources import Plain
from tests.support.transfers import Trial, noise, pinned, sha256, unpinned

MIB = 1 << 20
HASTY = Options(jobs=4, retries=3, outage=0.0, idle_timeout=0.5, first_byte_timeout=2.0, backoff=0.01)
REFUSED = {"forbidden", "redirect_loop", "redirect_nowhere"}  # asking again would not help
HARMLESS = {
    *("ignore_range", "weak_etag", "garbage", "endless", "chunked", "no_plain_get", "unknown_total", "part_as_whole"),
    *("range_refused", "range_reset", "compressed", "gzip", "silent_part", "trailers"),
}
UNTRUE = {"short", "lying_range", "flip", "changed"}
SMALL, LARGE = noise(300_001), noise(9 * MIB + 5, 1)  # one range, and two


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer({"/w": SMALL, "/large": LARGE}) as server:
        yield server


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path / "store", HASTY)


def origin(server: FaultServer, path: str = "/w", query: str = "") -> Origin:
    idle, first_byte = HASTY.idle_timeout, HASTY.first_byte_timeout
    network = Network(connect_timeout=2.0, idle_timeout=idle, first_byte_timeout=first_byte)
    source = Plain(Context(network=network))
    url = server.url(path) + query
    return Origin(
        GuardedSource.of(ENTRY, source),
        RemoteFile(path, len(server.files[path]), Digest("sha256", sha256(server.files[path])), (url,)),
        url,
        server.url(path),
    )


def wanted(server: FaultServer, path: str = "/w") -> Fetch:
    return pinned(path, server.files[path], [origin(server, path)])


@pytest.mark.parametrize("name", sorted(set(FAULTS) - REFUSED))
def test_a_fresh_download_heals(server: FaultServer, trial: Trial, name: str) -> None:
    server.fault = first(1 if name in UNTRUE else 2, FAULTS[name])
    fetched = trial.fetch(wanted(server))
    assert trial.bytes_of(fetched) == SMALL
    assert trial.leftovers() == []
    assert server.sent <= 3 * len(SMALL) + 64 * 65536  # what a socket's buffers swallow of an endless body is not ours


@pytest.mark.parametrize("name", sorted(set(FAULTS) - REFUSED))
def test_a_resumed_download_heals(server: FaultServer, trial: Trial, name: str) -> None:
    server.fault = end
    (result,) = trial.run(wanted(server), retries=0)
    assert isinstance(result, Unavailable)
    sent = server.sent
    assert 0 < sent < len(SMALL)
    server.fault = first(1, FAULTS[name])
    fetched = trial.fetch(wanted(server))
    assert trial.bytes_of(fetched) == SMALL
    if name in {"reset", "end", "no_answer", "too_many", "unavailable", "weak_etag", "no_plain_get", "chunked_cut"}:
        assert fetched.downloaded <= len(SMALL) - sent + (sent if name == "chunked_cut" else 0)


@pytest.mark.parametrize("name", sorted(set(FAULTS) - REFUSED))
def test_a_parallel_download_heals(server: FaultServer, trial: Trial, name: str) -> None:
    bad = first(3, FAULTS[name])

    def fault(exchange: Exchange) -> None:
        (Exchange.serve if exchange.number == 0 else bad)(exchange)

    server.fault = fault
    fetched = trial.fetch(wanted(server, "/large"))
    assert fetched.sha256 == sha256(LARGE)
    assert trial.store.check(fetched.sha256, len(LARGE)) is None


@pytest.mark.parametrize("name", sorted(HARMLESS))
def test_what_can_be_lived_with_is_lived_with(server: FaultServer, trial: Trial, name: str) -> None:
    server.fault = FAULTS[name]
    assert trial.bytes_of(trial.fetch(wanted(server))) == SMALL


@pytest.mark.parametrize("name", sorted(set(FAULTS) - HARMLESS))
def test_a_fault_for_ever_ends_in_the_right_error_and_nothing_stored(
    server: FaultServer, trial: Trial, name: str
) -> None:
    server.fault = FAULTS[name]
    (result,) = trial.run(wanted(server), retries=2)
    family = Denied if name == "forbidden" else IntegrityError if name in UNTRUE else Unavailable
    assert isinstance(result, family), result
    assert list(trial.store.blobs()) == []
    assert server.sent <= 6 * len(SMALL)  # three tries, each in a range and, where that is unusable, plainly
    server.fault = None
    assert trial.bytes_of(trial.fetch(wanted(server))) == SMALL  # the next run heals unaided


@pytest.mark.parametrize("at", [1, 4095, 65_537, 200_000, 300_000])
def test_a_reset_at_any_byte_costs_nothing_that_had_come(server: FaultServer, trial: Trial, at: int) -> None:
    def reset_at(exchange: Exchange) -> None:
        exchange.body(exchange.begin()[:at])
        exchange.hang_up()

    server.fault = first(1, reset_at)
    assert trial.bytes_of(trial.fetch(wanted(server))) == SMALL
    assert server.sent == len(SMALL)


def test_a_signed_link_that_runs_out_in_mid_file_is_asked_for_again(server: FaultServer, trial: Trial) -> None:
    links = ["?Signature=old", "?Signature=new"]

    def run_out(exchange: Exchange) -> None:
        if exchange.path.endswith("old") and exchange.number > 0:
            FAULTS["forbidden"](exchange)
        elif exchange.path.endswith("old"):
            end(exchange)
        else:
            exchange.serve()

    server.fault = run_out
    fetch = pinned("/w", SMALL, [])
    asked: list[str] = []

    def locate() -> list[Origin]:
        asked.append(links[min(len(asked), 1)])
        return [origin(server, query=asked[-1])]

    fetched = trial.fetch(Fetch("model", "/w", fetch.size, fetch.digest, fetch.key, locate))
    assert trial.bytes_of(fetched) == SMALL
    assert asked == links
    assert fetched.downloaded == len(SMALL)
    told = repr((trial.events, trial.ticks))
    assert "Signature" not in told
    assert "?" not in fetched.source


def test_without_a_digest_a_changed_object_is_never_spliced(server: FaultServer, trial: Trial) -> None:
    server.fault = end
    fetch = unpinned("/w", len(SMALL), [origin(server)])
    trial.run(fetch, retries=0)
    server.fault = None
    server.files["/w"] = other = noise(len(SMALL), 9)
    fetched = trial.fetch(fetch)
    assert trial.bytes_of(fetched) == other
    assert fetched.downloaded == len(other)


def test_without_a_digest_a_strong_validator_allows_a_resume(server: FaultServer, trial: Trial) -> None:
    server.fault = end
    fetch = unpinned("/w", None, [origin(server)])
    trial.run(fetch, retries=0)
    server.fault = None
    assert trial.bytes_of(trial.fetch(fetch)) == SMALL
    assert server.sent == len(SMALL)
    assert server.heads[-1][1]["if-range"].startswith('"')


def test_without_a_digest_and_a_validator_everything_is_fetched_again(server: FaultServer, trial: Trial) -> None:
    def cut(exchange: Exchange) -> None:
        body = exchange.begin(etag="W/" + exchange.etag)
        exchange.body(body[:1000])
        exchange.hang_up()

    server.fault = cut
    fetch = unpinned("/w", len(SMALL), [origin(server)])
    trial.run(fetch, retries=0)
    server.fault = FAULTS["weak_etag"]
    fetched = trial.fetch(fetch)
    assert trial.bytes_of(fetched) == SMALL
    assert fetched.downloaded == len(SMALL)


def test_a_file_without_digest_that_always_breaks_ends(server: FaultServer, trial: Trial) -> None:
    def cut(exchange: Exchange) -> None:
        exchange.body(exchange.begin(etag="W/" + exchange.etag)[:250_000])
        exchange.hang_up()

    server.fault = cut
    (result,) = trial.run(unpinned("/w", len(SMALL), [origin(server)]), retries=2)
    assert isinstance(result, Unavailable)


def test_a_mirror_that_changed_is_left_for_one_that_did_not(trial: Trial) -> None:
    with FaultServer({"/w": SMALL}) as first_server, FaultServer({"/w": SMALL}) as second:

        def change_after_the_first(exchange: Exchange) -> None:
            (end if exchange.number == 0 else FAULTS["changed"])(exchange)

        first_server.fault = change_after_the_first
        fetched = trial.fetch(pinned("/w", SMALL, [origin(first_server), origin(second)]))
        assert trial.bytes_of(fetched) == SMALL
        assert second.sent <= len(SMALL) // 2 + 1


def test_a_mismatch_tells_both_digests(server: FaultServer, trial: Trial) -> None:
    server.fault = FAULTS["flip"]
    (result,) = trial.run(wanted(server))
    assert isinstance(result, ModelpmError)
    assert result.exit_code == 4
    assert {len(str(result.details[key])) for key in ("expected", "actual")} == {64}


def test_waits_are_told_with_their_reason(server: FaultServer, trial: Trial) -> None:
    server.fault = first(1, FAULTS["too_many_until"])
    trial.fetch(wanted(server))
    (retry,) = [fields for action, fields in trial.events if action == "file.retry"]
    assert "429" in retry["reason"]
    assert retry["wait"] >= 0.9
