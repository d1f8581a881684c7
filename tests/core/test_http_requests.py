import logging
import socket
import threading
from collections.abc import Callable

import pytest

from modelpm.api import Context, Denied, Expired, Network, NotFound, OfflineError, Unavailable, UsageError
from modelpm.http import PermanentError
from modelpm.network.health import Hosts
from tests.support.codes import coded
from tests.support.raw import RawServer, answer, raw_server, sends
from tests.support.sources import Plain, download, knowing, one_file

DATA = b"0123456789"
CANARY = "canary-0123"


def header(head: str, name: str) -> str | None:
    lines = (line.partition(": ") for line in head.splitlines()[1:])
    return next((value for key, _, value in lines if key.lower() == name.lower()), None)


def routes(answers: dict[str, bytes]) -> Callable[[str, socket.socket], bool]:
    """Answer by path; a path asked for that is not there ends the connection."""

    def reply(head: str, connection: socket.socket) -> bool:
        connection.sendall(answers[head.split(" ")[1]])
        return True

    return reply


def redirect(to: str, status: str = "302 Found") -> bytes:
    return answer(status, b"moved", Location=to)


def part(start: int, stop: int) -> bytes:
    return answer("206 Partial Content", DATA[start:stop], Content_Range=f"bytes {start}-{stop - 1}/{len(DATA)}")


def paths(server: RawServer) -> list[str]:
    return [head.split(" ")[1] for head in server.heads]


def test_a_request_asks_for_plain_bytes_of_a_range_and_says_who_asks() -> None:
    with raw_server(sends(part(2, 5))) as server:
        assert download(Plain(Context()), server.url(), 10, 2, 5) == b"234"

    assert header(server.heads[0], "Range") == "bytes=2-4"
    assert header(server.heads[0], "Accept-Encoding") == "identity"
    assert (header(server.heads[0], "User-Agent") or "").startswith("modelpm/")
    assert header(server.heads[0], "Authorization") is None


def test_even_the_whole_file_is_asked_for_as_a_range() -> None:
    with raw_server(sends(part(0, 10))) as server:
        assert download(Plain(Context()), server.url(), 10) == DATA

    assert header(server.heads[0], "Range") == "bytes=0-"


@pytest.mark.parametrize(("validator", "sent"), [('"v1"', '"v1"'), ('W/"v1"', None), (None, None)])
def test_a_resume_is_bound_to_a_strong_validator_only(validator: str | None, sent: str | None) -> None:
    with raw_server(sends(part(4, 10))) as server:
        url = server.url()
        with Plain(Context()).open(one_file(url, 10), url, start=4, validator=validator) as stream:
            assert b"".join(stream.chunks) == DATA[4:]

    assert header(server.heads[0], "If-Range") == sent


def test_a_server_that_ignores_the_range_is_read_from_its_own_start() -> None:
    with raw_server(sends(answer("200 OK", DATA, ETag='"v2"'))) as server:
        url = server.url()
        with Plain(Context()).open(one_file(url, 10), url, start=4) as stream:
            assert (stream.start, stream.total, stream.validator) == (0, 10, '"v2"')


def test_a_server_that_cannot_do_ranges_is_asked_once_without() -> None:
    def reply(head: str, connection: socket.socket) -> bool:
        connection.sendall(answer("206 Partial Content", DATA) if header(head, "Range") else answer("200 OK", DATA))
        return True

    with raw_server(reply) as server:
        assert download(Plain(Context()), server.url(), 10) == DATA
        with pytest.raises(Unavailable, check=coded("bad_range")):
            download(Plain(Context()), server.url(), 10, 4)


def test_a_range_past_the_end_is_empty_and_leaves_the_connection_usable() -> None:
    beyond = answer("416 Range Not Satisfiable", b"<html>no</html>", Content_Range="bytes */10")
    with raw_server(routes({"/file": beyond, "/next": part(0, 10)})) as server:
        plain, url = Plain(Context()), server.url()
        with plain.open(one_file(url, 10), url, start=10) as stream:
            assert (stream.start, stream.total, list(stream.chunks)) == (10, 10, [])
        assert download(plain, server.url("/next"), 10) == DATA

        assert server.connections == 1


