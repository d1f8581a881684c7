"""The installed command as a process: what it imports, how it is stopped, where its output goes."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Ran
from tests.support.hub import Hub

Modelpm = Callable[..., Ran]
# A command that takes its time, also when it is told to stop.
STUBBORN = """
import sys, time
import click
from modelpm.api import hookimpl, pass_manager

@hookimpl
def modelpm_command(name):
    return slow

@click.command()
@pass_manager
def slow(manager):
    try:
        print("begun", file=sys.stderr, flush=True)
        time.sleep(60)
    finally:
        print("tidying up", file=sys.stderr, flush=True)
        time.sleep(60)
"""
COMMAND = str(Path(sys.executable).with_name("modelpm"))
HEAVY = ("urllib3", "rich", "pluggy", "ssl", "email", "importlib.metadata", "click.testing", "logging", "asyncio")
PROBE = """
import sys
sys.argv = ["modelpm", *sys.argv[1:]]
from modelpm.cli import main
try:
    main()
finally:
    sys.stderr.write("\\n".join(["MODULES", *sys.modules]))
"""


# What only projects, or what is installed, need; a plain look at the lock is for many runs of a shell script.
OF_PROJECTS = (
    "project.manifest",
    "project.rules",
    "resolution.selection",
    "text.spec",
    "api.types",
    "results.report",
    "project.files",
    "store.tiers",
    "store.locks",
)


@pytest.mark.parametrize(
    "args", [["--help"], ["list"], ["path", "tiny"], ["install", "--help"], ["--version"], ["path", "-q"]]
)
def test_what_is_typed_most_starts_without_network_drawing_or_plugins(
    unmeasured: dict[str, str], modelpm: Modelpm, tmp_path: Path, args: list[str]
) -> None:
    if "tiny" in args:
        modelpm("install", "tiny")
    probe = [sys.executable, "-c", PROBE, *args]
    ran = subprocess.run(probe, env=unmeasured, capture_output=True, text=True, check=False, cwd=tmp_path)
    modules = ran.stderr.partition("MODULES\n")[2].splitlines()
    assert "modelpm.cli.main" in modules
    heavy = [name for name in modules if name.startswith("modelpm_") or name.split(".")[0] in HEAVY or name in HEAVY]
    assert heavy == []
    assert {f"modelpm.{name}" for name in OF_PROJECTS} & {*modules} == set()
    assert {"tomllib", "json"} & {*modules} == set()


def test_the_module_runs_like_the_command(clean_environ: dict[str, str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "modelpm", "instal"], env=clean_environ, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert "did you mean `modelpm install`?" in ran.stderr


def test_a_reader_that_has_seen_enough_is_no_failure_to_talk_about(clean_environ: dict[str, str]) -> None:
    with subprocess.Popen(
        [COMMAND, "search", "--no-progress"], env=clean_environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 141  # as of a program that SIGPIPE ended


def test_a_path_that_is_no_text_is_printed_byte_by_byte(tmp_path: Path, clean_environ: dict[str, str]) -> None:
    odd = os.fsencode(tmp_path) + b"/od\xffd"
    environ = {**{os.fsencode(k): os.fsencode(v) for k, v in clean_environ.items()}, b"MODELPM_HOME": odd}
    ran = subprocess.run([COMMAND, "store", "dir"], env=environ, capture_output=True, check=False)
    assert ran.stdout == odd + b"/store\n"


def test_a_terminal_that_knows_only_ascii_gets_escapes_and_no_traceback(modelpm: Modelpm) -> None:
    ran = modelpm("path", "né", env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert ran.code == 5
    assert "`n\\xe9`" in ran.stderr


def test_control_characters_are_escaped_wherever_they_come_from(modelpm: Modelpm) -> None:
    ran = modelpm("path", "a\x1b[2J\u202eb")
    assert "`a\\x1b[2J\\u202eb`" in ran.stderr


@pytest.mark.parametrize("json_wanted", [False, True])
def test_an_interruption_is_told_in_a_line_and_goes_on_where_it_was(
    hub: Hub, clean_environ: dict[str, str], modelpm: Modelpm, home: Path, json_wanted: bool
) -> None:
    content = os.urandom(24 << 20)
    hub.add("acme/big", {"big.bin": content})
    environ = {**clean_environ, "HF_ENDPOINT": hub.endpoint}
    flags = ["--json"] if json_wanted else []
    with subprocess.Popen(
        [COMMAND, "install", "hf://acme/big", "--limit-rate", "4M", *flags],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_for(lambda: any(p.stat().st_size for p in (home / "modelpm" / "store").glob("partial/*/data")))
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    if json_wanted:
        assert json.loads(stdout)["errors"][0]["code"] == "interrupted"
    else:
        told = "interrupted: what was downloaded is kept; run the same command again to resume"
        assert [line for line in stderr.splitlines() if line and "Downloading" not in line] == [told]
    assert list((home / "modelpm" / "store").glob("partial/*/data"))
    assert modelpm("install", "hf://acme/big", env={"HF_ENDPOINT": hub.endpoint}).code == 0
    assert Path(modelpm("path", "big").stdout.strip()).read_bytes() == content


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_ends_a_process_ends_it_as_an_interruption(
    hub: Hub, clean_environ: dict[str, str], modelpm: Modelpm, home: Path, number: signal.Signals
) -> None:
    hub.add("acme/big", {"big.bin": os.urandom(24 << 20)})
    environ = {**clean_environ, "HF_ENDPOINT": hub.endpoint}
    command = [COMMAND, "install", "hf://acme/big", "--limit-rate", "4M"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        wait_for(lambda: any(p.stat().st_size for p in (home / "modelpm" / "store").glob("partial/*/data")))
        process.send_signal(number)
        stderr = process.communicate(timeout=30)[1].decode()
    assert process.returncode == 130
    assert "interrupted: what was downloaded is kept; run the same command again to resume\n" in stderr
    assert list((home / "modelpm" / "store").glob("partial/*/data"))
    (end, _) = reversed(json.loads(modelpm("audit", "show", "--json").stdout)["items"])
    assert (end["action"], end["success"], end["details"]["error"]["code"]) == ("install", False, "interrupted")


def test_the_second_signal_ends_a_process_at_once(clean_environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "slow-1.0.dist-info").mkdir()
    (tmp_path / "slow-1.0.dist-info" / "entry_points.txt").write_text("[modelpm.command.v1]\nslow = slow\n")
    (tmp_path / "slow.py").write_text(STUBBORN)
    environ = {**clean_environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen([COMMAND, "slow"], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == b"begun\n"
        process.send_signal(signal.SIGTERM)
        assert process.stderr.readline() == b"tidying up\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == -signal.SIGINT


@pytest.mark.parametrize("module", ["modelpm.cli.main", "modelpm.cli.context"])
def test_an_interruption_of_the_start_prints_no_traceback(
    clean_environ: dict[str, str], tmp_path: Path, module: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "class Pressed:\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        if name == '{module}':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Pressed())\n"
    )
    environ = {**clean_environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([COMMAND, "list"], env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_signal_that_is_ignored_stays_so(hub: Hub, clean_environ: dict[str, str], home: Path) -> None:
    hub.add("acme/big", {"big.bin": os.urandom(4 << 20)})
    environ = {**clean_environ, "HF_ENDPOINT": hub.endpoint}
    command = ["nohup", COMMAND, "install", "hf://acme/big", "--limit-rate", "4M", "-q"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        wait_for(lambda: any(p.stat().st_size for p in (home / "modelpm" / "store").glob("partial/*/data")))
        process.send_signal(signal.SIGHUP)
        assert process.wait(60) == 0


def test_a_check_has_a_bar_on_a_terminal(modelpm: Modelpm, clean_environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "big.bin").write_bytes(os.urandom(1 << 20) * 64)
    assert modelpm("install", f"file://{tmp_path}/big.bin").code == 0
    leader, follower = pty.openpty()
    environ = {**clean_environ, "TERM": "xterm-256color", "COLUMNS": "80"}
    command = [COMMAND, "verify", "--color", "never"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=follower) as process:
        os.close(follower)
        drawn = everything(leader)
        assert process.wait(60) == 0
    assert "Total" in drawn
    assert "Verified 1 file (64.0 MiB) in " in drawn.rpartition("\x1b[J")[2]


@pytest.mark.parametrize("columns", [40, 80])
def test_bars_are_drawn_on_a_terminal_and_cleared_away(hub: Hub, clean_environ: dict[str, str], columns: int) -> None:
    name = "a-file-with-a-name-of-sixty-characters-for-narrow-terms.bin"
    hub.add("acme/two", {name: os.urandom(6 << 20), "model.safetensors": os.urandom(4 << 20)})
    environ = {**clean_environ, "HF_ENDPOINT": hub.endpoint, "TERM": "xterm-256color", "COLUMNS": str(columns)}
    command = [COMMAND, "install", "hf://acme/two:all", "--limit-rate", "8M", "--color", "never"]
    leader, follower = pty.openpty()
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=follower) as process:
        os.close(follower)
        drawn = everything(leader)
        assert process.wait(60) == 0
    assert "Total" in drawn
    assert ("━" in drawn) == (columns == 80)
    summary = drawn.rpartition("\x1b[J")[2]
    assert "Installed 1 model (10.0 MiB) in " in summary
    assert "Total" not in summary


@pytest.mark.parametrize(
    ("flags", "lines"), [([], True), (["-q"], False), (["--no-progress"], False), (["--json"], False)]
)
def test_off_a_terminal_large_files_get_a_line_at_each_end(
    hub: Hub, modelpm: Modelpm, flags: list[str], lines: bool
) -> None:
    hub.add("acme/two", {"large.bin": b"x" * (2 << 20), "config.json": b"{}"})
    ran = modelpm("install", "hf://acme/two", *flags, env={"HF_ENDPOINT": hub.endpoint})
    assert ran.code == 0
    assert ("Downloading large.bin (2.0 MiB)\n Downloaded large.bin\n" in ran.stderr) is lines
    assert "config.json" not in ran.stderr


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def everything(descriptor: int) -> str:
    """Read a terminal until whoever draws on it is gone."""
    chunks = []
    while True:
        try:
            chunk = os.read(descriptor, 1 << 16)
        except OSError:  # how Linux says that the other end is closed
            break
        if not chunk:
            break
        chunks.append(chunk)
    os.close(descriptor)
    return b"".join(chunks).decode()


def test_a_hint_is_of_the_place_it_is_about(modelpm: Modelpm, tmp_path: Path) -> None:
    assert modelpm("install", "tiny").code == 0
    parts = [modelpm("verify", "--subset", f"{n}/7").stderr for n in range(1, 8)]
    assert sum("no installed file is in that part" in text for text in parts) == 6
    root = tmp_path / "project"
    root.mkdir()
    assert modelpm("init", cwd=root).code == 0
    assert modelpm("add", "tiny", cwd=root).code == 0
    (root / "models" / "tiny" / "tiny.gguf").unlink()
    assert "hint: to bring it back: modelpm sync\n" in modelpm("path", "tiny", cwd=root).stderr
    manifest = root / "models.toml"
    text = manifest.read_text()
    manifest.write_text(text + '\n[settings]\ndir = "../x"\n')
    ran = modelpm("sync", cwd=root)
    assert ran.code == 4
    assert f"error: {manifest}: `settings.dir`: " in ran.stderr
    assert "publisher" not in ran.stderr
    manifest.write_text(text)
    (root / "models.lock").write_bytes(b"")
    ran = modelpm("sync", cwd=root)
    assert ran.code == 2
    assert "delete it and run `modelpm lock`" in ran.stderr
