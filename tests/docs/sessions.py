"""Console sessions in documents: the commands of a page, run in order, and the page with what they print.

A ``console`` block has commands behind ``$ ``. Lines below a command are its output; a command without such lines runs,
and its output is not shown. ``…`` below a command asks for its output: :func:`rendered` puts it there.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.hub import Hub

ROOT = Path(__file__).parents[2]
PAGES = {
    path.relative_to(ROOT).as_posix(): text
    for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("docs/plugins/*.md")))
    if "```console\n" in (text := path.read_text(encoding="utf-8"))
}
_SCRIPTS = Path(sys.executable).parent
_BLOCK = re.compile(r"(?<=```console\n).*?(?=^```)", re.DOTALL | re.MULTILINE)
_PROMPT = "$ "
SHOWN_HOME = "/home/ada/.local/share/modelpm"
_CHANGING = (  # what differs from run to run
    (re.compile(r"\bin [\d.]+ ?(?:ms|s)\b"), "in 0.2s"),
    (re.compile(r"\b\d{4}-\d\d-\d\d\b"), "2026-11-29"),
    (re.compile(r"\b\d\d:\d\d:\d\d(?:\.\d+)?Z?\b"), "12:00:00"),
    (re.compile(r"[ \t]+$", re.MULTILINE), ""),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a session.

    Attributes:
        command: As a user types it.
        shows: Whether the page shows its output.
    """

    command: str
    shows: bool


def steps(block: str) -> Iterator[Step]:
    """Yield the commands of a block."""
    lines = block.splitlines()
    for number, line in enumerate(lines):
        if line.startswith(_PROMPT):
            following = lines[number + 1 : number + 2]
            yield Step(line.removeprefix(_PROMPT), bool(following) and not following[0].startswith(_PROMPT))


@dataclass(frozen=True, slots=True)
class Place:
    """Where the commands of a page run: a machine with a program that runs models, and a Hub of its own.

    Attributes:
        folder: The folder of the session.
        environ: Its variables.
    """

    folder: Path
    environ: Mapping[str, str]

    @classmethod
    def of(cls, folder: Path, environ: Mapping[str, str], hub: Hub, scripts: Path = _SCRIPTS) -> "Place":
        """Furnish an empty folder, and the Hub with the repositories that the pages name.

        Args:
            folder: The folder.
            environ: Variables of the machine.
            hub: The Hub.
            scripts: Holds the command.
        """
        hub.add(
            "sentence-transformers/all-MiniLM-L6-v2", {"model.safetensors": b"weights" * 1000, "config.json": b"{}"}
        )
        gguf = {f"little-{q}.gguf": q.encode() * 5000 for q in ("Q4_K_M", "Q8_0")}
        hub.add("acme/little-GGUF", {**gguf, "README.md": b"# little\n"})
        tools = folder / "bin"
        tools.mkdir()
        (tools / "llama-cli").write_text('#!/bin/sh\ntest "$(head -c 4 "$2")" = GGUF\n')
        (tools / "llama-cli").chmod(0o755)
        path = os.pathsep.join([str(tools), str(scripts), str(_SCRIPTS), environ["PATH"]])
        quiet = {"MODELPM_PROGRESS_STYLE": "none"}  # what takes a while on a busy machine is said there, and here not
        return cls(folder, {**environ, **quiet, "PATH": path, "HF_ENDPOINT": hub.endpoint})

    def run(self, command: str) -> str:
        """Run a command where the one before left the session; return what it printed to both streams.

        Raises:
            AssertionError: It failed.
        """
        where = self.folder / "bin" / "where"
        at = where.read_text(encoding="utf-8").rstrip("\n") if where.exists() else self.folder
        done = subprocess.run(
            ["bash", "-c", f"cd {shlex.quote(str(at))} && {{ {command}\n}} && pwd > {shlex.quote(str(where))}"],
            env={**self.environ, "COLUMNS": "100"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}"
        return done.stdout

    def page(self, text: str) -> str:
        """Return a page with what its commands print here."""
        return rendered(text, self.run, Path(self.environ["MODELPM_HOME"]))


def rendered(page: str, run: Callable[[str], str], home: Path) -> str:
    """Return a page with the output of its commands.

    Args:
        page: The text.
        run: Runs a command; returns what it printed to both streams.
        home: ``MODELPM_HOME`` of the session, which the page shows as a user's own folder.
    """

    def block(found: re.Match[str]) -> str:
        return "".join(_step(step, run(step.command), home) for step in steps(found[0]))

    return _BLOCK.sub(block, page)


def _step(step: Step, output: str, home: Path) -> str:
    told = f"{_PROMPT}{step.command}\n"
    if not step.shows:
        return told
    output = output.replace(str(home), SHOWN_HOME)
    for pattern, replacement in _CHANGING:
        output = pattern.sub(replacement, output)
    return f"{told}{output.strip()}\n"