def test_redirects_are_followed_and_asked_anew_only_where_they_lead() -> None:
    ways = {"/file": redirect("/a"), "/a": redirect("b", "307 Temporary Redirect"), "/b": part(0, 10)}
    with raw_server(routes(ways)) as server:
        plain = Plain(Context())
        assert download(plain, server.url(), 10) == DATA
        assert download(plain, server.url(), 10) == DATA

        assert paths(server) == ["/file", "/a", "/b", "/b"]
        assert server.connections == 1


@pytest.mark.parametrize(
    "then",
    [
        answer("403 Forbidden"),
        answer("404 Not Found"),
        answer("206 Partial Content", DATA),
        answer("416 Range Not Satisfiable"),
        answer("200 OK", b"<!doctype html><title>This link has run out</title>", Content_Type="text/html"),
        redirect("/a"),
    ],
)
def test_where_a_redirect_led_lately_is_forgotten_at_once_where_it_is_no_way_any_more(then: bytes) -> None:
    ways = {"/file": redirect("/a"), "/a": part(0, 4)}
    with raw_server(routes(ways)) as server:
        plain = Plain(Context())
        download(plain, server.url(), 10, 0, 4)
        ways.update({"/file": redirect("/b"), "/a": then, "/b": part(4, 10)})
        assert download(plain, server.url(), 10, 4) == DATA[4:]
        assert paths(server) == ["/file", "/a", "/a", "/file", "/b"]


@pytest.mark.parametrize(
    ("then", "code"),
    [
        (answer("429 Too Many Requests", Retry_After="60"), "rate_limited"),
        (answer("503 Service Unavailable"), "network"),
        (b"", "no_answer"),
    ],
)
def test_where_a_redirect_led_lately_is_left_in_peace_where_it_is_busy(then: bytes, code: str) -> None:
    ways = {"/file": redirect("/a"), "/a": part(0, 4)}
    with raw_server(routes(ways)) as server:
        plain = Plain(Context(network=Network(idle_timeout=0.5, first_byte_timeout=0.5)))
        download(plain, server.url(), 10, 0, 4)
        ways.update({"/file": redirect("/b"), "/a": then, "/b": part(4, 10)})
        with pytest.raises(Unavailable) as refused:
            download(plain, server.url(), 10, 4)
        assert refused.value.code == code
        assert paths(server) == ["/file", "/a", "/a"]

        assert download(plain, server.url(), 10, 4) == DATA[4:]
        assert paths(server)[3:] == ["/file", "/b"]


@pytest.mark.parametrize("ways", [{"/file": redirect("/file")}, {"/file": redirect("/a"), "/a": redirect("/file")}])
def test_a_redirect_loop_fails_at_once_and_for_good(ways: dict[str, bytes]) -> None:
    with raw_server(routes(ways)) as server, pytest.raises(PermanentError) as refused:
        download(Plain(Context()), server.url(), 10)

    assert refused.value.code == "redirect_loop"
    assert len(server.heads) == len(ways)


def test_ten_redirects_are_followed_and_no_more() -> None:
    ways = {"/file": redirect("/1")} | {f"/{n}": redirect(f"/{n + 1}") for n in range(1, 10)} | {"/10": part(0, 10)}
    with raw_server(routes(ways)) as server:
        assert download(Plain(Context()), server.url(), 10) == DATA
    with (
        raw_server(routes({**ways, "/10": redirect("/11")})) as server,
        pytest.raises(PermanentError, check=coded("redirect_loop")),
    ):
        download(Plain(Context()), server.url(), 10)


def own_origin(server: RawServer) -> str:
    return server.url("")


def test_a_secret_goes_to_its_own_origin_and_to_no_other_even_after_a_redirect_back() -> None:
    with raw_server(sends(part(0, 10))) as storage, raw_server(sends(redirect(storage.url("/blob")))) as server:
        plain = Plain(knowing({own_origin(server): CANARY}))
        assert download(plain, server.url(), 10) == DATA

        assert header(server.heads[0], "Authorization") == f"Bearer {CANARY}"
        assert CANARY not in storage.heads[0]


