import hashlib
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from modelpm.api import Context, Denied, Digest, Network, NotFound, Unavailable, UsageError
from modelpm_web.source import Web
from tests.conftest import Ran
from tests.support.cdn import QuickServer, ranged
from tests.support.raw import always, answer, raw_server, sends
from tests.support.sources import knowing

Command = Callable[..., Ran]
DATA = bytes(range(256)) * 40
HEX = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    made = QuickServer()
    made.start()
    made.expect_request("/dir/my model.gguf").respond_with_handler(lambda request: ranged(request, DATA, '"v1"'))
    made.expect_request("/empty.gguf").respond_with_handler(lambda request: ranged(request, b"", '"e"'))
    yield made
    made.clear()
    made.stop()


def web(context: Context | None = None) -> Web:
    return Web(context or Context(), "http")


def rest(server: HTTPServer, path: str) -> str:
    return f"localhost:{server.port}{path}"


def test_one_url_is_one_file_whose_size_and_tag_are_learned(server: HTTPServer) -> None:
    source, where = web(), rest(server, "/dir/my%20model.gguf")

    snapshot = source.resolve(source.parse(where))

    (file,) = snapshot.files
    assert (file.path, file.size, file.digest) == ("my model.gguf", len(DATA), None)
    assert snapshot.revision == '"v1"'
    with source.open(file, file.locations[0], start=5) as stream:
        assert b"".join(stream.chunks) == DATA[5:]


def test_a_fragment_is_the_digest_and_no_part_of_what_a_lock_writes(server: HTTPServer) -> None:
    source, where = web(), rest(server, "/dir/my%20model.gguf")

    snapshot = source.resolve(source.parse(f"{where}#sha256={HEX.upper()}"))

    (file,) = snapshot.files
    assert file.digest == Digest("sha256", HEX)
    assert snapshot.revision == HEX
    assert str(file.reference) == f"http://{where}"
    assert file.locations == (f"http://{where}",)


def test_the_location_needs_no_listing() -> None:
    source = web()

    assert source.locate(source.parse(f"host/x.gguf?download=true#sha256={HEX}"), "y") == (
        "http://host/x.gguf?download=true",
    )


def test_nothing_but_get_is_sent(server: HTTPServer) -> None:
    source = web()
    source.resolve(source.parse(rest(server, "/dir/my%20model.gguf")))

    assert [(request.method, request.headers["Range"]) for request, _ in server.log] == [("GET", "bytes=0-0")]


def test_an_empty_file_has_no_bytes(server: HTTPServer) -> None:
    source = web()

    assert source.resolve(source.parse(rest(server, "/empty.gguf"))).files[0].size == 0


@pytest.mark.parametrize("sent", [answer("200 OK", DATA), answer("206 Partial Content", DATA)])
def test_a_server_without_ranges_serves_too(sent: bytes) -> None:
    def reply(head: str, connection: object) -> bool:
        whole = "range:" not in head.lower() or sent.startswith(b"HTTP/1.1 200")
        connection.sendall(answer("200 OK", DATA) if whole else sent)  # type: ignore[attr-defined]
        return True

    with raw_server(reply) as server:
        source = web()
        assert source.resolve(source.parse(f"localhost:{server.port}/x.gguf")).files[0].size == len(DATA)


def test_a_page_where_weights_were_expected_is_said_to_be_one() -> None:
    with raw_server(sends(answer("200 OK", b"<html>sign in", Content_Type="text/html"))) as server:
        source = web()
        with pytest.raises(Unavailable, match="HTML page"):
            source.resolve(source.parse(f"localhost:{server.port}/x.gguf"))

        assert len(server.heads) == 1


