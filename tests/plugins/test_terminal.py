"""Progress: bars that fit the terminal, and lines where there is none."""

import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelpm.api import Context, Progress, Stage, Status, Work
from modelpm.api.toolkit import amount, cells
from modelpm_terminal import modelpm_listener
from modelpm_terminal.bar import Bar
from modelpm_terminal.drawing import draw, draw_stages, left_text, rows
from modelpm_terminal.frame import Frame
from modelpm_terminal.names import apart
from modelpm_terminal.plain import Plain

MIB = 1 << 20
LONG = "a-model-file-whose-name-has-exactly-sixty-characters-q4.gguf"


def state(
    done: int,
    total: int | None,
    file: str = "",
    *,
    status: Status = Status.DOWNLOADING,
    speed: float = 0.0,
    model: str = "m",
) -> Progress:
    return Progress(model, done, total, 0.0, speed, status, None, file)


def text(models: Sequence[Progress], files: Sequence[Progress], width: int, limit: int = 20) -> list[str]:
    return draw(rows(models, files, limit), width)


def test_each_file_has_a_bar_and_the_total_its_speed_and_time() -> None:
    files = [state(3 * MIB, 30 * MIB, "b.gguf"), state(5 * MIB, 10 * MIB, "a.gguf")]
    lines = text([state(8 * MIB, 40 * MIB, speed=2.0 * MIB)], files, 80)
    assert [line.split()[0] for line in lines] == ["a.gguf", "b.gguf", "Total"]
    assert "━" in lines[0]
    assert "5.0/10.0 MiB" in lines[0]
    assert lines[2].split() == ["Total", lines[2].split()[1], "20%", "8.0/40.0", "MiB", "2.0", "MiB/s", "16s"]


def test_a_narrow_terminal_gets_percentages_instead_of_bars() -> None:
    files = [state(3 * MIB, 30 * MIB, "b.gguf"), state(5 * MIB, 10 * MIB, LONG)]
    lines = text([state(8 * MIB, 40 * MIB, speed=2.0 * MIB)], files, 40)
    assert lines[0].startswith("a-model-f…cters-q4  50%")
    assert "━" not in "".join(lines)
    assert lines[-1].strip() == "2.0 MiB/s, 16s left"


def test_one_file_that_is_all_there_is_needs_no_total() -> None:
    lines = text([state(8 * MIB, 40 * MIB, speed=MIB)], [state(8 * MIB, 40 * MIB, LONG)], 80)
    assert len(lines) == 1
    assert "1.0 MiB/s" in lines[0]


@given(
    st.lists(st.tuples(st.text(min_size=1, max_size=80), st.integers(0, 1 << 45), st.integers(0, 1 << 45)), max_size=6),
    st.integers(30, 200),
    st.floats(0, 1e12),
)
@example([("a", 0, 18000)], 72, 0.5)  # ten hours
@example([("a", 0, 360000)], 72, 1.000001)  # all but a hundred
def test_no_line_ever_reaches_the_edge(files: list[tuple[str, int, int]], width: int, speed: float) -> None:
    states = [state(min(done, total), total, name) for name, done, total in files]
    done, total = sum(s.downloaded_bytes for s in states), sum(s.total_bytes or 0 for s in states)
    for line in text([state(done, total, speed=speed)], states, width):
        assert cells(line) <= width - 3


def test_only_what_fits_is_drawn_and_the_largest_files_stay() -> None:
    files = [state(0, number * MIB, f"{number:02}.gguf") for number in range(1, 31)]
    lines = text([state(0, 465 * MIB)], files, 80, limit=5)
    assert [line.split()[0] for line in lines] == ["27.gguf", "28.gguf", "29.gguf", "30.gguf", "Total"]


def test_files_that_wait_or_are_done_have_no_bar() -> None:
    files = [
        state(0, MIB, "queued", status=Status.QUEUED),
        state(MIB, MIB, "done", status=Status.COMPLETED),
        state(MIB, MIB, "checked", status=Status.VERIFYING),
    ]
    lines = text([state(2 * MIB, 3 * MIB)], files, 80)
    assert [line.split()[0] for line in lines] == ["checked", "Total"]
    assert lines[0].split()[-1] == "verifying"


def test_a_terminal_without_unicode_gets_ascii() -> None:
    made = rows([state(MIB, 4 * MIB)], [state(MIB, 2 * MIB, LONG), state(0, 2 * MIB, "b")], 9)
    assert "".join(draw(made, 80, ascii_only=True)).isascii()


def test_a_hostile_file_name_reaches_no_terminal() -> None:
    assert "\x1b" not in "".join(text([state(0, 9)], [state(0, 8, "a\x1b[2Jb")], 120))


@pytest.mark.parametrize(
    ("done", "total", "shown"),
    [(0, 10, "0/10 B"), (512, 2048, "0.5/2.0 KiB"), (3 * MIB, None, "3.0 MiB"), (0, 0, "0/0 B")],
)
def test_amounts_share_the_unit_of_the_total(done: int, total: int | None, shown: str) -> None:
    assert amount(done, total) == shown


def test_bars_are_cleared_when_they_are_closed() -> None:
    stream = io.StringIO()
    bar = Bar(Frame(stream, {}))
    bar.show([state(0, 9 * MIB), state(0, 4 * MIB, "a"), state(0, 5 * MIB, "b")])
    bar.show([state(9 * MIB, 9 * MIB, status=Status.COMPLETED)])
    bar.close()
    bar.close()
    assert "Total" in stream.getvalue()
    assert stream.getvalue().endswith("\r\x1b[J\x1b[?25h\x1b[?2026l")  # one row, which is erased


