"""Stages: what takes long is a value with words, and is shown soon, also while the thread that works is blocked."""

import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.api import Event, Progress, Stage, Work
from modelpm.api.events import Bus
from modelpm.api.stages import stage_of
from modelpm.events.listening import Listening
from modelpm.events.subscribers import Events

NOW = datetime(2026, 1, 2, 12, 4, 5, tzinfo=UTC)
MIB = 1 << 20
FILE = {"model": "big", "path": "m.gguf"}


@pytest.mark.parametrize(
    ("action", "fields", "words"),
    [
        (
            "file.retry",
            {"reason": "host reset", "attempt": 2, "retries": 5, "wait": 1},
            "Retrying m.gguf: try 2 of 5, host reset",
        ),
        ("file.retry", {"reason": "host reset", "attempt": 0, "retries": 5, "wait": 0}, "Retrying m.gguf: host reset"),
        (
            "file.wait",
            {"holder": "process 7", "done": 3 * MIB, "size": 12 * MIB},
            "Waiting for process 7: m.gguf, 3.0 of 12.0 MiB, 25%",
        ),
        ("file.start", {"resumed": 27 * MIB, "size": 60 * MIB}, "Resuming m.gguf at 27.0 of 60.0 MiB"),
        (
            "file.retry",
            {"reason": "busy", "code": "rate_limited", "attempt": 1, "retries": 5, "wait": 5},
            f"Rate limited until {(NOW + timedelta(seconds=5)).astimezone():%H:%M:%S}: m.gguf: try 1 of 5, busy",
        ),
        ("file.hash", {"done": MIB, "size": 2 * MIB}, "Hashing m.gguf: 1.0 of 2.0 MiB, 50%"),
    ],
)
def test_an_event_that_means_a_wait_is_a_stage(action: str, fields: dict[str, Any], words: str) -> None:
    stage = stage_of(action, {**FILE, **fields}, NOW)
    assert stage is not None
    assert (stage.words(NOW), stage.ended, stage.key) == (words, False, ("big", "m.gguf"))


@pytest.mark.parametrize("action", ["file.done", "file.failed", "file.recovered"])
def test_it_ends_with_the_file(action: str) -> None:
    stage = stage_of(action, FILE, NOW)
    assert stage is not None
    assert stage.ended
    assert stage.key == ("big", "m.gguf")


def test_a_download_that_resumes_nothing_waits_for_nothing() -> None:
    stage = stage_of("file.start", {**FILE, "resumed": 0, "size": 9}, NOW)
    assert stage is not None
    assert stage.ended


_VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers())


@given(
    st.sampled_from(["file.retry", "listing.retry", "file.wait", "file.start", "file.hash", "other"]),
    st.dictionaries(
        st.sampled_from(["path", "server", "model", "reason", "attempt", "retries", "wait", "done", "size", "resumed"]),
        _VALUES,
    ),
)
def test_no_event_of_a_plugin_breaks_the_display(action: str, fields: dict[str, Any]) -> None:
    stage = stage_of(action, fields, NOW)
    assert stage is None or isinstance(stage.words(NOW), str)


def test_a_silence_is_told_with_its_length() -> None:
    stage = Stage(Work.STALLED, "big", since=NOW - timedelta(seconds=7))
    assert stage.words(NOW) == "No data for 7s: big"


def test_the_callers_function_gets_stages_as_events() -> None:
    seen: list[Event] = []
    bus = Bus((Events(seen.append),))
    with bus.during(Work.RESOLVING, "hf://acme/big"):
        pass
    assert [(e.action, e.fields["work"], e.fields["ended"]) for e in seen] == [
        ("stage", "resolving", False),
        ("stage", "resolving", True),
    ]


def test_what_is_counted_is_told_from_the_first_count_on_and_not_too_often() -> None:
    seen: list[Event] = []
    bus = Bus((Events(seen.append),))
    with bus.during(Work.HASHING, "m.gguf", total=4):
        pass
    assert seen == []
    with bus.during(Work.HASHING, "m.gguf", total=3000) as ongoing:
        for _ in range(3000):
            ongoing.add(1)
    assert 2 <= len(seen) < 100
    assert (seen[-1].fields["done"], seen[-1].fields["ended"]) == (3000, True)


class Recorder:
    """A listener that notes what it is shown, and when."""

    def __init__(self) -> None:
        self.shown: list[tuple[float, list[Work]]] = []
        self.told = threading.Event()

    def show(self, progress: Sequence[Progress]) -> None:
        pass

    def stages(self, stages: Sequence[Stage]) -> None:
        self.shown.append((time.monotonic(), [stage.work for stage in stages]))
        self.told.set()

    def close(self) -> None:
        pass


def test_a_stage_is_shown_within_a_third_of_a_second_while_the_caller_is_blocked() -> None:
    listener = Recorder()
    bus = Bus((Listening(listener, Bus()),))
    began = time.monotonic()
    with bus.during(Work.HASHING, "m.gguf"):
        assert listener.told.wait(10)  # nothing is told meanwhile
    assert listener.shown[0][1] == [Work.HASHING]
    assert 0.1 < listener.shown[0][0] - began < 5  # 0.3 where the machine has time
    deadline = time.monotonic() + 10
    while listener.shown[-1][1] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert listener.shown[-1][1] == []  # what ended is cleared away


def test_short_work_is_not_shown() -> None:
    listener = Recorder()
    bus = Bus((Listening(listener, Bus()),))
    for number in range(5):
        with bus.during(Work.HASHING, str(number)):
            pass
    assert not listener.told.wait(0.4)


def test_why_nothing_comes_is_shown_and_not_that_too() -> None:
    listener = Recorder()
    bus = Bus((Listening(listener, Bus()),))
    bus.stage(Stage(Work.STALLED, "big"))
    bus.event("", "file.retry", {**FILE, "reason": "busy", "attempt": 1, "retries": 5, "wait": 9})
    deadline = time.monotonic() + 10
    while (not listener.shown or Work.RETRYING not in listener.shown[-1][1]) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert listener.shown[-1][1] == [Work.RETRYING]


def test_a_listener_that_raises_is_warned_of_once_and_left_alone() -> None:
    class Broken(Recorder):
        def stages(self, stages: Sequence[Stage]) -> None:
            super().stages(stages)
            raise ValueError

    listener, warned = Broken(), list[Any]()

    class Note:
        def take(self, happening: Any) -> None:
            warned.append(happening.text)

    bus = Bus((Listening(listener, Bus((Note(),))),))
    with bus.during(Work.HASHING, "m.gguf"):
        assert listener.told.wait(10)
        listener.told.clear()
        assert not listener.told.wait(0.3)
    assert warned == ["the progress listener failed: ValueError: "]


@pytest.mark.parametrize("number", [float("-inf"), float("inf"), float("nan"), -1, 1 << 80, "x", None])
def test_a_number_of_a_plugin_that_is_none_is_left_out(number: object) -> None:
    stage = stage_of("file.retry", {"path": "f", "attempt": number, "retries": 5, "reason": "why"}, NOW)
    assert stage is not None
    assert stage.detail == "why"