def test_another_port_of_the_same_host_is_another_origin() -> None:
    with raw_server(sends(part(0, 10))) as one, raw_server(sends(part(0, 10))) as other:
        plain = Plain(knowing({own_origin(one): CANARY}))
        download(plain, other.url(), 10)

        assert CANARY not in other.heads[0]


def test_a_signed_link_is_sent_no_second_credential() -> None:
    with raw_server(sends(part(0, 10))) as server:
        download(Plain(knowing({own_origin(server): CANARY})), server.url("/x?X-Amz-Signature=1"), 10)

        assert CANARY not in server.heads[0]


@pytest.mark.parametrize("token", ["two\nlines", "ünï", "a\x00b"])
def test_a_token_that_cannot_be_sent_is_refused_unseen(token: str) -> None:
    with raw_server(sends(part(0, 10))) as server:
        with pytest.raises(UsageError) as refused:
            download(Plain(knowing({own_origin(server): token})), server.url(), 10)
        assert token not in refused.value.message
        assert server.heads == []


@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized", "403 Forbidden", "410 Gone"])
def test_storage_that_refuses_behind_a_redirect_means_the_link_ran_out(status: str) -> None:
    with (
        raw_server(sends(answer(status, b"<Error/>"))) as storage,
        raw_server(sends(redirect(storage.url(f"/blob?Signature={CANARY}")))) as server,
        pytest.raises(Expired) as expired,
    ):
        download(Plain(Context()), server.url(), 10)

    assert CANARY not in expired.value.message


def test_a_refusal_of_the_location_itself_is_denied_and_says_how_to_give_a_token() -> None:
    with raw_server(sends(answer("401 Unauthorized"))) as server, pytest.raises(Denied) as refused:
        download(Plain(Context()), server.url(), 10)

    assert f'[credentials."{server.url("")}"]' in refused.value.hints[0]


def test_a_file_that_is_not_there_is_named_without_its_query() -> None:
    with raw_server(sends(answer("404 Not Found"))) as server, pytest.raises(NotFound) as refused:
        download(Plain(Context()), server.url(f"/x?page={CANARY}"), 10)

    assert server.url("/x") in refused.value.message
    assert CANARY not in refused.value.message


def test_a_server_that_asks_to_wait_is_heard() -> None:
    with raw_server(sends(answer("503 Busy", Retry_After="7"))) as server, pytest.raises(Unavailable) as busy:
        download(Plain(Context()), server.url(), 10)

    assert busy.value.retry_after == 7


def test_offline_opens_no_connection() -> None:
    with raw_server(sends(part(0, 10))) as server:
        plain = Plain(Context(offline=True))
        for ask in (lambda: download(plain, server.url(), 10), lambda: plain.get_json(server.url())):
            with pytest.raises(OfflineError, match="the network is forbidden"):
                ask()

        assert server.connections == 0


@pytest.mark.parametrize(
    "sent",
    [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", b"SSH-2.0-OpenSSH\r\n"],
)
def test_what_is_no_http_is_unavailable(sent: bytes) -> None:
    with raw_server(sends(sent)) as server, pytest.raises(Unavailable) as refused:
        download(Plain(Context()), server.url(), 10)

    assert refused.value.retryable


def test_a_host_that_does_not_exist_is_named() -> None:
    with pytest.raises(Unavailable, match=r"no-such-host\.invalid cannot be resolved"):
        download(Plain(Context()), f"https://no-such-host.invalid/x?Signature={CANARY}", 10)


def test_a_document_is_asked_for_again_where_that_may_help() -> None:
    answers = [answer("503 Busy", Retry_After="0"), b"", answer("200 OK", b'{"a": 1}')]

    def reply(_head: str, connection: socket.socket) -> bool:
        connection.sendall(answers.pop(0))
        return False

    with raw_server(reply) as server:
        assert Plain(Context()).get_json(server.url()) == {"a": 1}


def test_a_document_is_asked_for_once_where_it_is_refused() -> None:
    with raw_server(sends(answer("404 Not Found"))) as server:
        with pytest.raises(NotFound, match="does not exist: 404"):
            Plain(Context()).get_json(server.url())

        assert len(server.heads) == 1


@pytest.mark.parametrize("body", [b"<html>", b"[" * 100_000, b"\xff"])
def test_a_document_that_is_no_json_is_unavailable(body: bytes) -> None:
    with raw_server(sends(answer("200 OK", body))) as server, pytest.raises(Unavailable, check=coded("bad_answer")):
        Plain(Context()).get(server.url()).json()


def test_a_document_has_a_greatest_size() -> None:
    endless = threading.Event()

    def flood(connection: socket.socket) -> None:
        while not endless.is_set():
            connection.sendall(b"x" * 65536)

    with raw_server(sends(b"HTTP/1.1 200 OK\r\n\r\n", then=flood)) as server:
        with pytest.raises(PermanentError) as refused:
            Plain(Context()).get(server.url(), cap=1 << 20)
        endless.set()

    assert refused.value.code == "too_big"


def test_signed_links_do_not_reach_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), raw_server(sends(part(0, 10))) as server:
        download(Plain(Context()), server.url(f"/x?Signature={CANARY}"), 10)

    assert caplog.messages
    assert CANARY not in caplog.text


