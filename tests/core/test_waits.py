"""Every command that may take long tells a stage: a table that new commands must join."""

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import Result

from modelpm.cli.verbs import VERBS
from modelpm.store import Store
from modelpm.testing import FAULTS, Exchange, Fault, FaultServer, first
from tests.conftest import Ran
from tests.core.test_cli_commands import Run, run  # noqa: F401 - a fixture
from tests.core.test_screen import Start, start  # noqa: F401 - a fixture
from tests.support.hub import Hub
from tests.support.models import holding
from tests.support.registry import Registry, running_double

MIB = 1 << 20
Modelpm = Callable[..., Ran]


@dataclass(frozen=True, slots=True)
class Slow:
    """A command that takes long, and what it tells then.

    Attributes:
        arguments: As typed; ``{folder}`` is a folder with a bundle, a model and a project.
        works: The kinds of stages, or ``progress`` where a bar shows it.
        before: Commands that prepare it.
        project: Whether it runs in a project.
    """

    arguments: str
    works: tuple[str, ...]
    before: tuple[str, ...] = ()
    project: bool = False


_INSTALL = "install {spec}"
SLOW = {
    "install": Slow("install {spec}", ("resolving", "hashing", "linking")),
    "show": Slow("show {spec}", ("resolving", "hashing")),
    "add": Slow("add {spec}", ("resolving", "hashing"), project=True),
    "lock": Slow("lock", ("resolving",), ("add {spec}", "rm-lock"), project=True),
    "sync": Slow("sync", ("resolving",), ("add {spec}", "rm-lock"), project=True),
    "upgrade": Slow("upgrade", ("resolving",), (_INSTALL,)),
    "outdated": Slow("outdated", ("resolving",), (_INSTALL,)),
    "queue": Slow("queue run", ("resolving", "hashing", "linking"), ("queue add {spec}",)),
    "path": Slow("path {spec} --ensure", ("resolving", "hashing")),
    "verify": Slow("verify", ("progress",), (_INSTALL,)),
    "export": Slow("export --bundle {folder}/out.tar", ("writing",), (_INSTALL,)),
    "import": Slow("import {folder}/given", ("importing",)),
    "push": Slow("push oci://{registry}/m:1 w", ("sending",), (_INSTALL,)),
    "prune": Slow("prune -y", ("checking", "removing"), ("orphan",)),
    "store": Slow("store move {folder}/elsewhere", ("copying", "linking", "removing"), (_INSTALL,)),
    "cache": Slow("cache clean", ("removing",)),
    "adopt": Slow("adopt gpt4all --app-dir {folder}/given", ("importing",)),
    "link": Slow("link gpt4all --all --app-dir {folder}/given", ("linking",), (_INSTALL,)),
    "doctor": Slow("doctor --offline", ("checking",)),
}
QUICK = {
    "uninstall": "one lock and a few links",
    "remove": "one lock and a few links",
    "list": "reads a lock",
    "rename": "one lock and a few links",
    "search": "reads files of this machine",
    "why": "reads locks",
    "apps": "looks at a few folders",
    "unlink": "a few links",
    "init": "writes one file",
    "catalog": "reads files of this machine",
    "config": "reads one file",
    "plugins": "one import each, with a limit of its own",
    "audit": "reads one file",
    "serve": "prints a link, and serves until a signal comes",
    "completions": "prints a text",
    "help": "prints a text",
    "version": "prints a text",
}


def model(size: int) -> bytes:
    """Return a GGUF whose tensor has so many bytes, never the same ones."""
    return holding("w.gguf", os.urandom(size))


@pytest.fixture
def registry() -> Iterator[Registry]:
    with running_double() as running:
        yield running


def test_every_command_is_in_one_of_the_tables() -> None:
    assert SLOW.keys() | QUICK.keys() == VERBS.keys()
    assert not SLOW.keys() & QUICK.keys()


