"""Registries and mirrors that stand in for the Hub: prefixes, passwords, redirects, half a protocol."""

import base64
import hashlib
import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from modelpm.api import Context, Denied, ModelpmError, Network, Reference, Secret, Unavailable, UsageError
from modelpm_huggingface.source import HuggingFace
from tests.conftest import Ran
from tests.support.codes import coded
from tests.support.raw import RawServer, answer, raw_server

Command = Callable[..., Ran]
COMMIT = "0123456789" * 4
REPO = Reference("hf", "acme/tiny")
FILES = [f"f{n}.json" for n in range(6)]
PREFIX = "/artifactory/api/huggingfaceml/hf-remote"


def entry(path: str) -> dict[str, object]:
    data = path.encode()
    oid = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    return {"type": "file", "path": path, "size": len(data), "oid": oid}


def path_of(head: str) -> str:
    return head.split(" ")[1]


Answering = Callable[[str, str], bytes | None]


def registry(prefix: str = "", odd: Answering = lambda _path, _head: None) -> Callable[[str, socket.socket], bool]:
    """Return what speaks the Hub's protocol below a prefix; ``odd`` answers what is different."""

    def reply(head: str, connection: socket.socket) -> bool:
        path = path_of(head)
        connection.sendall(odd(path, head) or usual(path.removeprefix(prefix)))
        return True

    def usual(path: str) -> bytes:
        if re.fullmatch(r"/api/models/acme/tiny/revision/[^/]+", path):
            return answer("200 OK", json.dumps({"sha": COMMIT}).encode())
        if re.match(rf"/api/models/acme/tiny/tree/{COMMIT}", path):
            return answer("200 OK", json.dumps([entry(name) for name in FILES]).encode())
        if path.startswith(f"/acme/tiny/resolve/{COMMIT}/"):
            return answer("200 OK", path.rpartition("/")[2].encode())
        return answer("404 Not Found", b"{}")

    return reply


def hub_at(endpoint: str, secret: Secret | None = None, retries: int = 5, **environ: str) -> HuggingFace:
    environ = {"HF_ENDPOINT": endpoint, **environ}
    return HuggingFace(Context(environ=environ, secret=lambda _: secret, network=Network(retries=retries)))


@pytest.mark.parametrize(
    "link",
    [
        "{own}{prefix}/api/models/acme/tiny/tree/X?{query}",
        "{prefix}/api/models/acme/tiny/tree/X?{query}",
        "https://huggingface.co/api/models/acme/tiny/tree/X?{query}",
        "?{query}",
        "X?{query}",
        "https://other.example/mirror/api/x/api/models/new/name/tree/X?{query}#here",
    ],
)
@pytest.mark.parametrize("prefix", ["", PREFIX, "/api/models/x"])
def test_the_next_page_is_the_same_listing_further_on(prefix: str, link: str) -> None:
    def paged(path: str, _head: str) -> bytes | None:
        if "/tree/" not in path:
            return None
        begin = int(parse_qs(path.partition("?")[2]).get("cursor", ["0"])[0])
        page = json.dumps([entry(name) for name in FILES[begin : begin + 2]]).encode()
        query = f"recursive=true&cursor={begin + 2}"
        following = link.format(own=server.url(""), prefix=prefix, query=query)
        more = {"Link": f'<{following}>; rel="next"'} if begin + 2 < len(FILES) else {}
        return answer("200 OK", page, **more)

    with raw_server(registry(prefix, paged)) as server:
        hf = hub_at(server.url(prefix))
        assert [file.path for file in hf.resolve(REPO).files] == FILES
        assert all(path_of(head).startswith(f"{prefix}/api/models/acme/tiny/") for head in server.heads)


@pytest.mark.parametrize("link", ["?recursive=true&expand=false", "/api/x", "?a\\b", "?a=\tb"])
def test_a_next_page_that_leads_nowhere_ends_the_listing_with_an_error(link: str) -> None:
    def paged(path: str, _head: str) -> bytes | None:
        return answer("200 OK", b"[]", Link=f"<{link}>; rel=next") if "/tree/" in path else None

    with raw_server(registry("", paged)) as server, pytest.raises(ModelpmError, check=coded("bad_answer", "usage")):
        hub_at(server.url("")).resolve(REPO)
    assert len(server.heads) == 2


def basic(pair: str) -> str:
    return f"Authorization: Basic {base64.b64encode(pair.encode()).decode()}"


def locked(pair: str) -> Answering:
    """Return what asks for a user and a password, as Nexus does."""

    def odd(_path: str, head: str) -> bytes | None:
        if basic(pair) in head:
            return None
        return answer("401 Unauthorized", b"login", WWW_Authenticate='Basic realm="Nexus"')

    return odd


@pytest.mark.parametrize(
    ("written", "meant"), [("joe:pw", "joe:pw"), ("joe:p%40ss", "joe:p@ss"), ("tok%C3%A9n", "tokén:")]
)
def test_user_and_password_of_the_endpoint_are_sent_to_it(written: str, meant: str) -> None:
    with raw_server(registry(PREFIX, locked(meant))) as server:
        hf = hub_at(server.url(PREFIX).replace("//", f"//{written}@"), HF_TOKEN="hf_canary0123")  # noqa: S106 - a canary
        (file, *_) = hf.resolve(REPO).files
        assert "@" not in file.locations[0]
        with hf.open(file, file.locations[0]) as stream:
            assert b"".join(stream.chunks) == FILES[0].encode()
        assert not [head for head in server.heads if "hf_canary" in head]