def test_a_server_that_was_given_up_after_a_short_outage_gets_all_its_tries_again() -> None:
    source = Plain(Context(network=Network(retries=1)))
    with raw_server(sends(b"")) as server:
        for path, connections in (("/a", 2), ("/b", 4)):  # it may only be restarted
            with pytest.raises(Unavailable, match="gave up after 2 tries"):
                source.get(server.url(path))
            assert server.connections == connections


def test_a_server_that_was_given_up_gets_one_try_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelpm.network.health._OUTAGE", 0.0)
    source = Plain(Context(network=Network(retries=1)))
    with raw_server(sends(b"")) as server, raw_server(sends(answer("503 Service Unavailable"))) as other:
        for path, connections in (("/a", 2), ("/b", 3)):
            with pytest.raises(Unavailable, match="closed the connection without an answer"):
                source.get(server.url(path))
            assert server.connections == connections
        for path, heads in (("/a", 2), ("/b", 4)):  # that one answers
            with pytest.raises(Unavailable, match="503 Service Unavailable; gave up after 2 tries"):
                source.get(other.url(path))
            assert len(other.heads) == heads


@pytest.mark.parametrize("label", ["http://[odd", "words of a plugin", ""])
def test_an_origin_that_is_no_address_rests_after_a_failure_too(label: str) -> None:
    hosts = Hosts()
    hosts.failed(label)
    assert hosts.rest(label) > 0
    assert hosts.rest("http://127.0.0.1/") == 0


@pytest.mark.parametrize("location", ["http://evil\\@localhost/x", "http://localhost/a\tb", "nonsense", "http://a b/"])
def test_a_location_that_is_no_address_is_nothing_the_user_wrote(location: str) -> None:
    """It comes from a listing: another location may do, and asking again does not help."""
    with pytest.raises(PermanentError) as refused:
        download(Plain(Context()), location, 10)
    assert (refused.value.code, refused.value.exit_code) == ("bad_address", 6)


def test_a_redirect_with_a_backslash_gets_no_secret() -> None:
    with raw_server(sends(answer("200 OK", DATA))) as evil:
        answers: dict[str, bytes] = {}
        with raw_server(routes(answers)) as hub:
            there = f"http://127.0.0.1:{evil.port}\\@localhost:{hub.port}/x"
            answers["/file"] = redirect(there)
            with pytest.raises(PermanentError) as refused:
                download(Plain(knowing({hub.url(""): CANARY})), hub.url(), 10)
        assert evil.heads == []
    assert refused.value.code == "bad_redirect"


def test_what_the_server_of_a_link_says_of_its_refusal_is_told() -> None:
    refusal = answer("403 Forbidden", b'{"error": {"message": "the link is from yesterday"}}')
    with (
        raw_server(sends(refusal)) as cdn,
        raw_server(sends(redirect(cdn.url("/blob")))) as hub,
        pytest.raises(Expired, match=r"refuses the link to the file \(403 Forbidden: the link is from yesterday\)"),
    ):
        download(Plain(Context()), hub.url(), 10)