@pytest.mark.parametrize("name", SLOW)
def test_what_takes_long_is_told_in_events(
    run: Run,  # noqa: F811 - the fixture
    home: Path,
    registry: Registry,
    tmp_path: Path,
    name: str,
) -> None:
    case, folder = SLOW[name], tmp_path / "case"
    for part in ("given", "other", "project"):
        (folder / part).mkdir(parents=True)
        (folder / part / "w.gguf").write_bytes(model(MIB // 4))
    place = tmp_path
    if case.project:
        place = folder / "project"
        (place / "w.gguf").unlink()
        assert run("-C", str(place), "init").exit_code == 0

    def ran(text: str, *more: str) -> Result:
        known = {"spec": f"file://{folder}/given/w.gguf", "folder": str(folder), "registry": registry.host}
        return run("-C", str(place), *text.format(**known).split(), *more)

    for text in case.before:
        if text == "rm-lock":
            (place / "models.lock").unlink()
        elif text == "orphan":
            Store(home / "store").take(folder / "other" / "w.gguf")
        else:
            assert ran(text).exit_code == 0, text
    done = ran(case.arguments, "--json", "--progress")
    assert done.exit_code == 0, done.stdout
    events = [json.loads(line) for line in done.stderr.splitlines()]
    told = {event["work"] for event in events if event["action"] == "stage"}
    told |= {"progress" for event in events if event["action"] == "progress"}
    assert set(case.works) <= told


def test_a_stage_ends_for_each_that_begins(modelpm: Modelpm, tmp_path: Path) -> None:
    (tmp_path / "w.gguf").write_bytes(model(MIB))
    ran = modelpm("install", f"file://{tmp_path}/w.gguf", "--json", "--progress")
    stages = [event for line in ran.stderr.splitlines() if (event := json.loads(line))["action"] == "stage"]
    assert ran.code == 0
    standing: dict[tuple[str, str], bool] = {}
    for stage in stages:
        standing[stage["model"], stage["about"]] = not stage["ended"]
    assert stages
    assert not any(standing.values())


# ---------------------------------------------------------------- the waits that only a terminal shows


def test_a_server_that_limits_is_named_with_the_time(start: Start) -> None:  # noqa: F811 - the fixture
    with FaultServer({"/w.gguf": model(MIB)}, first(1, FAULTS["too_many"])) as server:
        ran = start("install", server.url("/w.gguf"))
        ran.read()
    assert ran.code == 0
    assert ran.shows(r"Rate limited until \d\d:\d\d:\d\d: http://")


def _stalling_after(answers: int) -> Fault:
    """Serve some requests, of a listing, then stall once."""
    stalling, left = first(1, FAULTS["stall"]), [answers]

    def some(exchange: Exchange) -> None:
        left[0] -= 1
        (Exchange.serve if left[0] >= 0 else stalling)(exchange)

    return some


@pytest.mark.marathon
def test_a_silence_is_told_and_no_time_is_promised(start: Start) -> None:  # noqa: F811 - as above
    with FaultServer({"/w.gguf": model(4 * MIB)}, _stalling_after(1)) as server:
        ran = start("install", server.url("/w.gguf"), "--idle-timeout", "4")
        ran.read(lambda: ran.shows(r"No data for \d"))
        ran.read(lambda: ran.shows(r"Retrying w.gguf: try 1 of 5, "))
        ran.read()
    assert ran.code == 0


@pytest.mark.marathon
def test_a_resume_says_where_it_begins(start: Start, hub: Hub) -> None:  # noqa: F811 - as above
    hub.add("acme/big", {"m.gguf": os.urandom(8 * MIB)})
    begun = start("install", "hf://acme/big", "--limit-rate", "4M")
    begun.read(lambda: begun.shows(r"[2-9]\d%"))
    begun.type("\x03")
    begun.read()
    assert begun.code == 130
    again = start("install", "hf://acme/big", "--limit-rate", "4M")
    again.read()
    assert again.shows(r"Resuming m.gguf at \d.\d of 8.0 MiB")
    assert again.shows(r"Installed 1 model \(8.0 MiB\) in .*, \d.\d MiB fetched, \d.\d MiB kept")


@pytest.mark.marathon
def test_a_log_gets_a_line_at_least_every_ten_seconds(modelpm: Modelpm, hub: Hub) -> None:
    hub.add("acme/big", {"m.gguf": os.urandom(11 * MIB)})
    ran = modelpm("install", "hf://acme/big", "--limit-rate", "1M", env={"HF_ENDPOINT": hub.endpoint})
    assert re.search(r"^Downloaded \d+.\d of 11.0 MiB \(\d+%\), .* [KM]iB/s, \d+s left$", ran.stderr, re.MULTILINE)