def test_a_model_that_is_done_stays_in_the_total() -> None:
    stream = io.StringIO()
    bar = Bar(Frame(stream, {}))
    bar.show([state(4 * MIB, 4 * MIB, model="one", status=Status.COMPLETED)])
    bar.show([state(0, 4 * MIB, model="two"), state(0, 4 * MIB, "x", model="two")])
    bar.close()
    assert "4.0/8.0 MiB" in stream.getvalue()


def test_without_a_terminal_a_large_file_gets_a_line_at_each_end() -> None:
    stream = io.StringIO()
    plain = Plain(stream)
    small, large = state(0, MIB, "small"), state(0, 2 * MIB, "large\n")
    plain.show([state(0, 3 * MIB, status=Status.QUEUED), state(0, 2 * MIB, "large\n", status=Status.QUEUED)])
    plain.show([state(0, 3 * MIB), small, large])
    plain.show([state(0, 3 * MIB), small, large])
    plain.show([state(0, 3 * MIB), state(2 * MIB, 2 * MIB, "large\n", status=Status.COMPLETED)])
    plain.close()
    assert stream.getvalue() == "Downloading large\\x0a (2.0 MiB)\n Downloaded large\\x0a\n"


def test_the_plugin_serves_its_two_names_and_no_other() -> None:
    assert isinstance(modelpm_listener("bar", Context()), Bar)
    assert isinstance(modelpm_listener("plain", Context()), Plain)
    assert modelpm_listener("other", Context()) is None


SHARDS = [f"weights/model-{number:05}-of-00030.safetensors" for number in range(1, 31)]


@pytest.mark.parametrize("width", [60, 36, 20, 14, 9])
def test_names_that_stand_below_each_other_tell_apart(width: int) -> None:
    found = apart(SHARDS, width)
    assert len(set(found)) == len(SHARDS)
    assert max(map(cells, found)) <= width


def test_what_all_names_share_goes_first() -> None:
    assert apart(SHARDS, 39)[16] == "model-00017-of-00030.safetensors"
    assert apart(SHARDS, 20)[16] == "model-00017-of-00030"
    assert apart(SHARDS, 16)[16] == "…00017-of-00030"


@given(st.lists(st.text("ab-./", min_size=1, max_size=30), min_size=1, max_size=5), st.integers(1, 40))
def test_names_fit_whatever_they_are(names: list[str], width: int) -> None:
    found = apart(names, width)
    assert len(found) == len(names)
    assert all(cells(name) <= width for name in found)


def test_the_total_counts_files() -> None:
    models = [Progress("m", 1, 9, 0.0, 0.0, Status.DOWNLOADING, files_done=123, files_total=300)]
    assert draw(rows(models, [], 9), 80)[0].startswith("Total 123/300 files ")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.2, "1s"), (41, "41s"), (59.7, "1m 00s"), (125, "2m 05s"), (3720, "1h 02m"), (1e9, "—"), (float("inf"), "—")],
)
def test_the_time_left_is_short_or_unknown(seconds: float, shown: str) -> None:
    assert left_text(seconds) == shown


def test_no_time_is_promised_while_nothing_comes() -> None:
    stalled = state(5, 9, speed=0.0)
    assert text([stalled], [], 80)[-1].endswith("—")
    assert text([stalled], [], 40)[-1].endswith("time left unknown")


def stage(work: Work, about: str = "m.gguf", *, age: float = 1.0, **more: Any) -> Stage:
    return Stage(work, about, since=NOW - timedelta(seconds=age), **more)


NOW = datetime(2026, 1, 2, 12, 4, 5, tzinfo=UTC)


def test_a_stage_is_a_line_of_words_that_fits() -> None:
    waiting = stage(Work.WAITING, detail="process 7 (modelpm install)", done=3 * MIB, total=12 * MIB, age=65)
    (line,) = draw_stages([waiting], NOW, 100, 9)
    assert line[2:] == "Waiting for process 7 (modelpm install): m.gguf, 3.0 of 12.0 MiB, 25% (1m 05s)"
    (short,) = draw_stages([waiting], NOW, 40, 9)
    assert short.endswith("… (1m 05s)")
    assert cells(short) <= 37
    assert draw_stages([waiting], NOW, 80, 9, ascii_only=True)[0].isascii()


def test_few_stages_are_shown() -> None:
    assert len(draw_stages([stage(Work.HASHING, str(number)) for number in range(9)], NOW, 80, 9)) == 3
    assert draw_stages([stage(Work.HASHING)], NOW, 80, 0) == []


def test_without_a_terminal_waits_are_lines_and_short_work_is_none() -> None:
    stream = io.StringIO()
    plain = Plain(stream)
    now = datetime.now(UTC)
    retrying = Stage(Work.RETRYING, "m.gguf", detail="host is busy (2 of 5)", since=now)
    plain.stages([Stage(Work.HASHING, "a", since=now), retrying])
    plain.stages([retrying])
    plain.stages([Stage(Work.HASHING, "a", since=now - timedelta(seconds=2), done=1, total=4)])
    assert stream.getvalue() == "Retrying m.gguf: host is busy (2 of 5)\nHashing a: 1 of 4 B, 25%\n"


def test_a_wait_on_a_narrow_terminal_keeps_what_is_waited_for() -> None:
    stage = Stage(Work.WAITING, "m.gguf", detail="process 6201 (modelpm install)", done=3 * MIB, total=20 * MIB)
    (wide,) = draw_stages([stage], stage.since, 80, 1)
    (narrow,) = draw_stages([stage], stage.since, 60, 1)
    assert wide.endswith("Waiting for process 6201 (modelpm install): m.gguf, 3.0 of 20.0 MiB, 15%")
    assert narrow.endswith("Waiting for process 6201: m.gguf, 3.0 of 20.0 MiB, 15%")
