"""Names from outside are hostile."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.errors import IntegrityError, UsageError
from modelpm.names import MODEL_ID, check_model_name, check_path, check_paths, printable, to_model_name

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
    ["a", "model.gguf", "onnx/model.onnx", "~x", "-x", "a b.gguf", "模型/權重.gguf", "é.bin", ".gitattributes", "a..b"],
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
    with pytest.raises(IntegrityError):
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


@pytest.mark.parametrize("name", ["", "Upper", "a/b", ".a", "-a", "a b", "x" * 65, "con", "a."])
def test_model_names_obey_the_alphabet(name: str) -> None:
    with pytest.raises(UsageError):
        check_model_name(name)
