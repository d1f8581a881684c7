"""Options of what is said, to whom, and for whom, from the command line to what comes out."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelpm.config.settings import BY_KEY, SETTINGS
from modelpm.testing import FaultServer
from tests.conftest import Ran
from tests.support.arriving import Given, about, arrives, nested, option_of, promised
from tests.support.models import folder_of

COMMAND = str(Path(sys.executable).with_name("modelpm"))
WEIGHTS = os.urandom(2 << 20)
Run = Callable[..., Ran]


@pytest.fixture
def spec(tmp_path: Path) -> str:
    return folder_of(tmp_path / "given", {"w.bin": b"weights" * 1000}) + "/w.bin"


@pytest.fixture
def url() -> Iterator[str]:
    with FaultServer({"/w.bin": WEIGHTS}) as server:
        yield server.url("/w.bin")


def flagged(name: str, *, typed: bool, value: str = "") -> tuple[list[str], dict[str, str]]:
    """Return arguments and variables that give an option in one of its two ways."""
    if typed:
        return ["--" + name, *([value] if value else [])], {}
    return [], {f"MODELPM_{name.upper().replace('-', '_')}": value or "1"}


on_both_ways = pytest.mark.parametrize("typed", [True, False], ids=["option", "variable"])
# All options are declared in one way, variables included: where a command takes long, that is tried in marathons.
in_one_way = pytest.mark.parametrize(
    "typed", [True, pytest.param(False, marks=pytest.mark.marathon)], ids=["option", "variable"]
)


@arrives("user", "ada@example", "option", "config")
def test_who_acts_is_named_in_the_audit_log(modelpm: Run, home: Path, spec: str, given: Given) -> None:
    given.write(home / "modelpm")
    assert modelpm(*given.arguments, "install", spec, env=dict(given.env)).code == 0
    log = (home / "modelpm" / "audit" / "audit.jsonl").read_text().splitlines()
    assert {json.loads(line)["user_id"] for line in log} == {"ada@example"}


@on_both_ways
@about("--directory")
def test_a_command_works_as_if_started_in_the_folder(modelpm: Run, tmp_path: Path, typed: bool) -> None:
    (tmp_path / "work").mkdir()
    arguments, env = flagged("directory", typed=typed, value="work")
    assert modelpm(*arguments, "init", env=env).code == 0
    assert (tmp_path / "work" / "models.toml").is_file()


@in_one_way
@about("--global")
def test_global_means_the_users_models_in_a_project(modelpm: Run, tmp_path: Path, spec: str, typed: bool) -> None:
    (tmp_path / "work").mkdir()
    assert modelpm("init", cwd=tmp_path / "work").code == 0
    assert modelpm("add", spec, "--as", "here", cwd=tmp_path / "work").code == 0
    arguments, env = flagged("global", typed=typed)
    assert modelpm("path", "here", cwd=tmp_path / "work").code == 0
    assert modelpm("path", "here", *arguments, cwd=tmp_path / "work", env=env).code == 5


@on_both_ways
@about("--json", "MODELPM_JSON")
def test_json_is_one_document_on_failure_too(modelpm: Run, typed: bool) -> None:
    arguments, env = flagged("json", typed=typed)
    ran = modelpm("path", "nothing", *arguments, env=env)
    assert json.loads(ran.stdout)["exit_code"] == ran.code == 5
    assert json.loads(modelpm("nonsense", *arguments, env=env).stdout)["ok"] is False


@in_one_way
@about("--progress")
def test_progress_with_json_is_one_event_a_line(modelpm: Run, url: str, typed: bool) -> None:
    arguments, env = flagged("progress", typed=typed)
    ran = modelpm("install", url, "--json", *arguments, env=env)
    events = [json.loads(line) for line in ran.stderr.splitlines()]
    assert {"file.start", "file.done", "progress"} <= {event["action"] for event in events}
    assert modelpm("install", url, "--json").stderr == ""


@on_both_ways
@about("--quiet")
def test_quiet_says_nothing(modelpm: Run, url: str, typed: bool) -> None:
    arguments, env = flagged("quiet", typed=typed)
    ran = modelpm("install", url, *arguments, env=env)
    assert (ran.code, ran.stdout, ran.stderr) == (0, "", "")


@in_one_way
@about("--verbose")
def test_verbose_says_what_is_going_on(modelpm: Run, url: str, typed: bool) -> None:
    arguments, env = flagged("verbose", typed=typed)
    said = modelpm("install", url, *arguments, env=env).stderr
    assert "file.start" in said
    assert "file.done" in said


@in_one_way
@about("--no-progress")
def test_no_progress_leaves_the_summary(modelpm: Run, url: str, typed: bool) -> None:
    arguments, env = flagged("no-progress", typed=typed)
    said = modelpm("install", url, *arguments, env=env).stderr
    assert "Downloading" not in said
    assert "Installed 1 model" in said


@in_one_way
@about("--yes")
def test_yes_is_an_answer_where_nobody_can_be_asked(modelpm: Run, home: Path, spec: str, typed: bool) -> None:
    assert modelpm("install", spec).code == 0
    (home / "modelpm" / "env" / "models.lock").unlink()
    arguments, env = flagged("yes", typed=typed)
    forgetful = {"MODELPM_KEEP_UNSEEN": "0"}
    assert modelpm("prune", env=forgetful).code == 2
    assert list((home / "modelpm" / "store" / "blobs").rglob("?" * 64))
    assert modelpm("prune", *arguments, env=env | forgetful).code == 0
    assert not list((home / "modelpm" / "store" / "blobs").rglob("?" * 64))


@arrives("store.keep-unseen", "0", "variable", "config")
def test_what_an_unseen_project_needs_is_kept_so_long(modelpm: Run, home: Path, spec: str, given: Given) -> None:
    assert modelpm("install", spec).code == 0
    (home / "modelpm" / "env" / "models.lock").unlink()
    assert modelpm("prune", "-y").code == 0
    assert list((home / "modelpm" / "store" / "blobs").rglob("?" * 64)), "for 90 days"
    given.write(home / "modelpm")
    assert modelpm("prune", "-y", env=dict(given.env)).code == 0
    assert not list((home / "modelpm" / "store" / "blobs").rglob("?" * 64))


@about("--version")
def test_the_version_is_printed(modelpm: Run) -> None:
    assert modelpm("--version").stdout.startswith("modelpm ")


@about("--color", "NO_COLOR", "FORCE_COLOR", "TERM")
@pytest.mark.parametrize(
    ("arguments", "env", "terminal", "colored"),
    [
        ([], {}, False, False),
        ([], {}, True, True),
        (["--color", "never"], {}, True, False),
        (["--color", "always"], {}, False, True),
        (["--color", "auto"], {}, False, False),
        ([], {"MODELPM_COLOR": "always"}, False, True),
        ([], {"NO_COLOR": "1"}, True, False),
        ([], {"TERM": "dumb"}, True, False),
        ([], {"FORCE_COLOR": "1"}, False, True),
        (["--color", "always"], {"NO_COLOR": "1"}, False, True),
    ],
)
def test_color_is_used_when_it_is_wanted(
    clean_environ: dict[str, str], arguments: list[str], env: dict[str, str], terminal: bool, colored: bool
) -> None:
    leader, follower = pty.openpty()
    command = [COMMAND, "path", "nothing", *arguments]
    environ = {**clean_environ, "TERM": "xterm-256color", **env}
    done = subprocess.run(
        command, env=environ, stderr=follower if terminal else subprocess.PIPE, stdout=subprocess.DEVNULL, check=False
    )
    os.close(follower)
    said = os.read(leader, 1 << 16) if terminal else done.stderr
    os.close(leader)
    assert b"nothing" in said
    assert (b"\x1b[" in said) is colored


@about("_MODELPM_COMPLETE")
def test_a_shell_that_completes_is_answered(modelpm: Run) -> None:
    env = {"_MODELPM_COMPLETE": "bash_complete", "COMP_WORDS": "modelpm inst", "COMP_CWORD": "1"}
    assert "install" in modelpm(env=env).stdout


VALUES = {
    "user": "ada",
    "store.dir": "/somewhere/store",
    "store.path": ["/somewhere/else"],
    "store.link-mode": "copy",
    "store.keep-unseen": "30d",
    "network.offline": True,
    "network.jobs": 3,
    "network.retries": 7,
    "network.idle-timeout": 11.5,
    "network.first-byte-timeout": 77.5,
    "network.outage": 33.5,
    "network.limit-rate": 12345678,
    "network.credentials": ["netrc"],
    "network.cacert": "/somewhere/ca.pem",
    "audit.sinks": ["jsonl"],
    "audit.optional-sinks": ["jsonl"],
    "plugins.disabled": ["acme"],
    "plugins.timeout": 12.5,
    "ui.progress": "plain",
    "ui.update-check": False,
    "queue.parallel": 5,
    "signatures.keys": ["/somewhere/key.pub"],
    "signatures.certificates": ["/somewhere/root.pem"],
    "signatures.subjects": ["ci@example.org"],
    "signatures.required": True,
    "serve.schemes": ["https"],
    "serve.allow": ["pickle"],
    "serve.hosts": ["models.example.org"],
}


def as_text(value: object) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)


@pytest.mark.parametrize("how", ["option", "variable", "config"])
def test_every_way_to_give_a_setting_is_read(modelpm: Run, home: Path, how: str) -> None:
    """What a setting does is tested for one way to give it; that all ways lead there, here."""
    arguments, env, tables = list[str](), dict[str, str](), dict[str, dict[str, object]]()
    wanted = {key: value for key, value in VALUES.items() if how != "option" or option_of(key)}
    for key, value in wanted.items():
        option = option_of(key) or ""
        if how == "option":
            arguments += [option] if value is True else [option, as_text(value)]
        elif how == "variable":
            env[BY_KEY[key].variable] = as_text(value)
        else:
            for table, inner in nested(key, value).items():
                tables[table] = {**tables.get(table, {}), **inner} if isinstance(inner, dict) else inner
    Given("config", tables=tables).write(home / "modelpm")
    ran = modelpm("config", "list", "--json", *arguments, env=env)
    rows = {row["key"]: row for row in json.loads(ran.stdout)["items"]}
    assert {key: rows[key]["value"] for key in wanted} == wanted
    origins = {rows[key]["origin"] for key in wanted}
    assert origins == {"option"} if how == "option" else "default" not in origins


def test_every_setting_that_has_a_plain_value_is_given_in_every_way_above() -> None:
    tables = {s.key for s in SETTINGS if isinstance(s.default, dict)} | {"network.limit"}
    assert {s.key for s in SETTINGS} - tables == {*VALUES}, "add a value that is not the default"
    assert all(s.key not in VALUES or s.default != VALUES[s.key] for s in SETTINGS)
    assert {*VALUES} <= promised()
