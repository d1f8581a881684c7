"""What a text keeps of a URL, and what it loses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.redact import redact_urls


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
