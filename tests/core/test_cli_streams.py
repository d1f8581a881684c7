"""Where output goes when the streams are closed or full, and when a plugin prints, too."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.conftest import Ran

Modelpm = Callable[..., Ran]
Shell = Callable[[str], Ran]

LOUD = r"""
import os
import click
from modelpm.api import CatalogText, hookimpl

print("loud: imported")

class Nothing:
    def ids(self):
        os.write(1, b"loud: asked\n")
        os.system("echo loud: child")
        return ()
    def get(self, id):
        raise KeyError(id)
    def about(self):
        return CatalogText("loud", 'schema = 1\nname = "loud"\n')

@hookimpl
def modelpm_catalog(name):
    return Nothing()

@click.command()
@click.argument("what")
def speaking(what):
    if what == "raise":
        raise KeyError("lost the thread")
    if what == "quit":
        raise SystemExit(7)
    print(f"speaking: {what}")

@hookimpl
def modelpm_command(name):
    return speaking if name == "speak" else "no command"
"""
ENTRIES = """
[modelpm.catalog.v1]
loud = modelpm_loud
[modelpm.command.v1]
speak = modelpm_loud
dumb = modelpm_loud
list = modelpm_loud
ls = modelpm_loud
"""


@pytest.fixture
def shell(clean_environ: dict[str, str], modelpm: Modelpm, tmp_path: Path) -> Shell:
    """Return what runs a line of sh with one model installed, ``modelpm`` being the installed command."""
    assert modelpm("install", "tiny").code == 0

    environ = {**clean_environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), clean_environ["PATH"]])}

    def run(line: str) -> Ran:
        done = subprocess.run(["sh", "-c", line], env=environ, cwd=tmp_path, capture_output=True, text=True)  # noqa: PLW1510 - the code is what is asked for
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def loud(tmp_path: Path) -> dict[str, str]:
    """Return the variables by which an installation has a plugin that prints wherever it can."""
    folder = tmp_path / "site"
    info = folder / "modelpm_loud-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "entry_points.txt").write_text(ENTRIES)
    (folder / "modelpm_loud.py").write_text(LOUD)
    return {"PYTHONPATH": str(folder)}


# ---------------------------------------------------------------- closed and full


@pytest.mark.parametrize(
    "line", ["list >&-", "--json list >/dev/full", "path tiny >/dev/full", "store dir >&-", "--help >/dev/full"]
)
def test_what_cannot_be_written_to_stdout_is_a_failure_told_in_one_line(shell: Shell, line: str) -> None:
    ran = shell(f"modelpm {line}")
    assert (ran.code, ran.stdout) == (8, "")
    (told,) = ran.stderr.splitlines()
    assert told.startswith("error: what was asked for cannot be written to stdout: ")


@pytest.mark.parametrize("line", ["list", "--json list", "search", "--help"])
def test_a_reader_that_has_seen_enough_is_no_failure_worth_a_word(shell: Shell, line: str) -> None:
    ran = shell(f"{{ sleep 0.5; modelpm {line}; echo $? >code; }} | true; cat code")
    assert (ran.stdout, ran.stderr) == ("141\n", "")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("list 2>&-", 0),
        ("list -v 2>/dev/full", 0),
        ("install nope 2>/dev/full", 5),
        ("install nope 2>&-", 5),
        ("uninstall tiny 2>&-", 0),
        ("xyzzy 2>/dev/full", 2),
        ("--json --progress install tiny --as twin 2>/dev/full", 0),
        ("--json install nope >/dev/full", 5),
        ("install tiny --as twin >&- 2>&- <&-", 0),
        ("install tiny --as twin >/dev/full", 0),
        ("prune <&-", 0),
    ],
)
def test_a_stream_that_nothing_needs_changes_no_exit_code(shell: Shell, line: str, code: int) -> None:
    ran = shell(f"modelpm {line}")
    assert ran.code == code
    assert "Traceback" not in ran.stderr
    assert "internal" not in ran.stderr


def test_no_file_gets_the_number_of_a_stream_that_was_closed(shell: Shell, home: Path) -> None:
    assert shell("modelpm install tiny --as twin 2>&- && modelpm audit verify").code == 0
    log = (home / "modelpm" / "audit" / "audit.jsonl").read_text()
    assert all(json.loads(line) for line in log.splitlines())


# ---------------------------------------------------------------- plugins that print


def test_what_a_plugin_prints_stays_out_of_stdout(modelpm: Modelpm, loud: Mapping[str, str]) -> None:
    ran = modelpm("--json", "search", env=dict(loud))
    assert json.loads(ran.stdout)["ok"]
    assert [line for line in ran.stderr.splitlines() if line] == ["loud: imported", "loud: asked", "loud: child"]


def test_what_a_plugins_own_command_prints_is_what_was_asked_for(modelpm: Modelpm, loud: Mapping[str, str]) -> None:
    ran = modelpm("speak", "up", env=dict(loud))
    assert (ran.code, ran.stdout, ran.stderr) == (0, "speaking: up\n", "loud: imported\n")


def test_a_plugins_command_that_raises_is_the_plugins_fault(modelpm: Modelpm, loud: Mapping[str, str]) -> None:
    ran = modelpm("speak", "raise", env=dict(loud))
    assert ran.code == 1
    assert "internal" not in ran.stderr
    assert "error: plugin modelpm-loud 1.0 (command `speak`, module modelpm_loud) failed: KeyError" in ran.stderr
    assert "lost the thread" in modelpm("speak", "raise", "-v", env=dict(loud)).stderr.partition("Traceback")[2]
    told = json.loads(modelpm("speak", "raise", "--json", env=dict(loud)).stdout)["errors"][0]
    assert (told["code"], told["distribution"]) == ("plugin", "modelpm-loud")


def test_a_plugins_command_exits_and_errs_as_commands_do(modelpm: Modelpm, loud: Mapping[str, str]) -> None:
    assert modelpm("speak", "quit", env=dict(loud)).code == 7
    assert modelpm("speak", env=dict(loud)).code == 2
    assert "plugin modelpm-loud 1.0 answered with a str" in modelpm("dumb", env=dict(loud)).stderr


def test_a_plugins_command_named_like_one_of_ours_is_shadowed(modelpm: Modelpm, loud: Mapping[str, str]) -> None:
    rows = json.loads(modelpm("plugins", "--json", env=dict(loud)).stdout)["items"]
    states = {row["name"]: row["state"] for row in rows if row["kind"] == "command"}
    assert states == {"speak": "ok", "dumb": "ok", "list": "shadowed", "ls": "shadowed"}
