"""What a proxy is told, and what it is blamed for."""

import base64
import re
import socket
import sys

import pytest
import urllib3.contrib
from urllib3.exceptions import ProtocolError

from modelpm.api import Context, ModelpmError, Network, Unavailable, UsageError
from modelpm.http import PermanentError
from modelpm.http.failures import failure
from modelpm.http.proxies import Proxy, parse_proxy
from tests.support.codes import coded
from tests.support.raw import always, answer, raw_server, sends
from tests.support.sources import Plain, download

DATA = bytes(range(256)) * 2000
SIZE = len(DATA)
WHOLE = answer("200 OK", DATA)


def test_plain_http_goes_through_its_proxy_with_the_proxys_own_password() -> None:
    with raw_server(always(WHOLE)) as proxy:
        network = Network(proxies={"http": f"http://user:pass@localhost:{proxy.port}"})
        assert download(Plain(Context(network=network)), "http://models.example/x", SIZE) == DATA

        assert proxy.heads[0].startswith("GET http://models.example/x HTTP/1.1")
        assert proof(proxy.heads[0]) == "user:pass"


def proof(head: str) -> str:
    """Return the user and password of a request to a proxy."""
    found = re.search(r"proxy-authorization: basic (\S+)", head, re.IGNORECASE)
    return base64.b64decode(found[1]).decode() if found else ""


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("corp:p%40ss", "corp:p@ss"),
        ("corp:p@ss", "corp:p@ss"),
        ("dom%5Cuser:a%3Ab%2Fc", "dom\\user:a:b/c"),
        ("corp:pä ss", "corp:pä ss"),
        ("corp:100%", "corp:100%"),
        ("corp", "corp:"),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_gets_user_and_password_as_they_are_meant(written: str, meant: str, scheme: str) -> None:
    refusal = answer("403 Forbidden")
    with raw_server(sends(refusal)) as proxy:
        network = Network(proxies={"all": f"http://{written}@localhost:{proxy.port}"})
        with pytest.raises(ModelpmError, check=coded("proxy", "denied")):
            download(Plain(Context(network=network)), f"{scheme}://models.example/x", SIZE)
    assert proof(proxy.heads[0]) == meant


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("challenges", "said"),
    [
        (["Basic realm=x"], "wants a user and a password"),
        ([], "wants a user and a password"),
        (["NTLM"], "by NTLM"),
        (["Negotiate", "NTLM"], "by Negotiate, NTLM"),
        (["Negotiate", "basic realm=x"], r"password \(407\)"),
    ],
)
def test_a_proxy_that_wants_a_password_is_blamed_by_the_way_it_wants_it(
    scheme: str, challenges: list[str], said: str
) -> None:
    lines = "".join(f"Proxy-Authenticate: {challenge}\r\n" for challenge in challenges)
    sent = answer("407 Proxy Authentication Required").replace(b"\r\n\r\n", f"\r\n{lines}\r\n".encode())
    with raw_server(sends(sent)) as proxy:
        network = Network(proxies={"all": f"http://localhost:{proxy.port}"})
        with pytest.raises(PermanentError, match=said) as refused:
            download(Plain(Context(network=network)), f"{scheme}://models.example/x", SIZE)
    assert refused.value.code == "proxy"
    assert refused.value.hints


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("proxy.example:3128", Proxy("http", "proxy.example", 3128)),
        ("http://proxy.example/", Proxy("http", "proxy.example", 80)),
        ("HTTPS://Proxy.Example", Proxy("https", "proxy.example", 443)),
        ("socks://127.0.0.1:9/", Proxy("socks5h", "127.0.0.1", 9)),
        ("SOCKS5://127.0.0.1", Proxy("socks5", "127.0.0.1", 1080)),
        ("socks4a://[::1]:9", Proxy("socks4a", "[::1]", 9)),
        (' "http://u:p%22@proxy.example:1"\n', Proxy("http", "proxy.example", 1, "u", 'p"')),
        ("http://bücher.example:1", Proxy("http", "xn--bcher-kva.example", 1)),
        ("u:p@proxy.example:1", Proxy("http", "proxy.example", 1, "u", "p")),
    ],
)
def test_the_address_of_a_proxy_is_read_in_every_spelling(text: str, proxy: Proxy) -> None:
    assert parse_proxy(text) == proxy


def test_a_server_that_breaks_off_behind_a_proxy_is_blamed_and_not_the_proxy() -> None:
    error = failure(ProtocolError("Connection aborted.", ConnectionResetError()), "http://models.example/x", "p:3128")
    assert (error.code, "models.example" in error.message, "p:3128" in error.message) == ("network", True, False)


def test_socks_without_its_library_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "urllib3.contrib.socks", None)
    monkeypatch.delattr(urllib3.contrib, "socks", raising=False)  # another test may have imported it
    with pytest.raises(UsageError) as refused:
        download(Plain(Context(network=Network(proxies={"all": "socks5h://127.0.0.1:9"}))), "http://m.example/x", 1)
    assert refused.value.hints == ("install it with: pip install 'modelpm[socks]'",)


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        ("407 Proxy Authentication Required", PermanentError, "wants a user and a password"),
        ("503 Busy", Unavailable, "answered 503"),
    ],
)
def test_a_proxy_that_refuses_is_blamed(status: str, kind: type[Unavailable], said: str) -> None:
    with raw_server(sends(answer(status))) as proxy:
        network = Network(proxies={"https": f"http://user:canary@localhost:{proxy.port}"})
        with pytest.raises(kind, match=said) as refused:
            download(Plain(Context(network=network)), "https://models.example/x", SIZE)

    assert refused.value.code == "proxy"
    assert "canary" not in refused.value.message


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_a_proxy_that_is_not_there_is_blamed(scheme: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        network = Network(proxies={"https": f"{scheme}://127.0.0.1:{taken.getsockname()[1]}"})
        with pytest.raises(Unavailable, match=r"the proxy 127\.0\.0\.1:\d+ makes no connection: connection refused"):
            download(Plain(Context(network=network)), "https://models.example/x", SIZE)


@pytest.mark.parametrize(
    "proxy",
    [
        "http://", "http://[::1", "gopher://host:1", "socks5h://", "http://u:p#w@host:1", "http://evil\\@host:1",
        "http://host\t:1", "http://ho st:1", "http://host:0", "http://host:99999",
    ],
)  # fmt: skip
def test_a_proxy_that_is_no_address_is_a_usage_error(proxy: str) -> None:
    with pytest.raises(UsageError, match="proxy"):
        download(Plain(Context(network=Network(proxies={"all": proxy}))), "https://models.example/x", SIZE)
