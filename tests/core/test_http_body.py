import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from modelpm.api import Context, Network, Unavailable
from modelpm.http.pacing import in_time
from tests.support.codes import coded
from tests.support.raw import always, answer, raw_server, sends
from tests.support.sources import Plain, download, one_file

DATA = bytes(range(256)) * 4096
SIZE = len(DATA)
WHOLE = answer("200 OK", DATA)
HEAD = answer("200 OK", Content_Length=str(SIZE))


def read_in_pieces(plain: Plain, url: str, piece: int) -> tuple[bytes, Unavailable | None]:
    """Read through ``readinto`` until the end or a failure."""
    got, buffer = bytearray(), memoryview(bytearray(piece))
    with plain.open(one_file(url, SIZE), url) as stream:
        assert stream.readinto is not None
        try:
            while count := stream.readinto(buffer):
                got += buffer[:count]
        except Unavailable as error:
            return bytes(got), error
    return bytes(got), None


@pytest.mark.parametrize("piece", [1 << 10, 1 << 16, 1 << 24])
def test_every_byte_arrives_whatever_the_size_of_the_buffer(piece: int) -> None:
    with raw_server(sends(WHOLE)) as server:
        assert read_in_pieces(Plain(Context()), server.url(), piece) == (DATA, None)


def test_a_thread_that_was_held_up_does_not_take_that_for_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelpm.http.body._PATIENCE", -1.0)  # as if every look at the clock came too late
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (DATA[:1000], DATA[1000:])) + b"0\r\n\r\n"
    for reply in (WHOLE, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked):
        with raw_server(always(reply)) as server:
            assert read_in_pieces(Plain(Context()), server.url(), 1 << 16) == (DATA, None)
            assert Plain(Context()).get(server.url()).body == DATA


def test_a_chunked_body_arrives_too_and_its_connection_is_not_used_again() -> None:
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (DATA[:1000], DATA[1000:])) + b"0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with raw_server(always(head + chunks)) as server:
        plain = Plain(Context())
        assert read_in_pieces(plain, server.url(), 1 << 16) == (DATA, None)
        assert download(plain, server.url(), SIZE) == DATA


def test_a_body_without_length_ends_with_the_connection() -> None:
    with raw_server(sends(b"HTTP/1.1 200 OK\r\n\r\n", DATA)) as server:
        assert download(Plain(Context()), server.url(), SIZE) == DATA


@pytest.mark.parametrize("length", ["-5", "many"])
def test_a_body_whose_length_is_no_number_is_not_believed(length: str) -> None:
    with raw_server(sends(answer("200 OK", Content_Length=length), DATA)) as server:
        with pytest.raises(Unavailable) as refused:
            download(Plain(Context()), server.url(), None)
        with pytest.raises(Unavailable, check=coded("bad_answer")):
            Plain(Context()).get(server.url())

    assert refused.value.code == "bad_answer"


def test_a_connection_read_to_the_end_is_used_again() -> None:
    with raw_server(always(WHOLE)) as server:
        plain = Plain(Context())
        for _ in range(3):
            assert download(plain, server.url(), SIZE) == DATA

        assert server.connections == 1


def test_a_connection_left_early_is_not_used_again() -> None:
    with raw_server(always(WHOLE)) as server:
        plain = Plain(Context())
        with plain.open(one_file(server.url(), SIZE), server.url()) as stream:
            assert stream.readinto is not None
            assert stream.readinto(memoryview(bytearray(10))) == 10
        assert download(plain, server.url(), SIZE) == DATA

        assert server.connections == 2


@pytest.mark.parametrize("cut", [0, 1, 70_000, SIZE - 1])
def test_a_body_that_ends_early_gives_what_came_and_then_fails(cut: int) -> None:
    with raw_server(sends(HEAD, DATA[:cut])) as server:
        got, error = read_in_pieces(Plain(Context()), server.url(), 1 << 20)

    assert got == DATA[:cut]
    assert error is not None
    assert (error.code, error.retryable) == ("cut_short", True)


def test_a_connection_that_is_reset_gives_what_came_and_then_fails() -> None:
    def reset(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with raw_server(sends(HEAD, DATA[:100_000], then=reset)) as server:
        got, error = read_in_pieces(Plain(Context()), server.url(), 1 << 20)

    assert DATA.startswith(got)
    assert error is not None
    assert "localhost" in error.message


@pytest.mark.parametrize("tail", [b"", b"5\r\nab", b"zz\r\n", b"ffffffffffffffffffff\r\n"])
def test_broken_chunks_fail(tail: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
    with (
        raw_server(sends(head + tail)) as server,
        pytest.raises(Unavailable, match=r"broke: (the body ended too early|it sent something that is not HTTP)"),
    ):
        download(Plain(Context()), server.url(), SIZE)


def test_a_server_that_goes_silent_fails_after_the_idle_timeout() -> None:
    release = threading.Event()
    with raw_server(sends(HEAD, DATA[:1000], then=lambda _: release.wait(20))) as server:
        plain = Plain(Context(network=Network(idle_timeout=0.3)))
        got, error = read_in_pieces(plain, server.url(), 1 << 20)
        release.set()

    assert got == DATA[:1000]
    assert error is not None
    assert error.code == "stalled"


def test_a_slow_server_shows_as_progress_before_the_buffer_is_full() -> None:
    release = threading.Event()

    def drip(connection: socket.socket) -> None:
        while not release.wait(0.02):
            connection.sendall(b"x")

    with (
        raw_server(sends(HEAD, then=drip)) as server,
        Plain(Context()).open(one_file(server.url(), SIZE), server.url()) as stream,
    ):
        assert stream.readinto is not None
        began = time.monotonic()
        count = stream.readinto(memoryview(bytearray(1 << 20)))
        release.set()

    assert 0 < count < 1000
    assert time.monotonic() - began < 5


def test_the_head_of_an_answer_has_to_end_in_time_too() -> None:
    release = threading.Event()

    def drip(connection: socket.socket) -> None:
        while not release.wait(0.02):
            connection.sendall(b"x")

    network = Network(idle_timeout=5.0, first_byte_timeout=0.3, retries=0)
    with raw_server(sends(b"HTTP/1.1 200 OK\r\nX-Endless: ", then=drip)) as server:
        with pytest.raises(Unavailable, check=coded("slow")):
            download(Plain(Context(network=network)), server.url(), SIZE)
        release.set()


def test_abort_ends_a_read_that_waits_in_another_thread() -> None:
    release = threading.Event()
    with (
        raw_server(sends(HEAD, DATA[:10], then=lambda _: release.wait(20))) as server,
        Plain(Context()).open(one_file(server.url(), SIZE), server.url()) as stream,
    ):
        assert stream.readinto is not None
        assert stream.abort is not None
        assert stream.readinto(memoryview(bytearray(10))) == 10
        timer = threading.Timer(0.1, stream.abort)
        timer.start()
        began = time.monotonic()
        with pytest.raises(Unavailable) as aborted:
            stream.readinto(memoryview(bytearray(1 << 20)))
        took = time.monotonic() - began
        timer.join()
        stream.abort()  # a second time harms nothing
        release.set()

    assert aborted.value.code == "aborted"
    assert took < 5


def test_each_piece_of_a_small_body_has_as_long_as_the_first() -> None:
    ended = threading.Event()

    def chunks() -> Iterator[bytes]:
        yield b"a"
        assert not ended.wait(0.3), "ended within the time it has"
        yield b"b"

    assert list(in_time(chunks(), "http://host.example/", 0.6, ended.set)) == [b"a", b"b"]
