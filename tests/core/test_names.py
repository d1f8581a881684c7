"""Names from outside are hostile."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.errors import IntegrityError, UsageError
from modelpm.text.untrusted import (
    MODEL_ID,
    check_model_name,
    check_path,
    check_paths,
    json_safe,
    printable,
    shortened,
    to_model_name,
)
from tests.support.codes import coded
from tests.support.scaling import LINEAR, exponent

HOSTILE = [
    "",
    ".",
    "..",
    "../x",
    "a/../b",
    "a//b",
    "a/",
    "/etc/passwd",
    "//server/share",
    "C:\\x",
    "C:x",
    "c:/x",
    "\\\\server\\share",
    "a\\b",
    "a\x00b",
    "a\nb",
    "a\x1b[31mb",
    "a\x7fb",
    "a\u0085b",
    "a\u2028b",
    "a\u202eb",
    "a\u2066b",
    "a\ud800b",
    "CON",
    "con.gguf",
    "dir/NUL",
    "aux.tar.gz",
    "COM1.bin",
    "LPT9",
    "COM¹",
    "a.",
    "a ",
    ".git/config",
    "a/.GIT",
    "git~1/x",
    "dir./a",
    "dir /a",
    "a?",
    "a*",
    'a"b',
    "a<b",
    "a|b",
    "a\u00adb",
    "a\u200bb",
    "model\u200d.gguf",
    ".g\u200cit/config",
    "a\u2060b",
    "\ufeffmodel.gguf",
    "a\ufe0f.gguf",
    "\u2764\ufe0f\ufe0f.gguf",
    "1\ufe0f.gguf",
    "a\U000e0100",
    "a\U000e0041b",
    "\u3164.gguf",
    "a\u115fb",
    "a\u1160b",
    "a\uffa0b",
    "a\u2800b",
    "a\u034fb",
    "a\u180eb",
    "a\u17b4b",
    "a\U0001d173b",
    "x" * 256,
    "é" * 128,
    "/".join(["x" * 100] * 11),
]


@pytest.mark.parametrize("path", HOSTILE)
def test_hostile_paths_are_refused_as_an_integrity_error_that_can_be_printed(path: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        check_path(path)
    assert caught.value.code == "hostile_name"
    assert caught.value.exit_code == 4
    assert caught.value.message.isprintable()


@pytest.mark.parametrize(
    "path",
    [
        "a",
        "model.gguf",
        "onnx/model.onnx",
        "~x",
        "-x",
        "a b.gguf",
        "模型/權重.gguf",
        "é.bin",
        ".gitattributes",
        "a..b",
        "❤️.gguf",
        "1️⃣.gguf",
        "🤗.gguf",
        "ﷺ.bin",
        "é.bin",
        "한글.gguf",
        "नमस्ते.gguf",
        "a\u3000b.gguf",
    ],
)
def test_plain_paths_pass(path: str) -> None:
    check_path(path)


@pytest.mark.parametrize(
    "paths",
    [
        ("Model.gguf", "model.GGUF"),
        ("é.bin", "e\u0301.bin"),
        ("straße", "STRASSE"),
        ("a", "a/b"),
        ("A", "a/b/c"),
    ],
)
def test_names_that_fall_together_on_some_file_system_are_refused(paths: tuple[str, str]) -> None:
    with pytest.raises(IntegrityError, check=coded("hostile_name")):
        check_paths(paths)


def test_paths_in_shared_folders_pass() -> None:
    check_paths(["a/b", "a/c", "d"])


@given(st.text())
def test_what_passes_stays_inside_the_folder_it_is_joined_to(path: str) -> None:
    try:
        check_path(path)
    except IntegrityError:
        return
    assert not path.startswith("/")
    assert ".." not in path.split("/")
    assert "\\" not in path
    assert ":" not in path


@given(st.text())
def test_every_text_becomes_a_model_name(text: str) -> None:
    name = to_model_name(text)
    assert MODEL_ID.fullmatch(name)


@given(st.text())
def test_printed_text_has_no_control_characters(text: str) -> None:
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in printable(text))


@given(st.text())
def test_what_nobody_sees_is_printed_and_refused_alike(text: str) -> None:
    shown = printable(text)
    assert printable(shown) == shown
    assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in shown)
    if shown != text:
        with pytest.raises(IntegrityError, check=coded("hostile_name")):
            check_path(text)


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_a_json_document_stays_what_it_was_without_what_nobody_sees(value: object) -> None:
    text = json_safe(json.dumps(value, indent=2, ensure_ascii=False))
    assert printable(text.replace("\n", "")) == text.replace("\n", "")
    assert json.loads(text) == value


@pytest.mark.parametrize("text", ["a" * 5000, "\u200b" * 5000, "é" * 1025, "\ud800" * 5000])
def test_a_long_text_is_cut_for_a_message(text: str) -> None:
    shown = shortened(text)
    assert len(shown) < 1100
    assert shown.endswith(f"… ({len(text)} characters)")
    assert shortened("short\u200b") == "short\\u200b"


@pytest.mark.parametrize("char", ["a", "\u200b", "❤\ufe0f", "\ufe0f", "/", "\U000e0041"])
@pytest.mark.no_cover  # it measures time
def test_a_name_costs_linear_time(char: str) -> None:
    def work(text: str) -> None:
        printable(text)
        shortened(text)
        json_safe(text)
        with pytest.raises(IntegrityError, check=coded("hostile_name")):
            check_path(text)

    assert exponent(lambda n: char * n, work, 20_000) < LINEAR


@pytest.mark.parametrize("name", ["", "Upper", "a/b", ".a", "-a", "a b", "x" * 65, "con", "a."])
def test_model_names_obey_the_alphabet(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a model"):
        check_model_name(name)
