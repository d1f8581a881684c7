from urllib.parse import urljoin

import pytest
import urllib3
from hypothesis import given, settings
from hypothesis import strategies as st

from modelpm.api import UsageError
from modelpm.http import PermanentError
from modelpm.http.urls import address, is_signed, label, origin, proxy_for, redirect_target


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://Host.Example/x", "https://host.example"),
        ("https://host:443/x", "https://host"),
        ("http://host:80", "http://host"),
        ("https://host:8443/x", "https://host:8443"),
        ("http://host:443", "http://host:443"),
        ("https://user:secret@host/x", "https://host"),
        ("https://[::1]:8080/x", "https://[::1]:8080"),
    ],
)
def test_an_origin_has_one_spelling(url: str, expected: str) -> None:
    assert origin(url) == expected


@pytest.mark.parametrize(
    "url", ["", "host/x", "ftp://host", "https://", "https://[::1", "https://host:99999/", "file:///x"]
)
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="not a web address"):
        origin(url)


# What two parsers have read differently somewhere, and what stands between them.
_PIECES = (
    "https://", "http://", "HTTP://", "http:/", "http:", "//", "/", "\\", "@", ":", "?", "#", "[", "]", "%", "%40",
    "%2f", "%5c", "%00", "\t", "\n", "\r", " ", "\x00", "\x7f", "\x85", "\u3002", "\uff0f", "\uff0e", "\u2100",
    "\u200b", "\xad", "ß", "bücher", "::1", "[::1]", "[fe80::1%25eth0]", "hub", "evil", ".", "..", "0", "80", "443",
    "99999", "user", ";", "&", "=", "|", "\U0001f600",
)  # fmt: skip


_TEXTS = st.lists(st.sampled_from(_PIECES) | st.characters(), max_size=12).map("".join)


@given(_TEXTS)
def test_a_url_is_refused_or_has_one_host_for_us_and_for_the_connection(text: str) -> None:
    hold_one_host(text)


@pytest.mark.marathon
@settings(max_examples=20_000)
@given(_TEXTS)
def test_thousands_of_urls_are_refused_or_have_one_host(text: str) -> None:
    hold_one_host(text)


def hold_one_host(text: str) -> None:
    """What urllib3 makes of what was written, and of what we hand it, is what we judged."""
    for url in (text, f"https://hub{text}", f"http://{text}", f"http://evil{text}@hub/x"):
        try:
            judged = address(url)
        except UsageError:
            continue
        for written in (url, judged.url, urljoin("https://other/dir/x", judged.url)):
            manager = urllib3.PoolManager()
            pool = manager.connection_from_url(written)
            assert (pool.scheme, pool.port) == (judged.scheme, judged.port)
            assert pool.host.strip("[]") == judged.host.strip("[]")
        assert address(judged.url).url == judged.url
        assert "\\" not in judged.url
        assert judged.url.isascii()
        assert judged.url.isprintable()
        assert "@" not in judged.origin


@pytest.mark.parametrize(
    "url",
    [
        "http://evil\\@hub/x", "http:\\\\evil/x", "http://hub/a\\b", "http://hub/?a\\b", "http://hub/#a\\b",
        "http://hub/\tx", "http://hub/\nx", "http://h\tub/", "http://hub\r/", "http://hub/\x00", "http://hub/\x85",
        "http://hu b/", " http://hub/", "http://hub /", "http://u ser@h ub/", "http:/hub/x", "http:///hub/x",
        "http:hub",
        "http://hub:0/", "http://hub:99999/", "http://hub:80x/", "http://hub:٨٠/", "http://[::1", "http://::1/",
        "http://[::1]evil/", "http://[evil]/", "http://hub%5cevil/", "http://hub%2fevil/", "http://hub%00/",
        "http://hub\u3002evil/", "http://hub\uff0fevil/", "http://a℀b/", "http://a..b/", "http://.hub/",
        "http://" + "a" * 64 + "/", "http://" + "a." * 130 + "/", "http://-/", "http://@/", "http://u:p@/",
    ],
)  # fmt: skip
def test_what_parsers_disagree_on_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="not a web address"):
        address(url)


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("HTTP://Hub:80/a b?c d#e", "http://hub/a%20b?c%20d"),
        ("http://hub:/x", "http://hub/x"),
        ("http://hub", "http://hub/"),
        ("http://hub?x=1", "http://hub/?x=1"),
        ("http://evil@hub/", "http://hub/"),
        ("http://evil:80@hub/", "http://hub/"),
        ("http://hub:80@evil/", "http://evil/"),
        ("http://a@b@hub/", "http://hub/"),
        ("http://hub#@evil/", "http://hub/"),
        ("http://hub?@evil/", "http://hub/?@evil/"),
        ("http://hub/@evil/", "http://hub/@evil/"),
        ("http://hub/a/../b", "http://hub/b"),
        ("http://Bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://[FE80::1%25eth0]:8080/", "http://[fe80::1%eth0]:8080/"),
        ("http://hub./", "http://hub./"),
        ("http://my_host/", "http://my_host/"),
    ],
)
def test_a_url_is_asked_for_in_its_canonical_form(url: str, canonical: str) -> None:
    assert address(url).url == canonical


