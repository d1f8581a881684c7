"""A host with several addresses, of which some lead nowhere."""

import gc
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.api import Context, Network, Unavailable
from modelpm.http import racing
from modelpm.http.racing import Candidate, Winners, connect, ordered
from tests.support.raw import answer, raw_server, sends
from tests.support.sources import Plain, download

DATA = b"0123456789"
WHOLE = answer("200 OK", DATA)


@contextmanager
def black_hole(host: str, port: int) -> Iterator[None]:
    """Let a port swallow every attempt to connect: its queue is full, and nobody accepts."""
    waiting = []
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(0)
        for _ in range(4):
            attempt = socket.socket()
            attempt.settimeout(0)
            attempt.connect_ex((host, port))
            waiting.append(attempt)
        yield
        for attempt in waiting:
            attempt.close()


def resolves(monkeypatch: pytest.MonkeyPatch, *hosts: str) -> None:
    """Let ``many.test`` have these addresses, in this order."""
    real = socket.getaddrinfo

    def resolve(host: Any, port: Any, *args: Any, **options: Any) -> list[Any]:
        if host != "many.test":
            return real(host, port, *args, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in hosts]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(racing, "_WINNERS", Winners())


def test_dead_addresses_cost_a_moment_and_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(sends(WHOLE)) as server, black_hole("127.0.0.2", server.port), black_hole("127.0.0.3", server.port):
        resolves(monkeypatch, "127.0.0.2", "127.0.0.3", "127.0.0.1")
        took = []
        for _ in range(4):
            plain = Plain(Context(network=Network(connect_timeout=20)))
            begin = time.monotonic()
            assert download(plain, f"http://many.test:{server.port}/x", 10) == DATA
            took.append(time.monotonic() - begin)
    assert 0.5 <= took[0] < 5  # two delays of 250 ms; one after the other they would be 40 s
    assert min(took[1:]) < 0.5


def test_addresses_that_refuse_are_passed_over_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(sends(WHOLE)) as server:
        resolves(monkeypatch, *(f"127.0.0.{n}" for n in range(2, 40)), "127.0.0.1")
        begin = time.monotonic()
        assert download(Plain(Context()), f"http://many.test:{server.port}/x", 10) == DATA
    assert time.monotonic() - begin < 5  # 38 delays would be 9.5 s


def test_where_none_answers_the_timeout_is_for_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(sends(WHOLE)) as server:
        port = server.port + 1 if server.port < 65000 else server.port - 1
        with black_hole("127.0.0.2", port), black_hole("127.0.0.3", port):
            resolves(monkeypatch, "127.0.0.2", "127.0.0.3")
            begin = time.monotonic()
            with pytest.raises(Unavailable, match="no connection in time"):
                download(Plain(Context(network=Network(connect_timeout=1))), f"http://many.test:{port}/x", 10)
    assert time.monotonic() - begin < 10


def test_where_all_refuse_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    resolves(monkeypatch, "127.0.0.2", "127.0.0.3")
    with pytest.raises(Unavailable, match="connection refused"):
        download(Plain(Context()), "http://many.test:9/x", 10)


def test_a_winner_that_died_is_left_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(sends(WHOLE)) as server:
        resolves(monkeypatch, "127.0.0.2", "127.0.0.1")
        racing._WINNERS.put("many.test", server.port, ("127.0.0.2", server.port))  # noqa: SLF001 - what a run before left
        assert download(Plain(Context()), f"http://many.test:{server.port}/x", 10) == DATA


def test_losers_are_closed_and_options_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    open_files = Path("/proc/self/fd")
    if not open_files.exists():
        pytest.skip("open files cannot be counted here")
    with raw_server(sends(WHOLE)) as server, black_hole("127.0.0.2", server.port):
        resolves(monkeypatch, "127.0.0.2", "127.0.0.1")
        gc.collect()
        before = len(list(open_files.iterdir()))
        option = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made = connect("many.test", server.port, 5, options=[option])
        assert made.getsockopt(*option[:2])
        assert made.gettimeout() == 5
        assert made.getpeername()[0] == "127.0.0.1"
        made.close()
        assert len(list(open_files.iterdir())) <= before + 1  # the server's own end may still be open


places = st.lists(st.tuples(st.sampled_from([2, 10]), st.integers(0, 9)), max_size=12)


@given(places, st.integers(0, 9))
def test_families_take_turns_and_what_worked_goes_first(found: list[tuple[int, int]], won: int) -> None:
    candidates = [Candidate(family, 1, 6, (number,)) for family, number in found]
    order = ordered(candidates, (won,))
    assert sorted(order, key=repr) == sorted(set(candidates), key=repr)
    first = [c for c in order if c.place == (won,)]
    assert order[: len(first)] == first
    rest = [c.family for c in ordered(candidates, None)]
    both = min(rest.count(2), rest.count(10))
    assert all(a != b for a, b in pairwise(rest[: 2 * both]))
