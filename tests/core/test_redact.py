"""What a text keeps of a URL, and what it loses; and that a known secret stays in none."""

import json
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.api.types import Secret
from modelpm.errors import NotFound, UsageError
from modelpm.network import redact
from modelpm.network.redact import MARK, capped, cleaned, redact_urls, withhold, withhold_in_url, without_secrets
from modelpm.text.spec import parse_spec


@pytest.fixture(autouse=True, scope="module")
def _own_secrets() -> Iterator[None]:
    """What is withheld here stays in no other test's process."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(redact, "_WITHHELD", redact.Withheld())
        yield


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("https://h.example/a?sig=1", "https://h.example/a"),
        ("http://u:p@h.example:80/a", "http://h.example:80/a"),
        ("http://token@h.example/a", "http://h.example/a"),
        ("s3://u:p@bucket/a?X=1", "s3://bucket/a"),
        (f"https://h/a?k=v#sha256={'0' * 64}", f"https://h/a#sha256={'0' * 64}"),
        ("https://h/a#token=1", "https://h/a"),
        ("hf://owner/repo@v1/model-?.gguf", "hf://owner/repo@v1/model-?.gguf"),
        ("hf://gpt2@main", "hf://gpt2@main"),
        ("hf://owner/repo:Q4_K_M", "hf://owner/repo:Q4_K_M"),
        ("file:///srv/a b.gguf", "file:///srv/a b.gguf"),
        ("retries exceeded with url: /a/b?X-Sig=1&y (Caused by x)", "retries exceeded with url: /a/b (Caused by x)"),
        ("got <https://h/a?b=c> instead", "got <https://h/a> instead"),
        ("is it in /a/b? then no", "is it in /a/b? then no"),
        ("https://u:pass'word@h/x", "https://h/x"),
        ('https://u:pass"word@h/x', "https://h/x"),
        ("https://u:pass`word@h/x", "https://h/x"),
        ("https://u:pass<word@h/x", "https://h/x"),
        ("https://u:pass word@h/x", "https://h/x"),
        ("https://u:p@ss@h/x", "https://h/x"),
        ("HTTPS://u:p@h/x", "HTTPS://h/x"),
        ("foo+https://u:p@h/x", "foo+https://h/x"),
        ("ftp://u:p@h/x", "ftp://h/x"),
        ("https://h/a?token=s3cr'et", "https://h/a"),
        ("'https://h/a?b=c', then", "'https://h/a', then"),
        ("(https://h/a?b=c)", "(https://h/a)"),
        ("https://u:p/w@h/x", "https://…"),
        ("https://u:p#w@h/x", "https://…"),
        ("see https://h/a and write to me@h", "see https://h/a and write to me@h"),
        ("see https://h and write to me@h", "see https://h and write to me@h"),
        ("https://h: gone", "https://h: gone"),
        ("https://[::1]:8080/x?y", "https://[::1]:8080/x"),
        ("https://a/?x=https://b/?y", "https://a/"),
    ],
)
def test_known_forms(text: str, kept: str) -> None:
    assert redact_urls(text) == kept


@given(
    st.text("abc123.:-", min_size=1),
    st.text("abc/-._~", max_size=20),
    st.text(st.characters(exclude_characters=" \"'<>`", exclude_categories=("Z", "C")), max_size=20),
)
def test_no_query_and_no_password_survives(host: str, path: str, rest: str) -> None:
    text = redact_urls(f"see https://user:PASSWORD@{host}/{path}?key=SECRET{rest} there")
    assert "SECRET" not in text
    assert "PASSWORD" not in text


@pytest.mark.parametrize(
    "text",
    [
        "a" * 200_000,
        "://" * 70_000,
        "a://" * 50_000,
        "https://" + "@" * 200_000,
        "https://" + "a:" * 100_000,
        "https://h/?" + ")" * 200_000,
        "/" * 200_000 + "?a=b",
        "?" * 200_000,
        "x@" * 100_000,
        "https://u:" + " @" * 100_000,
    ],
)
@pytest.mark.no_cover  # it measures time
def test_any_text_is_cleaned_in_linear_time(text: str) -> None:
    withhold("s3cret-of-this-test")
    begin = time.process_time()
    redact_urls(text)
    assert time.process_time() - begin < 10  # quadratic ones took minutes


# Letters and digits would meet parts of ordinary words; a real secret has more than that.
secrets = (
    st.text(st.characters(exclude_categories=("Cs", "Z", "Cc")), min_size=4, max_size=20)
    .map("~".join)
    .filter(lambda text: len(text) >= 8)
)


@given(secrets, st.text(max_size=5), st.text(max_size=5))
def test_a_withheld_secret_is_found_in_every_spelling(secret: str, before: str, after: str) -> None:
    withhold(secret)
    spelled = [
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
    ]
    for text in spelled:
        assert text not in without_secrets(f"{before} {text} {after}").replace(MARK, "")
    for encode in (b64encode, urlsafe_b64encode):
        for left in ("", "u:", "user:", "longer:"):
            header = encode(f"{left}{secret}{after}".encode("utf-8", "replace")).decode()
            assert header not in without_secrets(f"Authorization: Basic {header}")


def test_short_words_are_no_secrets() -> None:
    withhold("a-b-c")
    assert without_secrets("x a-b-c y") == "x a-b-c y"


def test_whatever_is_made_a_secret_stays_in_no_error() -> None:
    Secret("canary~one", username="joe")
    error = NotFound("sent canary~one", hints=["try canary~one"], header={"x": ["Basic canary~one"]})
    assert "canary" not in repr((error, error.args, error.hints, error.details))
    assert cleaned({"canary~one": ("canary~one", 1)}) == {MARK: [MARK, 1]}


@pytest.mark.parametrize(
    "spec",
    [
        "https://joe:canary~two@h/x",
        "https://joe:canary~tw%6f@h/x",
        "https://canary~two@h/x",
        "https://joe:canary~two/x@h/y",
        "https://joe:can'ary canary~two@h/x",
        "https://h/x?a=b&token=canary~two",
        "https://h/x?a=b c&api_key=canary~two#y",
        "https://h/x?X-Amz-Signature=canary~two",
        "ftp://joe:canary~two@h/x",
        "foo+https://joe:canary~two@h/x",
        "https://h/x?private_token=canary~two",
        "https://h/x?tok%65n=canary~two",
        "https://h/x;token=canary~two",
        "https://h/x#token=canary~two",
        "https:/joe:canary~two@h/x",
        "https:\\\\joe:canary~two@h/x",
        "//joe:canary~two@h/x",
        "//canary~two@h/x",
        "joe:canary~two@h/x",
        "joe:canary~two@h.example",
        "joe:canary~two@127.0.0.1",
        "HTTPS%3a%2f%2fjoe%3acanary~two%40h",
        "pkg:x/y?token=canary~two",
        '{"hf://" = "https://joe:canary~two@h/x"}',
    ],
)
def test_what_a_typed_address_holds_of_secrets_is_withheld(spec: str) -> None:
    with suppress(UsageError):
        parse_spec(spec)
    told = redact_urls(f"cannot use `{spec}`, nor canary~two")
    assert "ary~two" not in told


def test_other_addresses_hold_no_secrets() -> None:
    for spec in (
        "hf://owner/canary-repo@canary-branch:CANARY_Q4",
        "https://h/canary-file?download=canary-word",
        "canary-repo:CANARY_Q4@1.0",
        "owner/canary-repo@canary-branch:CANARY_Q4",
        "monkey=canary-word",
    ):
        withhold_in_url(spec)
    words = "canary-repo canary-branch CANARY_Q4 canary-file canary-word"
    assert without_secrets(words) == words


def test_a_text_of_others_is_cut() -> None:
    assert len(capped("x" * 100_000)) < 4200
    assert capped("x" * 4096) == "x" * 4096
