"""The one reader of TOML: what it refuses before the parser starts, what it reads, and typed values."""

import tomllib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from modelpm.text.toml import MAX_DEPTH, MAX_TEXT, Table, TomlError, loads
from tests.support.scaling import LINEAR, exponent

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
@pytest.mark.no_cover  # it measures time
def test_no_text_takes_more_than_linear_time(case: str) -> None:
    def work(text: str) -> None:
        with suppress(TomlError):
            loads(text)

    assert exponent(HOSTILE[case], work, 80_000) < LINEAR


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


def parsed(text: str) -> Table:
    return Table(loads(text), text)


READ: dict[str, Callable[[Table], object]] = {
    "text": lambda table: table.text("x"),
    "texts": lambda table: table.texts("x"),
    "number": lambda table: table.number("x", "a whole number"),
    "flag": lambda table: table.flag("x"),
    "table": lambda table: table.table("x").values,
    "tables": lambda table: [item.values for item in table.tables("x")],
    "read": lambda table: table.read("x", int),
}


@pytest.mark.parametrize(
    ("kind", "text", "found"),
    [
        ("text", "x = 'a'", "a"),
        ("texts", "x = ['a', '']", ("a", "")),
        ("texts", "", ()),
        ("number", "x = 0", 0),
        ("flag", "x = true", True),
        ("flag", "", False),
        ("table", "x = {a = 1}", {"a": 1}),
        ("table", "", {}),
        ("tables", "[[x]]\na = 1\n[[x]]", [{"a": 1}, {}]),
        ("read", "x = '7'", 7),
    ],
)
def test_a_value_of_the_right_kind_is_returned(kind: str, text: str, found: object) -> None:
    assert READ[kind](parsed(text)) == found


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("text", "", "`x` is missing; it must be a text"),
        ("text", "y = 1\nx = 3", "`x` is `3`, but must be a text (at line 2)"),
        ("text", "x = ''", '`x` is `""`, but must be a text (at line 1)'),
        ("text", f"x = '{'a' * (MAX_TEXT + 1)}'", f"but must be a text of at most {MAX_TEXT} characters (at line 1)"),
        ("texts", "x = 'a'", '`x` is `"a"`, but must be a list of texts (at line 1)'),
        ("texts", "x = ['a', 1.5]", "`x` has `1.5`, but must be a list of texts (at line 1)"),
        ("number", "x = true", "`x` is `True`, but must be a whole number (at line 1)"),
        ("number", "x = -1", "`x` is `-1`, but must be a whole number (at line 1)"),
        ("flag", "x = 1", "`x` is `1`, but must be true or false (at line 1)"),
        ("table", "x = [1]", "`x` is a list, but must be a table (at line 1)"),
        ("tables", "", "`x` is missing; it must be one or more tables `[[x]]`"),
        ("tables", "[x]\na = 1", "`x` is a table, but must be one or more tables `[[x]]` (at line 1)"),
        ("read", "x = 'a'", "invalid literal"),
    ],
)
def test_a_value_of_another_kind_is_refused_with_key_line_and_what_is_allowed(kind: str, text: str, said: str) -> None:
    with pytest.raises(TomlError) as caught:
        READ[kind](parsed(text))
    assert said in str(caught.value)


def test_an_unknown_key_is_told_with_its_line_and_the_nearest() -> None:
    (table,) = parsed("[[a]]\n[a.b]\nknwon = 1\n").tables("a")
    (error,) = table.table("b").unknown(("known", "other"))
    assert str(error) == "the key `a[1].b.knwon` is unknown (at line 3)"
    assert error.hints == ("did you mean `a[1].b.known`?",)
    table.table("b").only(("knwon",))


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("a = 1\n[b]\nc.d = 1\nc.e = 2", ("b", "c", "e"), 4),
        ("[b.\"x y\"]\n'q' = 1", ("b", "x y", "q"), 2),
        ("[[a]]\n[[a.b]]\nc = 1\n[[a]]\n[[a.b]]\n[[a.b]]\nc = 2", ("a", 2, "b", 2, "c"), 7),
        ("[[a]]\n[a.b]\nc = 1\n[[a]]\n[a.b]\nc = 2", ("a", 2, "b", "c"), 6),
        ('a = [\n  ["b"]\n]\nb = 1', ("b",), 4),
        ('a = """\nb = 1\n[b]\n"""\r\nb = 1', ("b",), 5),
        ("a = { b = [{ c = 1 }] }", ("a", "b", 1, "c"), 1),
        ("# b = 1\n  b = 1", ("b",), 2),
        ("[a]\nb = 1", ("a", "gone"), 1),
        ("a = 1", ("gone",), 0),
    ],
)
def test_the_line_of_a_value_is_found(text: str, path: tuple[str | int, ...], line: int) -> None:
    loads(text)
    *where, key = path
    assert Table({}, text, tuple(where)).line(str(key)) == (f" (at line {line})" if line else "")


def _dicts(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.text(st.sampled_from("ab.#[\"'= é"), max_size=3), inner, max_size=3)


_DOCUMENTS = _dicts(
    st.recursive(st.just(0), lambda inner: _dicts(inner) | st.lists(_dicts(inner), max_size=3), max_leaves=8)
)


def _numbered(value: Any, numbers: Iterator[int]) -> Any:
    if isinstance(value, dict):
        return {key: _numbered(inner, numbers) for key, inner in value.items()}
    return [_numbered(item, numbers) for item in value] if isinstance(value, list) else next(numbers)


def _leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], int]]:
    if isinstance(value, int):
        yield path, value
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from _leaves(inner, (*path, key))
    for number, item in enumerate(value if isinstance(value, list) else (), 1):
        yield from _leaves(item, (*path, number))


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


@given(_DOCUMENTS)
def test_the_line_named_is_the_one_where_what_holds_the_value_begins(document: Any) -> None:
    values = _numbered(document, iter(range(100_000, 200_000)))
    text = tomli_w.dumps(values)
    lines = text.split("\n")
    for (*where, key), number in _leaves(values):
        at = next(n for n, line in enumerate(lines) if str(number) in line)
        begins = next(n for n in range(at, -1, -1) if _is_toml("\n".join(lines[:n])))
        assert Table({}, text, tuple(where)).line(str(key)) == f" (at line {begins + 1})"


LONG: dict[str, Callable[[int], str]] = {  # within the caps: a line is only looked for in a text that was parsed
    "keys": lambda n: "".join(f"k{k} = 1\n" for k in range(n)),
    "tables in arrays": lambda n: "[[a]]\n[[a.b]]\n" * n,
    "deep keys": lambda n: "".join(f"a.b.c.d.e.f.g.h{k} = 1\n" for k in range(n)),
    "a long array": lambda n: "x = [" + "1,\n" * n + "]",
    "an empty text": lambda n: "\n" * n,
}


@pytest.mark.parametrize("case", LONG)
@pytest.mark.no_cover  # it measures time
def test_a_line_is_found_in_linear_time(case: str) -> None:
    def work(text: str) -> None:
        assert not Table({}, text).line("gone")

    loads(LONG[case](2000))
    assert exponent(LONG[case], work, 8000) < LINEAR
