"""What a person sees on the terminal while modelpm works, and that the screen is left as it was found."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.hub import Hub
from tests.support.terminal import Terminal, terminal

Start = Callable[..., Terminal]
MIB = 1 << 20


@pytest.fixture
def start(hub: Hub, clean_environ: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Return what starts the command in a terminal that ends with the test."""
    made: list[Terminal] = []

    def begin(
        *arguments: str, env: dict[str, str] | None = None, size: tuple[int, int] = (80, 24), script: str = ""
    ) -> Terminal:
        environ = {**clean_environ, "HF_ENDPOINT": hub.endpoint, **(env or {})}
        made.append(terminal(*arguments, env=environ, cwd=tmp_path, size=size, script=script))
        return made[-1]

    yield begin
    for each in made:
        each.end()


@pytest.fixture
def shards(hub: Hub) -> str:
    """Return a model of eight shards that takes a while."""
    hub.add("acme/shards", {f"model-{n:05}-of-00008.safetensors": os.urandom(MIB // 2) for n in range(1, 9)})
    return "hf://acme/shards"


def test_the_screen_is_clean_after_an_install(start: Start, shards: str) -> None:
    ran = start("install", shards, "--limit-rate", "3M")
    ran.read()
    assert ran.code == 0
    assert ran.shows(r"Total \d/8 files")
    assert ran.shows(r"model-0000\d-of-00008")
    assert ran.screen[0].startswith("Installed 1 model (4.0 MiB) in ")
    assert re.fullmatch(r" \+ shards  (default  )?4.0 MiB", ran.screen[1])
    assert "/shards" in "".join(ran.screen[2:])  # the path, and nothing of the bars
    assert not any("Total" in row or "━" in row for row in ran.screen)
    assert ran.cursor_is_shown


def test_a_frame_draws_over_the_old_one_and_erases_after(start: Start, shards: str) -> None:
    ran = start("install", shards, "--limit-rate", "8M")
    ran.read()
    assert "\x1b[2K" not in ran.raw  # no row is ever erased before it is drawn
    assert ran.raw.count("\x1b[?2026h") == ran.raw.count("\x1b[?2026l") > 2


@pytest.mark.parametrize("size", [(80, 6), (40, 24), (20, 4)])
def test_no_frame_has_more_rows_than_the_screen(start: Start, shards: str, size: tuple[int, int]) -> None:
    ran = start("install", shards, "--limit-rate", "8M", size=size)
    ran.read()
    frames = ran.raw.split("\x1b[?2026h")[1:]
    assert frames
    assert max(frame.partition("\x1b[?2026l")[0].count("\n") + 1 for frame in frames) < size[1]
    assert ran.shows(r"\d+%")


def test_ctrl_c_twice_leaves_the_screen_as_it_was(start: Start, shards: str) -> None:
    ran = start("install", shards, "--limit-rate", "400K")
    ran.read(lambda: ran.shows("Total"))
    ran.type("\x03")
    ran.type("\x03")
    ran.read()
    assert ran.code in {130, -signal.SIGINT}
    assert ran.cursor_is_shown
    assert not any("Total" in row or "━" in row for row in ran.screen)


def test_a_killed_run_leaves_the_cursor(start: Start, shards: str) -> None:
    ran = start("install", shards, "--limit-rate", "400K")
    ran.read(lambda: ran.shows("Total"))
    ran.send(signal.SIGKILL)
    ran.read()
    assert ran.cursor_is_shown


def test_a_stopped_run_gives_the_screen_back_and_draws_again(start: Start, shards: str) -> None:
    ran = start("install", shards, "--limit-rate", "1M", script='set -m; "$@"; echo asleep; read -r; fg')
    ran.read(lambda: ran.shows("Total"))
    ran.type("\x1a")
    ran.read(lambda: ran.shows("asleep"))
    assert ran.cursor_is_shown
    assert not any("Total" in row for row in ran.screen)
    ran.type("\n")
    ran.read(lambda: any("Total" in row for row in ran.screen))
    ran.type("\x03")
    ran.read()
    assert not any("Total" in row for row in ran.screen)
    assert any("asleep" in row for row in ran.screen)  # nothing of others was drawn over


def test_a_terminal_that_cannot_draw_gets_lines_without_escapes(start: Start, hub: Hub) -> None:
    hub.add("acme/big", {"m.gguf": os.urandom(2 * MIB)})
    ran = start("install", "hf://acme/big", env={"TERM": "dumb"})
    ran.read()
    assert "\x1b" not in ran.raw
    assert ran.shows(r"Downloading m.gguf \(2.0 MiB\)")


@pytest.mark.parametrize(
    ("style", "drawn", "lines"),
    [("bar", True, False), ("plain", False, True), ("none", False, False), ("json", False, False)],
)
def test_the_style_of_progress_is_the_users_choice(
    start: Start, hub: Hub, style: str, drawn: bool, lines: bool
) -> None:
    hub.add("acme/big", {"m.gguf": os.urandom(2 * MIB)})
    ran = start("install", "hf://acme/big", "--progress-style", style, env={"NO_COLOR": "1"})
    ran.read()
    assert ("\x1b[?2026h" in ran.raw) is drawn
    assert ("Downloading m.gguf" in ran.text) is lines
    assert ('"action": "file.done"' in ran.text) is (style == "json")
    assert "Installed 1 model" in ran.text


def test_another_process_that_downloads_the_same_is_named(start: Start, shards: str) -> None:
    first = start("install", shards, "--limit-rate", "1M")
    first.read(lambda: first.shows("Total"))
    second = start("install", shards, "--as", "other")
    second.read(lambda: second.shows(rf"Waiting for process {first.pid} \(modelpm install\): model-0000"))
    first.send(signal.SIGTERM)
    first.read()
    second.read()
    assert second.code == 0


def test_a_smaller_terminal_keeps_no_stale_rows(start: Start, shards: str) -> None:
    ran = start("install", shards, "--limit-rate", "1M", size=(100, 30))
    ran.read(lambda: ran.shows("Total"))
    for columns in (50, 120, 80):
        ran.resize(columns, 30)
        enough = len(ran.frames) + 3
        ran.read(partial(more_than, ran, enough))
        assert sum("Total" in row for row in ran.screen) <= 1
    ran.send(signal.SIGTERM)
    ran.read()
    assert not any("━" in row for row in ran.screen)


def more_than(ran: Terminal, frames: int) -> bool:
    return len(ran.frames) > frames
