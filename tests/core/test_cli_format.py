"""Numbers, names, tables and errors as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.cli.terminal.format import Line, count, line, table, wrapped
from modelpm.cli.terminal.output import Outcome, document, error_lines, error_row, internal
from modelpm.errors import (
    Denied,
    IntegrityError,
    Interrupted,
    ModelpmError,
    NotFound,
    PluginError,
    StoreError,
    Unavailable,
    UsageError,
)
from modelpm.text.human import binary_size, cells, duration, shorten


def plain(lines: object) -> list[str]:
    assert isinstance(lines, list)
    return ["".join(text for text, _ in spans) for spans in lines]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, "?"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        ((1 << 20) - 1, "1.0 MiB"),
        (5027783488, "4.7 GiB"),
        (1 << 70, "1024.0 EiB"),
    ],
)
def test_sizes_are_binary_with_one_decimal(number: int | None, text: str) -> None:
    assert binary_size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0ms"),
        (0.171, "171ms"),
        (0.9996, "1.0s"),
        (41.2, "41.2s"),
        (59.96, "1m 00s"),
        (125, "2m 05s"),
        (3723, "1h 02m 03s"),
    ],
)
def test_durations_read_like_cargos(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_nouns_agree_with_their_number() -> None:
    assert [count(0, "model"), count(1, "model"), count(2, "match", "matches")] == ["0 models", "1 model", "2 matches"]


def text_of(spans: Line) -> str:
    return "".join(text for text, _ in spans)


def test_a_message_is_broken_between_words_and_a_command_never() -> None:
    error = line(("error:", "error"), " the server at http://127.0.0.1:1847 sent nothing for `a file.gguf` in 30 s")
    assert [text_of(part) for part in wrapped(error, 41)] == [
        "error: the server at",
        "  http://127.0.0.1:1847 sent nothing for",
        "  `a file.gguf` in 30 s",
    ]
    assert [text_of(part) for part in wrapped(error, 60)] == [
        "error: the server at http://127.0.0.1:1847 sent nothing for",
        "       `a file.gguf` in 30 s",
    ]
    assert wrapped(error, 200) == [error]
    command = "modelpm install hf://acme/one-long-name --as ANOTHER-NAME"
    hint = line(("hint:", "hint"), f" to keep both: {command}")
    assert [text_of(part) for part in wrapped(hint, 40)] == ["hint: to keep both:", f"  {command}"]
    size = line("a long name that takes 4.7 GiB", " of it")
    assert [text_of(part) for part in wrapped(size, 26)] == ["a long name that takes", "  4.7 GiB of it"]
    path = line(("   /home/ada/my models/with a long name/of a file.gguf", "dim"))
    assert wrapped(path, 20) == [path]


@given(st.lists(st.text("ab `/:é界", max_size=30), min_size=1, max_size=3), st.integers(1, 60))
def test_no_word_is_lost_where_a_line_is_broken(texts: list[str], width: int) -> None:
    spans = line(*texts)
    parts = [text_of(part).split() for part in wrapped(spans, width)]
    assert sum(parts, []) == text_of(spans).split()  # noqa: RUF017 - few


@given(st.text(max_size=80), st.integers(1, 60))
def test_a_shortened_name_fits_and_a_short_one_is_left_alone(text: str, width: int) -> None:
    short = shorten(text, width)
    assert cells(short) <= width
    assert (short == text) == (cells(text) <= width)


def test_a_name_keeps_its_beginning_and_its_end() -> None:
    assert shorten("Qwen3-8B-Instruct-Q4_K_M.gguf", 15) == "Qwen3-8…_M.gguf"


def test_a_table_shrinks_its_widest_columns_to_the_terminal() -> None:
    rows = [("tiny", "a" * 60, "93.1 KiB"), ("x", "b", "4.7 GiB")]
    lines = plain(table(("NAME", "MODEL", ">SIZE"), rows, 40))
    assert [cells(text) <= 40 for text in lines] == [True] * 3
    assert lines[1].startswith("tiny  aaa")
    assert lines[1].endswith("93.1 KiB")
    assert lines[2].endswith(" 4.7 GiB")


@pytest.mark.parametrize(("width", "columns"), [(100, 5), (60, 4), (46, 2), (34, 1)])
def test_what_is_copied_stays_whole_in_a_narrow_table(width: int, columns: int) -> None:
    name, size = "core/qwen2.5-coder-14b-instruct", "93.1 KiB"
    headers = ("MODEL", "TITLE", ">SIZE", "TASKS", "VARIANTS")
    shown = [header.removeprefix(">") for header in headers[:columns]]
    lines = plain(table(headers, [(name, "Qwen2.5 Coder 14B", size, "chat, code", "q4_k_m, q5_k_m, q8_0")], width))
    assert all(cells(text) <= width for text in lines)
    assert lines[0].split() == shown
    assert lines[1].startswith(name)
    assert (size in lines[1]) == (columns > 2)


def test_in_a_table_too_narrow_for_one_column_all_are_shortened() -> None:
    lines = plain(table(("MODEL", "TITLE"), [("m" * 50, "t" * 50)], 30))
    assert [cells(text) <= 30 for text in lines] == [True] * 2
    assert "t" in lines[1]


def test_a_table_nobody_looks_at_is_not_cut() -> None:
    assert "a" * 300 in plain(table(("NAME",), [("a" * 300,)]))[1]


def test_columns_stand_below_each_other_whatever_the_script() -> None:
    lines = plain(table(("NAME", "X"), [("日本語", "1"), ("abc", "2")]))
    assert [cells(text[: text.index(mark)]) for text, mark in zip(lines[1:], "12", strict=True)] == [8, 8]


def test_control_characters_cannot_break_a_table() -> None:
    assert plain(table(("NAME", "X"), [("a\x1b[2J\n", "1")]))[1] == "a\\x1b[2J\\x0a  1"


def test_an_error_says_what_why_and_what_next() -> None:
    error = IntegrityError(
        "`big.gguf` is not what was promised", hints=["try a mirror"], expected="sha256:aa", actual="sha256:bb"
    )
    assert plain(error_lines([error])) == [
        "error: `big.gguf` is not what was promised",
        "  expected: sha256:aa",
        "  got: sha256:bb",
        "",
        "hint: try a mirror",
    ]


def test_several_errors_share_their_hints() -> None:
    errors = [
        NotFound("`a` is not installed", hints=["list"]),
        NotFound("`b` is not installed\nsince never", hints=["list"]),
    ]
    assert plain(error_lines(errors)) == [
        "error: `a` is not installed",
        "error: `b` is not installed",
        "  since never",
        "",
        "hint: list",
    ]


def test_an_interruption_is_one_line() -> None:
    assert plain(error_lines([Interrupted("interrupted", hints=["run it again"])])) == ["interrupted; run it again"]


@pytest.mark.parametrize(
    ("errors", "code"),
    [
        ([], 0),
        ([Unavailable("x"), PluginError("x")], 1),
        ([Unavailable("x"), UsageError("x"), NotFound("x")], 5),
        ([NotFound("x"), Denied("x"), StoreError("x")], 8),
        ([StoreError("x"), IntegrityError("x")], 4),
        ([IntegrityError("x"), Interrupted("x")], 130),
        ([ModelpmError("x"), UsageError("x")], 2),
    ],
)
def test_of_several_failures_the_gravest_decides(errors: list[ModelpmError], code: int) -> None:
    assert Outcome(errors=errors).exit_code == code


def test_the_document_has_the_keys_of_the_contract_in_their_order() -> None:
    made = document(Outcome(errors=[NotFound("no", hints=["so"], name="x")]), "path", 0.0123)
    assert list(made) == [
        "schema",
        "command",
        "ok",
        "exit_code",
        "dry_run",
        "changes",
        "items",
        "errors",
        "warnings",
        "elapsed_ms",
    ]
    assert (made["ok"], made["exit_code"], made["elapsed_ms"]) == (False, 5, 12)
    assert made["errors"] == [{"name": "x", "code": "not_found", "message": "no", "hints": ["so"], "retryable": False}]


def test_details_of_an_error_cannot_hide_its_own_fields() -> None:
    assert error_row(NotFound("no", retryable="yes"))["retryable"] is False


def test_a_bug_tells_its_traceback_only_when_asked_and_no_signed_query_ever() -> None:
    def failing() -> None:
        raise ValueError("https://user:pw@cdn.example/x?Signature=secret")

    with pytest.raises(ValueError, match="cdn") as caught:
        failing()
    short, long = (internal(caught.value, traceback=wanted) for wanted in (False, True))
    assert short.message == "internal: ValueError: https://cdn.example/x"
    assert "-v" in short.hints[0]
    assert "Traceback" in long.message
    assert "secret" not in long.message
    assert "pw" not in long.message


def test_a_line_is_made_of_spans() -> None:
    assert line("a", ("b", "dim")) == (("a", ""), ("b", "dim"))
