"""A terminal of this machine with a program in it, and the screen that a person would see."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import pyte

COMMAND = str(Path(sys.executable).with_name("modelpm"))
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(slots=True)
class Terminal:
    """One program in a terminal of its own; use :func:`terminal`.

    Attributes:
        pid: The program.
        columns: Cells of a row.
        lines: Rows.
        frames: Every write that arrived, with the seconds since the start.
    """

    pid: int
    leader: int
    columns: int
    lines: int
    frames: list[tuple[float, str]] = field(default_factory=list)
    code: int | None = None
    _began: float = field(default_factory=time.monotonic)
    _screen: pyte.Screen = field(init=False)
    _stream: pyte.Stream = field(init=False)

    def __post_init__(self) -> None:
        self._screen = pyte.Screen(self.columns, self.lines)
        self._stream = pyte.Stream(self._screen)
        self.resize(self.columns, self.lines)

    @property
    def text(self) -> str:
        """All that was written, without escape sequences."""
        return _ESCAPES.sub("", self.raw)

    @property
    def raw(self) -> str:
        """All that was written."""
        return "".join(text for _, text in self.frames)

    @property
    def screen(self) -> list[str]:
        """The rows that a person sees now, without those below the last that has text."""
        return "\n".join(row.rstrip() for row in self._screen.display).rstrip().split("\n")

    @property
    def styled(self) -> list[list[tuple[str, str, bool]]]:
        """The same rows as runs of text, each with its color and whether it is bold."""
        rows = []
        for number, text in enumerate(self.screen):
            cells = [self._screen.buffer[number][column] for column in range(len(text))]
            runs = groupby(cells, key=lambda cell: (cell.fg, cell.bold))
            rows.append([("".join(c.data for c in run), fg, bold) for (fg, bold), run in runs])
        return rows

    @property
    def cursor_is_shown(self) -> bool:
        return not self._screen.cursor.hidden

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.leader, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._screen.resize(lines, columns)

    def type(self, text: str) -> None:
        os.write(self.leader, text.encode())

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def read(self, until: Callable[[], bool] | None = None, seconds: float = 60.0) -> str:
        """Read until a condition holds, or the program has ended; return all text."""
        deadline = time.monotonic() + seconds
        while self.code is None and time.monotonic() < deadline and not (until is not None and until()):
            if not select.select([self.leader], [], [], 0.02)[0]:
                continue
            try:
                data = os.read(self.leader, 1 << 16)
            except OSError:  # how Linux says that the other end is closed
                data = b""
            if not data:
                self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
                return self.text
            text = data.decode(errors="replace")
            self.frames.append((time.monotonic() - self._began, text))
            self._stream.feed(text)
        assert until is None or until(), f"not within {seconds} s: {self.text[-500:]}"
        assert until is not None or self.code is not None, f"still running after {seconds} s: {self.text[-500:]}"
        return self.text

    def shows(self, pattern: str) -> bool:
        """Whether the pattern was ever written."""
        return re.search(pattern, self.text) is not None

    def end(self) -> None:
        """Kill the program, where it has not ended."""
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.leader)


def terminal(
    *arguments: str, env: Mapping[str, str], cwd: Path, size: tuple[int, int] = (80, 24), script: str = ""
) -> Terminal:
    """Start the installed command in a terminal; the caller calls :meth:`Terminal.end`.

    Args:
        arguments: Of the command.
        env: All variables.
        cwd: The folder.
        size: Columns and rows.
        script: A script for bash that runs the command as ``"$@"``.
    """
    program = [*(["bash", "-c", script, "bash"] if script else []), COMMAND, *arguments]
    pid, leader = pty.fork()
    if pid == 0:  # pragma: no cover - another process
        os.chdir(cwd)
        os.execvpe(program[0], program, {"TERM": "xterm-256color", **env})  # noqa: S606 - the program under test
    return Terminal(pid, leader, *size)