@pytest.mark.parametrize(
    ("url", "user", "password"),
    [
        ("http://joe:p%40ss@hub/", "joe", "p@ss"),
        ("http://joe:p@ss@hub/", "joe", "p@ss"),
        ("http://joe:a:b@hub/", "joe", "a:b"),
        ("http://joe:pä ss@hub/", "joe", "pä ss"),
        ("http://joe@hub/", "joe", None),
        ("http://:x@hub/", "", "x"),
        ("http://hub/", None, None),
    ],
)
def test_user_and_password_are_decoded(url: str, user: str | None, password: str | None) -> None:
    read = address(url)
    assert (read.username, read.password) == (user, password)
    assert read.url == "http://hub/"


@given(st.text())
def test_any_text_is_an_origin_or_refused(text: str) -> None:
    for url in (text, f"https://{text}"):
        try:
            found = origin(url)
        except UsageError:
            continue
        assert "@" not in found
        assert origin(found) == found


def test_a_label_has_neither_user_nor_query() -> None:
    assert label("https://u:canary@host/a/b.bin?Signature=canary#canary") == "https://host/a/b.bin"


@pytest.mark.parametrize(
    ("query", "signed"),
    [
        ("X-Amz-Signature=1", True),
        ("Expires=1&Signature=2&Key-Pair-Id=3", True),
        ("sv=1&sig=x", True),
        ("Policy=", True),
        ("download=true", False),
        ("", False),
        ("etag=%22x%22", False),
    ],
)
def test_signatures_are_known_by_their_keys(query: str, signed: bool) -> None:
    assert is_signed(f"https://host/x?{query}") is signed


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/other", "https://host/other"),
        ("other?x=1", "https://host/dir/other?x=1"),
        ("//cdn/x", "https://cdn/x"),
        ("https://cdn:8443/x", "https://cdn:8443/x"),
        ("/n\xc3\xa4me", "https://host/n%C3%A4me"),
        ("/a b", "https://host/a%20b"),
        ("//user:pw@cdn/x#y", "https://cdn/x"),
    ],
)
def test_redirects_lead_where_they_say(location: str, target: str) -> None:
    assert redirect_target("https://host/dir/file", location) == target


@pytest.mark.parametrize(
    ("location", "code"),
    [
        (None, "bad_redirect"),
        (" ", "bad_redirect"),
        ("file:///etc/passwd", "bad_redirect"),
        ("https://:80/", "bad_redirect"),
        ("http://[::bad/", "bad_redirect"),
        ("//a\xe2\x84\x80b/", "bad_redirect"),
        ("https://evil\\@host/x", "bad_redirect"),
        ("https:\\\\evil/x", "bad_redirect"),
        ("/\\evil/x", "bad_redirect"),
        ("https://evil/\tx", "bad_redirect"),
        ("https://ev\nil/x", "bad_redirect"),
        ("https://evil /x", "bad_redirect"),
        ("https:///evil/x", "bad_redirect"),
        ("https://host:0/x", "bad_redirect"),
        ("https:x", "bad_redirect"),
        ("http://host/dir/file", "insecure_redirect"),
    ],
)
def test_redirects_that_lead_astray_are_refused_for_good(location: str | None, code: str) -> None:
    with pytest.raises(PermanentError) as refused:
        redirect_target("https://host/dir/file", location)

    assert (refused.value.code, refused.value.retryable) == (code, False)


@given(st.text())
def test_whatever_a_redirect_says_it_leads_to_a_web_address_or_is_refused(text: str) -> None:
    for location in (text, f"//{text}", f"https://{text}"):
        try:
            target = redirect_target("https://host/dir/file", location)
        except PermanentError:
            continue
        assert origin(target)


PROXIES = {"http": "http://p:1", "all": "socks5h://p:2"}


@pytest.mark.parametrize(
    ("url", "no_proxy", "proxy"),
    [
        ("http://host/", (), "http://p:1"),
        ("https://host/", (), "socks5h://p:2"),
        ("http://host/", ("*",), None),
        ("http://a.host/", ("host",), None),
        ("http://a.host/", (".host",), None),
        ("http://ahost/", ("host",), "http://p:1"),
        ("http://host:8080/", ("host:8080",), None),
        ("http://host/", ("host:8080",), "http://p:1"),
        ("http://10.1.2.3/", ("10.0.0.0/8",), None),
        ("http://11.1.2.3/", ("10.0.0.0/8", "bad/net"), "http://p:1"),
        ("http://[::1]/", ("[::1]",), None),
        ("http://[::1]/", ("::1",), None),
        ("http://HOST/", ("Host", ""), None),
        ("http://host/", ("",), "http://p:1"),
        ("http://bücher.example/", ("Bücher.example",), None),
        ("http://[::1]:8080/", ("[::1]:8080",), None),
        ("http://[::1]:8081/", ("[::1]:8080",), "http://p:1"),
    ],
)
def test_proxies_are_chosen_by_scheme_and_left_out_by_host(url: str, no_proxy: tuple[str, ...], proxy: str) -> None:
    assert proxy_for(url, PROXIES, no_proxy) == proxy
