import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.api import UsageError
from modelpm.http import PermanentError
from modelpm.http.urls import is_signed, label, origin, proxy_for, redirect_target


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
    with pytest.raises(UsageError):
        origin(url)


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
        ("/n\xc3\xa4me", "https://host/näme"),
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
    ],
)
def test_proxies_are_chosen_by_scheme_and_left_out_by_host(url: str, no_proxy: tuple[str, ...], proxy: str) -> None:
    assert proxy_for(url, PROXIES, no_proxy) == proxy