TROUBLES = {
    "busy": answer("503 Busy", Retry_After="0"),
    "limited": answer("429 Too Many Requests", Retry_After="1"),
    "closed": b"",
    "no answer": b"nonsense\r\n\r\n",
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_bad_moment_of_the_server_does_not_end_the_probe(trouble: str) -> None:
    answers = [TROUBLES[trouble], answer("200 OK", DATA)]

    def reply(_head: str, connection: socket.socket) -> bool:
        connection.sendall(answers.pop(0))
        return False

    with raw_server(reply) as server:
        source = web()
        assert source.resolve(source.parse(f"localhost:{server.port}/x.gguf")).files[0].size == len(DATA)


def test_the_probe_tries_as_often_as_the_user_allows() -> None:
    with raw_server(sends(TROUBLES["busy"])) as server:
        source = web(Context(network=Network(retries=2)))
        with pytest.raises(Unavailable, match="503"):
            source.resolve(source.parse(f"localhost:{server.port}/x.gguf"))

        assert len(server.heads) == 3


def test_what_is_not_there_or_not_for_us_says_so(server: HTTPServer) -> None:
    server.expect_request("/secret").respond_with_data("", 403)
    server.expect_request("/gone").respond_with_data("", 404)
    source = web()

    with pytest.raises(NotFound, match="does not exist: 404"):
        source.resolve(source.parse(rest(server, "/gone")))
    with pytest.raises(Denied) as refused:
        source.resolve(source.parse(rest(server, "/secret")))
    assert f'[credentials."http://localhost:{server.port}"]' in refused.value.hints[0]


def test_a_configured_secret_opens_its_own_origin() -> None:
    with raw_server(sends(answer("200 OK", DATA))) as server:
        source = web(knowing({f"http://localhost:{server.port}": "canary"}))
        source.resolve(source.parse(f"localhost:{server.port}/x.gguf"))

        assert "Authorization: Bearer canary" in server.heads[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot read `http://"),
        ("/x", "cannot read `http://"),
        ("evil\\@host/x", "backslash"),
        ("host/a\\b", "backslash"),
        ("host/a\tb", "control character"),
        ("ho st/x", "cannot read `http://"),
        ("host:0/x", "cannot read `http://"),
        ("host", "names no file"),
        ("host/dir/", "names no file"),
        ("host/x#sha256=abc", "is not a digest"),
        (f"host/x#{HEX}", "is not a digest"),
        (f"host/x#md5={HEX}", "is not a digest"),
        ("user:canary@host/x", "user or password"),
        ("canary@host/x", "user or password"),
        ("host/x?token=canary", "token as a parameter"),
        ("host/x?tok%65n=canary", "token as a parameter"),
        ("host/x?a=1&private_token=canary", "token as a parameter"),
        ("host/x?key=canary", "token as a parameter"),
        ("host/x;token=canary", "token as a parameter"),
        ("host/x?X-Amz-Signature=canary", "signed link"),
    ],
)
def test_what_cannot_be_meant_or_must_not_be_kept_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        web().parse(text)

    assert "canary" not in refused.value.message + str(refused.value.hints)


@pytest.mark.parametrize("text", ["host/x?monkey=canary", "host/x?author=canary", "host/a=b;c/x?path=a/b"])
def test_a_parameter_that_is_no_secret_is_taken(text: str) -> None:
    assert web().parse(text).path == text


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("", "12345"),
        ("inline", "12345"),
        ('attachment; filename="my model.gguf"', "my model.gguf"),
        ("attachment; filename=model.gguf", "model.gguf"),
        ("attachment; filename=\"a.gguf\"; filename*=UTF-8''m%C3%B6.gguf", "mö.gguf"),
        ("attachment; filename*=utf-8'en'm%C3%B6.gguf; filename=a.gguf", "mö.gguf"),
        ('attachment; filename="m\xc3\xb6.gguf"', "mö.gguf"),
        ('attachment; filename="' + "x" * 5000 + '"', "12345"),
        ("attachment; filename*=utf-8''%ff%fe", "\ufffd\ufffd"),
    ],
)
def test_a_file_is_called_what_its_server_calls_it(said: str, name: str) -> None:
    """Download links of galleries end in a number."""
    sent = answer("200 OK", DATA, **({"Content_Disposition": said} if said else {}))
    sent = sent.replace("\xc3\xb6".encode(), b"\xc3\xb6")  # as servers send it: UTF-8, unmarked
    with raw_server(sends(sent)) as server:
        source = web()
        assert source.resolve(source.parse(f"localhost:{server.port}/12345")).files[0].path == name


@pytest.mark.parametrize(
    "name", ["../../evil", "/etc/passwd", "a/b.gguf", "..", "x\\\\y", "con", "C:x", "x%2Fy", ".git", "a\x1b[31m"]
)
def test_a_hostile_name_of_a_server_writes_nothing(modelpm: Command, home: Path, name: str) -> None:
    said = f"attachment; filename*=UTF-8''{name}" if "%" in name else f'attachment; filename="{name}"'
    with raw_server(always(answer("200 OK", DATA, Content_Disposition=said))) as server:
        ran = modelpm("install", f"http://localhost:{server.port}/12345", "--as", "x", "--json")
    assert ran.code == 4
    assert json.loads(ran.stdout)["errors"][0]["code"] == "hostile_name"
    assert not (home / "modelpm" / "env" / "models" / "x").exists()


@pytest.mark.parametrize("page", ["/login?next=/x", "/users/sign_in", "/signin", "/auth/realms/x"])
def test_a_page_that_wants_a_login_is_told_as_one(page: str) -> None:
    def reply(head: str, connection: socket.socket) -> bool:
        html = answer("200 OK", b"<html>sign in", Content_Type="text/html; charset=utf-8")
        connection.sendall(answer("307 Moved", Location=page) if "/api/" in head else html)
        return False

    with raw_server(reply) as server:
        source = web()
        with pytest.raises(Denied, match="wants you to sign in") as refused:
            source.resolve(source.parse(f"localhost:{server.port}/api/download/1"))
    assert refused.value.code == "login"
    assert "token-env" in refused.value.hints[0]
