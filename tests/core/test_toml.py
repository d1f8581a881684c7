"""The one reader of TOML: what it refuses before the parser starts, and that it agrees with the parser otherwise."""

import tomllib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.text.toml import MAX_DEPTH, TomlError, loads
from tests.support.scaling import growth

HOSTILE = {
    "one dotted key": lambda n: "a." * n + "a = 1\n",
    "dotted keys that grow": lambda n: "\n".join("a." * k + f"b{k} = 1" for k in range(int((2 * n) ** 0.5))),
    "a header": lambda n: "[" + "a." * n + "a]\n",
    "brackets": lambda n: "x = " + "[" * n + "]" * n,
    "braces": lambda n: "x = " + "{a = " * n + "1" + "}" * n,
    "a key in braces": lambda n: "x = {" + "a." * n + "a = 1}",
    "a key behind a text that ends in quotes": lambda n: 'x = ["""y"""", {' + "a." * n + "a = 1}]",
    "quotes without end": lambda n: "x = " + '"""' + '""\\"' * n,
    "quotes that begin again": lambda n: "'" * n,
    "digits": lambda n: "x = " + "1" * n,
    "hexadecimal digits": lambda n: "x = 0x" + "f" * n,
    "comments": lambda n: "#" * n,
    "dots": lambda n: "." * n,
    "escapes": lambda n: 'x = "' + "\\n" * n + '"',
    "lines": lambda n: "\n" * n,
}


@pytest.mark.parametrize("case", HOSTILE)
def test_no_text_takes_more_than_linear_time(case: str) -> None:
    def work(text: str) -> None:
        with suppress(TomlError):
            loads(text)

    assert growth(HOSTILE[case], work, 20_000) < 8


@pytest.mark.parametrize(
    "text",
    [
        "\n\n" + ".".join("a" * (MAX_DEPTH + 1)) + " = 1",
        "\n\nx = " + "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
        "# a.b.c.d.e.f.g.h.i\n'a.b.c.d.e.f.g.h.i' = 1\n[" + ".".join("abcdefghi") + "]",
        'x = """\n"""\na' + ". b" * MAX_DEPTH + " = 1",
    ],
)
def test_what_is_nested_too_deep_is_named_with_its_line(text: str) -> None:
    with pytest.raises(TomlError, match=r"nested more than 8 deep \(at line 3\)"):
        loads(text)


@pytest.mark.parametrize(
    "text",
    [
        ".".join("abcdefgh") + " = 1",
        "x = [[[[[[[[1.5]]]]]]]]",
        "x = ['a.b.c.d.e.f.g.h.i', \"[[[[[[[[[[\", '''[[[[[[[[[''', 1.2, 3.4]  # [[[[[[[[[[[",
        'x = """""a"""""\n"a.b".c = "\\"[[[[[[[[["',
        "\ufeffx = 1",
        "x = 9223372036854775807\r\ny = -9223372036854775808",
    ],
)
def test_what_is_within_the_caps_is_read(text: str) -> None:
    assert loads(text) == tomllib.loads(text.removeprefix("\ufeff"))


@pytest.mark.parametrize("number", ["9223372036854775808", "0x" + "f" * 5000, "1" * 5000, "-9223372036854775809"])
def test_a_number_beyond_64_bits_is_refused(number: str) -> None:
    with pytest.raises(TomlError) as caught:
        loads(f"[[a]]\nb = [1, {number}]")
    assert str(caught.value) in {
        "`a[1].b[2]` has a number that needs more than 64 bits",
        "it has a value that cannot be read",
    }


def test_an_error_names_line_and_key_but_never_the_value() -> None:
    with pytest.raises(TomlError) as caught:
        loads('good = 1\ntoken = "hf_secret\n')
    assert "at line 2" in str(caught.value)
    assert "in the value of `token`" in str(caught.value)
    assert "hf_secret" not in str(caught.value)


def test_a_message_holds_no_control_characters_and_stays_short() -> None:
    with pytest.raises(TomlError) as caught:
        loads("\u202ekey" * 5000 + " = ?")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


def test_a_text_above_the_limit_is_not_parsed() -> None:
    loads("#" * 100, limit=100)
    with pytest.raises(TomlError, match="larger than 100 bytes"):
        loads("#" + "é" * 50, limit=100)


_PIECES = st.sampled_from(
    ["a", "b", ".", "=", "[", "]", "{", "}", ",", "\n", "\r\n", '"', "'", '"""', "'''", "#", "\\", " ", "1", "\ufeff"]
)


@given(st.lists(_PIECES, max_size=60).map("".join))
def test_it_agrees_with_the_parser_or_refuses_what_is_deep(text: str) -> None:
    try:
        found = loads(text)
    except TomlError as error:
        if "deep" not in str(error):
            with pytest.raises((ValueError, RecursionError)):
                tomllib.loads(text.removeprefix("\ufeff"))
        return
    assert found == tomllib.loads(text.removeprefix("\ufeff"))
    assert _depth(found) <= 3 * MAX_DEPTH


def _depth(value: object) -> int:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inside), default=0) if isinstance(value, dict | list) else 0
