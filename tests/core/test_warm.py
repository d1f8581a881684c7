"""What stands in for a start of the command in most tests does what a start does."""

import subprocess
from pathlib import Path

import pytest

from tests.support.plugged import distribution
from tests.support.warm import COMMAND, Warm

SPEAKING = """
import os, sys
import click
from modelpm.api import hookimpl

@hookimpl
def modelpm_command(name):
    @click.command(name)
    def speak():
        print(sys.argv, os.getcwd(), os.environ["SAID"], sys.stdin.read())
        print(len(os.environ), file=sys.stderr)
    return speak
"""
ENDING = """
import os, signal, time
import click
from modelpm.api import hookimpl

@hookimpl
def modelpm_command(name):
    @click.command(name)
    @click.argument("how")
    def leave(how):
        print("begun", flush=True)
        os.kill(os.getpid(), signal.SIGKILL) if how == "now" else time.sleep(60)
    return leave
"""


@pytest.fixture
def env(clean_environ: dict[str, str], tmp_path: Path) -> dict[str, str]:
    distribution(tmp_path / "site", "modelpm_speak", "command", "speak", SPEAKING)
    distribution(tmp_path / "site", "modelpm_leave", "command", "leave", ENDING)
    return {**clean_environ, "PYTHONPATH": str(tmp_path / "site"), "SAID": "word"}


@pytest.mark.parametrize("line", ["--version", "list --jsn", "path nothing", "speak"])
def test_a_forked_run_is_as_one_that_starts(warm: Warm, env: dict[str, str], tmp_path: Path, line: str) -> None:
    forked = warm.run(line.split(), env=env, cwd=tmp_path, timeout=60)
    command = [str(COMMAND), *line.split()]
    started = subprocess.run(
        command, env=env, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert (forked.returncode, forked.stdout, forked.stderr) == (started.returncode, started.stdout, started.stderr)
    assert forked.stdout or forked.stderr


def test_a_run_that_is_killed_has_its_signal(warm: Warm, env: dict[str, str], tmp_path: Path) -> None:
    ran = warm.run(["leave", "now"], env=env, cwd=tmp_path, timeout=60)
    assert (ran.returncode, ran.stdout) == (-9, "begun\n"), ran.stderr
    shell = subprocess.run([warm.scripts / "modelpm", "leave", "now"], env=env, cwd=tmp_path, check=False)
    assert shell.returncode == 128 + 9


def test_a_run_that_takes_too_long_is_killed(warm: Warm, env: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        warm.run(["leave", "late"], env=env, cwd=tmp_path, timeout=0.5)