def test_what_is_configured_for_the_endpoint_comes_first() -> None:
    with raw_server(registry("", locked("ada:x"))) as server:
        hub_at(server.url("").replace("//", "//joe:pw@"), Secret("x", username="ada")).resolve(REPO)


@pytest.mark.parametrize(
    ("user", "said"),
    [("", "none was sent"), ("joe:wrong-one@", "does not accept the user and password from HF_ENDPOINT")],
)
def test_a_registry_that_wants_a_password_says_so(user: str, said: str) -> None:
    with raw_server(registry("", locked("joe:pw"))) as server, pytest.raises(Denied, match=said) as refused:
        hub_at(server.url("").replace("//", f"//{user}")).resolve(REPO)
    assert refused.value.code == "login"
    assert f'[credentials."{server.url("")}"]' in refused.value.hints[0]
    assert "wrong-one" not in repr((refused.value.message, refused.value.hints))


@pytest.mark.parametrize("around", [" {}", "{} ", "{}\n", "{}\r\n", "\t{}/\r", "'{}'", '"{}/" ', " ' {} ' "])
def test_blanks_and_quotes_around_the_endpoint_count_for_nothing(around: str) -> None:
    with raw_server(registry()) as server:
        hf = hub_at(around.format(server.url("")))
        assert hf.resolve(REPO).revision == COMMIT
        assert hf.endpoint == server.url("")


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://evil\\@hub",
        "http://hub/a\\b",
        "http://h ub",
        "ftp://hub",
        "hub",
        "http://hub/?x=canary-x",
        "http://hub:0",
        "http:///hub",
    ],
)
def test_an_endpoint_that_is_no_address_is_refused(endpoint: str) -> None:
    with pytest.raises(UsageError, match="HF_ENDPOINT") as refused:
        hub_at(endpoint)
    assert "canary" not in refused.value.message


def first_file(hf: HuggingFace) -> bytes:
    (file, *_) = hf.resolve(REPO).files
    with hf.open(file, file.locations[0]) as stream:
        return b"".join(stream.chunks)


def gated(_path: str, head: str) -> bytes | None:
    if "authorization" in head.lower():
        return None
    return answer("401 Unauthorized", b"{}", X_Error_Code="GatedRepo", X_Error_Message="Access is restricted.")


@pytest.mark.parametrize("part", ["/revision/", "/tree/", "/resolve/"])
def test_a_refusal_behind_a_redirect_says_that_the_token_stayed_behind(part: str) -> None:
    def odd(path: str, head: str) -> bytes | None:
        return gated(path, head) if part in path else None

    with raw_server(registry("/x", odd)) as real:
        there = real.url("").replace("localhost", "127.0.0.1")

        def away(path: str, _head: str) -> bytes:
            return answer("308 Moved", Location=f"{there}/x{path}")

        with raw_server(registry("", away)) as mirror:
            hf = hub_at(mirror.url(""), HF_TOKEN="hf_canary0123")  # noqa: S106 - a canary
            with pytest.raises(Denied) as refused:
                first_file(hf)
    assert refused.value.code == "gated"
    assert f"redirects to {there}/x" in refused.value.message
    assert refused.value.hints[0] == f"to use that server itself: HF_ENDPOINT={there}/x"
    assert not [head for head in real.heads if "hf_canary" in head]


@pytest.mark.parametrize("status", ["400 Bad Request", "404 Not Found", "405 Not Allowed", "501 Not Implemented"])
def test_a_registry_that_cannot_list_is_told_as_one(status: str) -> None:
    def odd(path: str, _head: str) -> bytes | None:
        return answer(status, b"no") if "/tree/" in path else None

    with raw_server(registry("", odd)) as server, pytest.raises(Unavailable, match="cannot list the files") as refused:
        hub_at(server.url(""), retries=1).resolve(REPO)
    assert refused.value.code == "no_listing"
    assert "HF_ENDPOINT" in refused.value.hints[0]


@pytest.mark.parametrize(
    ("headers", "hint"),
    [
        (
            {"X_Error_Message": "Invalid credentials in Authorization header"},
            "public models need no token: unset HF_TOKEN",
        ),
        ({}, "if the token has run out, leave it out: public models need no token: unset HF_TOKEN"),
    ],
)
def test_a_token_that_has_run_out_can_be_left_out(headers: dict[str, str], hint: str) -> None:
    def odd(_path: str, head: str) -> bytes | None:
        return answer("401 Unauthorized", b"{}", **headers) if "authorization" in head.lower() else None

    with raw_server(registry("", odd)) as server, pytest.raises(Denied) as refused:
        hub_at(server.url(""), HF_TOKEN="hf_canary0123").resolve(REPO)  # noqa: S106 - a canary
    assert hint in refused.value.hints


def test_a_mirror_beside_an_endpoint_with_a_path_serves(modelpm: Command, home: Path) -> None:
    def serves(server: RawServer) -> list[str]:
        return [path_of(head) for head in server.heads if "/resolve/" in head]

    with raw_server(registry(PREFIX)) as endpoint, raw_server(registry()) as mirror:
        folder = home / "modelpm"
        folder.mkdir()
        (folder / "config.toml").write_text(f'[mirrors]\n"hf://" = ["{mirror.url("/")}"]\n')
        ran = modelpm("install", "hf://acme/tiny:all", env={"HF_ENDPOINT": endpoint.url(PREFIX)})
        assert ran.code == 0, ran.stderr
        assert len(serves(mirror)) == len(FILES)
        assert serves(endpoint) == []
