from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.api import Reference, UsageError
from modelpm_huggingface.grammar import parse

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("rest", "reference"),
    [
        ("Qwen/Qwen3-8B-GGUF", Reference("hf", "Qwen/Qwen3-8B-GGUF")),
        ("gpt2", Reference("hf", "gpt2")),
        ("gpt2/", Reference("hf", "gpt2")),
        ("gpt2@main/config.json", Reference("hf", "gpt2", "main", "config.json")),
        ("owner/repo@v1.0", Reference("hf", "owner/repo", "v1.0")),
        ("owner/repo@refs%2Fpr%2F1", Reference("hf", "owner/repo", "refs/pr/1")),
        (f"owner/repo@{COMMIT}/a/b c.gguf", Reference("hf", "owner/repo", COMMIT, "a/b c.gguf")),
        ("owner/repo/*.safetensors", Reference("hf", "owner/repo", None, "*.safetensors")),
        ("owner/repo/mail@home.txt", Reference("hf", "owner/repo", None, "mail@home.txt")),
        ("owner/repo:Q4_K_M", Reference("hf", "owner/repo", None, "", "Q4_K_M")),
        ("owner/repo@v1:IQ4_XS", Reference("hf", "owner/repo", "v1", "", "IQ4_XS")),
        ("gpt2:Q8_0", Reference("hf", "gpt2", None, "", "Q8_0")),
        ("datasets/owner/data@main/x.csv", Reference("hf", "datasets/owner/data", "main", "x.csv")),
        ("datasets/squad", Reference("hf", "datasets/squad")),
    ],
)
def test_every_form_is_read(rest: str, reference: Reference) -> None:
    assert parse(rest) == reference


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "/",
        "owner//x",
        "/repo",
        "ow ner/repo",
        "owner/re..po",
        "owner/-repo",
        "owner/repo@",
        "owner/repo:",
        "a/b:Q\\n4",
        "owner/repo@a b",
        "owner/repo@a..b",
        "owner/repo/x:Q4_K_M",
        "owner/repo?x=1",
        "owner/repo@v1@v2",
        "../../etc",
    ],
)
def test_what_is_malformed_is_refused_with_examples(rest: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse(rest)

    assert "hf://owner/repo:Q4_K_M" in refused.value.hints[0]


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(rest: str) -> None:
    with suppress(UsageError):
        parse(rest)


@given(
    st.from_regex(r"(datasets/)?[A-Za-z0-9]{1,8}/[A-Za-z0-9_]{1,8}", fullmatch=True),
    st.none()
    | st.from_regex(r"[a-z0-9]{1,5}(/[a-z0-9.]{1,5}[a-z0-9])?", fullmatch=True).filter(lambda r: ".." not in r),
    st.just("") | st.from_regex(r"[a-z]{1,5}(/[a-z *@]{1,5}[a-z])?", fullmatch=True),
)
def test_what_is_written_is_read_back(path: str, revision: str | None, file: str) -> None:
    reference = Reference("hf", path, revision, file)

    assert parse(str(reference).removeprefix("hf://")) == reference
