"""What a user types."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.errors import UsageError
from modelpm.text.spec import CatalogSpec, UriSpec, parse_spec
from modelpm.text.untrusted import printable
from tests.support.codes import coded


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("qwen3-8b", CatalogSpec("", "qwen3-8b", "", "")),
        ("core/qwen3-8b@1.0:q5_k_m", CatalogSpec("core", "qwen3-8b", "1.0", "q5_k_m")),
        ("qwen3-8b:Q4_K_M", CatalogSpec("", "qwen3-8b", "", "q4_k_m")),
        ("qwen3-8b@>=1,<2", CatalogSpec("", "qwen3-8b", ">=1,<2", "")),
        ("qwen3-8b@1", CatalogSpec("", "qwen3-8b", "1", "")),
        ("hf://owner/repo@rev/path", UriSpec("hf", "owner/repo@rev/path")),
        ("HTTPS://Example.com/a.gguf", UriSpec("https", "Example.com/a.gguf")),
        ("folder:///srv/models/tiny", UriSpec("folder", "/srv/models/tiny")),
    ],
)
def test_specs_are_read(text: str, expected: object) -> None:
    assert parse_spec(text) == expected


@pytest.mark.parametrize("text", ["./model.gguf", "/srv/model", "~/model", "C:\\models\\x.gguf", "c:/x", ".hidden"])
def test_a_path_is_an_error_that_suggests_a_file_uri(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_spec(text)
    assert "file://" in caught.value.hints[0]


def test_a_repository_without_scheme_gets_the_right_form_as_a_hint() -> None:
    with pytest.raises(UsageError) as caught:
        parse_spec("Owner/Repo/file.gguf")
    assert any("hf://Owner/Repo/file.gguf" in hint for hint in caught.value.hints)


@pytest.mark.parametrize("text", ["", "a/b/c", "a@", "a:", "@1", "hf://", "a b", "a:b:c", "ключ"])
def test_malformed_specs_are_usage_errors(text: str) -> None:
    with pytest.raises(UsageError, check=coded("usage")):
        parse_spec(text)


@given(st.text())
def test_nothing_but_a_usage_error_comes_of_any_text(text: str) -> None:
    try:
        parse_spec(text)
    except UsageError as error:
        assert printable(error.message) == error.message


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("tiny==1.0", "a release follows @: tiny@1.0"),
        ("docker.io/ai/small", "an address begins with its scheme: https://docker.io/ai/small"),
    ],
)
def test_the_grammar_of_other_tools_is_answered_in_ours(typed: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_spec(typed)
    assert caught.value.hints[0] == hint
