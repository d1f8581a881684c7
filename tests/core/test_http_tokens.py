"""What a registry's source needs: tokens by scope, Basic, API keys, questions by POST, heads and pages."""

import base64
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.api import Context, Denied, Network, Reference, Secret, Snapshot, Unavailable
from modelpm.http import HttpSource
from modelpm.http.tokens import Challenge, Tokens
from tests.support.sources import download

DATA = b"0123456789"


@dataclass
class Registry:
    """A server that is told how to answer, and remembers what it was asked."""

    answer: Callable[[str, str, Mapping[str, str], bytes], tuple[int, dict[str, str], bytes]]
    asked: list[tuple[str, str, str, bytes]] = field(default_factory=list)
    origin: str = ""


@contextmanager
def running(
    answer: Callable[[str, str, Mapping[str, str], bytes], tuple[int, dict[str, str], bytes]],
) -> Iterator[Registry]:
    registry = Registry(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            registry.asked.append((self.command, self.path, self.headers.get("Authorization", ""), body))
            status, headers, sent = registry.answer(self.command, self.path, dict(self.headers), body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else sent)

        do_POST = do_HEAD = do_GET  # noqa: N815 - the base's names

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - the base's name

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        registry.origin = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield registry
        finally:
            server.shutdown()
            thread.join()


class Oci(HttpSource):
    """A registry's source, but for its listing: scopes are repositories."""

    takes_tokens = True

    def resolve(self, reference: Reference) -> Snapshot:
        raise NotImplementedError(reference)

    def scope(self, url: str) -> str:
        return f"repository:{urlsplit(url).path.split('/')[2]}:pull"


def context(secret: Secret | None = None) -> Context:
    return Context(secret=lambda _: secret, network=Network(retries=0))


def guarded(registry: "Registry | None" = None, realm: str = "") -> Callable[..., tuple[int, dict[str, str], bytes]]:
    """Return how a registry answers that wants one token for each repository, and hands them out itself."""
    del registry

    def answer(_method: str, path: str, headers: Mapping[str, str], _body: bytes) -> tuple[int, dict[str, str], bytes]:
        place = urlsplit(path)
        if place.path == "/token":
            scope = parse_qs(place.query)["scope"][0]
            return 200, {}, json.dumps({"token": f"for-{scope}", "expires_in": 300}).encode()
        repository = place.path.split("/")[2]
        if headers.get("Authorization") == f"Bearer for-repository:{repository}:pull":
            return 200, {}, DATA
        where = realm or f"http://{headers['Host']}/token"
        scope = f"repository:{repository}:pull"
        return 401, {"WWW-Authenticate": f'Bearer realm="{where}",service="here",scope="{scope}"'}, b"no"

    return answer


def test_each_scope_gets_its_token_once_and_basic_goes_to_the_realm_alone() -> None:
    with running(guarded()) as registry:
        source = Oci(context(Secret("canary-pw", username="joe")))
        for repository in ("a", "b", "a"):
            assert download(source, f"{registry.origin}/v2/{repository}/blobs/x", 10) == DATA
        source.close()
    paths = [(path.partition("?")[0], proof.partition(" ")[0]) for _, path, proof, _ in registry.asked]
    assert paths == [
        ("/v2/a/blobs/x", ""), ("/token", "Basic"), ("/v2/a/blobs/x", "Bearer"),
        ("/v2/b/blobs/x", ""), ("/token", "Basic"), ("/v2/b/blobs/x", "Bearer"), ("/v2/a/blobs/x", "Bearer"),
    ]  # fmt: skip
    assert "service=here" in registry.asked[1][1]


@pytest.mark.parametrize("trusted", [False, True])
def test_a_realm_elsewhere_gets_the_password_only_where_the_configuration_says_so(*, trusted: bool) -> None:
    with running(guarded()) as realm, running(guarded(realm=f"{realm.origin}/token")) as registry:
        secret = Secret("canary-pw", username="joe", realm=realm.origin if trusted else "")
        source = Oci(context(secret))
        assert source.get(f"{registry.origin}/v2/a/manifests/1").body == DATA
        source.close()
    basic = f"Basic {base64.b64encode(b'joe:canary-pw').decode()}"
    assert [proof for _, _, proof, _ in realm.asked] == [basic if trusted else ""]
    assert not any("Basic" in proof for _, _, proof, _ in registry.asked)


def test_an_identity_token_is_exchanged_and_basic_is_sent_where_it_is_asked_for() -> None:
    with running(guarded()) as registry:

        def answer(
            method: str, path: str, headers: Mapping[str, str], body: bytes
        ) -> tuple[int, dict[str, str], bytes]:
            if method == "POST":
                scope = parse_qs(body.decode())["scope"][0]
                return 200, {}, json.dumps({"access_token": f"for-{scope}"}).encode()
            return guarded()(method, path, headers, body)

        registry.answer = answer
        source = Oci(context(Secret("canary-identity", username="<token>")))
        assert source.get(f"{registry.origin}/v2/a/x").body == DATA
        assert b"refresh_token=canary-identity" in registry.asked[1][3]
        registry.answer = lambda _m, _p, headers, _b: (
            (200, {}, DATA)
            if "Basic" in headers.get("Authorization", "")
            else (401, {"WWW-Authenticate": "Basic"}, b"")
        )
        other = Oci(context(Secret("canary-pw", username="joe")))
        registry.asked.clear()
        assert [other.get(f"{registry.origin}/v2/a/x").body for _ in range(2)] == [DATA, DATA]
        assert len(registry.asked) == 3
        source.close()
        other.close()


@pytest.mark.parametrize(
    ("challenge", "code"),
    [
        ('Bearer realm="ftp://x/"', "bad_answer"), ('Bearer realm="http://127.0.0.1:1/"', "network"),
        ("Digest x=y", "denied"), ("", "denied"),
    ],
)  # fmt: skip
def test_a_challenge_that_cannot_be_met_is_an_error_without_the_secret(challenge: str, code: str) -> None:
    with running(lambda *_: (401, {"WWW-Authenticate": challenge}, b"no")) as registry:
        source = Oci(context(Secret("canary-pw", username="joe")))
        with pytest.raises((Denied, Unavailable)) as caught:
            source.get(f"{registry.origin}/v2/a/x")
        source.close()
    assert (caught.value.code, "canary" in str(caught.value)) == (code, False)


def test_a_question_is_posted_and_a_redirect_keeps_it_only_where_it_says_so() -> None:
    def answer(method: str, path: str, _headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        if path in {"/v2/307", "/v2/303"}:
            return int(path[4:]), {"Location": "/v2/there"}, b""
        return 200, {}, f"{method} {body.decode()}".encode()

    with running(answer) as registry:
        source = Oci(context())
        assert source.post(f"{registry.origin}/v2/there", b"{}").body == b"POST {}"
        assert source.post(f"{registry.origin}/v2/307", b"{}").body == b"POST {}"
        assert source.post(f"{registry.origin}/v2/303", b"{}").body == b"GET "
        found = source.head(f"{registry.origin}/v2/there")
        assert (found.body, found.headers["Content-Length"]) == (b"", "5")
        source.close()


@pytest.mark.parametrize(("third", "ends"), [("", True), ("/v2/list?n=1", False), ("http://127.0.0.1:1/v2/", False)])
def test_pages_are_followed_at_their_own_server_until_they_end(third: str, *, ends: bool) -> None:
    links = {"1": "/v2/list?n=2", "2": "?n=3", "3": third}

    def answer(_method: str, path: str, _headers: Mapping[str, str], _body: bytes) -> tuple[int, dict[str, str], bytes]:
        number = parse_qs(urlsplit(path).query)["n"][0]
        link = links[number]
        return 200, {"Link": f'<{link}>; rel="next"'} if link else {}, number.encode()

    with running(answer) as registry:
        source, found = Oci(context()), list[bytes]()
        pages = source.pages(f"{registry.origin}/v2/list?n=1")
        if ends:
            found += [page.body for page in pages]
        else:
            with pytest.raises(Unavailable, match="do not end, or lead elsewhere"):
                found.extend(page.body for page in pages)
        source.close()
    assert found in ([b"1", b"2", b"3"], [])


@given(st.text())
def test_no_challenge_makes_it_raise(header: str) -> None:
    found = Challenge.parse(header)
    assert found is None or found.scheme == found.scheme.lower()


def test_a_challenge_is_read_as_servers_write_it() -> None:
    found = Challenge.parse('Bearer realm="https://a/t",service=x , scope="repository:a/b:pull,push"')
    assert found == Challenge("bearer", {"realm": "https://a/t", "service": "x", "scope": "repository:a/b:pull,push"})


def test_a_token_that_has_ended_is_sent_no_more() -> None:
    tokens = Tokens()
    tokens.keep("https://a", "s", {"token": "t", "expires_in": 0.001})
    assert tokens.headers("https://a", "s", None) == {"Authorization": "Bearer t"}, "five seconds at least"
    assert tokens.headers("https://a", "other", None) is None
    answers: list[object] = [{}, {"token": 5}, [], {"token": "a\r\nb"}]
    for answer in answers:
        with pytest.raises(Unavailable, match="sent no token"):
            tokens.keep("https://a", "s", answer)
