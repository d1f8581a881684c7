"""A plugin author's day with the installed command: settings, commands, listeners, sinks, hangs and mistakes."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ran
from tests.support.arriving import about
from tests.support.plugged import distribution, shelf

Command = Callable[..., Ran]

SETTLED = """
from modelpm.api import Setting, hookimpl
from contextlib import contextmanager
from modelpm.api import Reference, RemoteFile, Snapshot, Stream

class Settled:
    def __init__(self, context):
        self.context = context
    def resolve(self, reference):
        data = repr(sorted(self.context.settings.items())).encode()
        self.context.warn(data.decode())
        return Snapshot(reference, "1", (RemoteFile("a.bin", len(data), None, ("x",)),))
    @contextmanager
    def open(self, file, location, *, start=0, stop=None, validator=None):
        yield Stream(iter([repr(sorted(self.context.settings.items())).encode()[start:stop]]), start, file.size)
    def close(self):
        with open(__file__ + ".closed", "a") as log:
            log.write(f"closed, {self.context.cancelled.is_set()}\\n")

@hookimpl
def modelpm_settings(kind, name):
    return [
        Setting("endpoint-url", "", "address"), Setting("pages", 3, "how many"), Setting("deep", False, "whether"),
        Setting("order", "up", "which way", choices=("up", "down")), Setting("tags", ("a",), "which"),
    ]

@hookimpl
def modelpm_source(name, context):
    return Settled(context)
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return tmp_path / "site"


def env(site: Path, **more: str) -> dict[str, str]:
    return {"PYTHONPATH": str(site), **more}


def items(ran: Ran) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(ran.stdout)["items"]
    return found


def test_declared_settings_are_listed_got_set_and_given(modelpm: Command, site: Path) -> None:
    where = env(distribution(site, "settled", "source", "settled", SETTLED))
    rows = {row["key"]: row["value"] for row in items(modelpm("config", "list", "source.settled", "--json", env=where))}
    assert rows == {
        "source.settled.endpoint-url": "", "source.settled.pages": 3, "source.settled.deep": False,
        "source.settled.order": "up", "source.settled.tags": ["a"],
    }  # fmt: skip
    assert modelpm("config", "set", "source.settled.pages", "7", env=where).code == 0
    assert modelpm("config", "get", "source.settled.pages", env=where).stdout == "7\n"
    assert "source.settled.pages" in modelpm("config", "list", env=where).stdout
    given = {**where, "MODELPM_SOURCE_SETTLED_DEEP": "yes"}
    assert "(default" not in modelpm("config", "get", "source.settled.deep", env=given).stdout
    ran = modelpm("install", "settled://x", "--as", "x", env=given)
    assert ran.code == 0, ran.stderr
    assert "('deep', True), ('endpoint-url', ''), ('order', 'up'), ('pages', 7)" in ran.stderr
    assert "(the source `settled`)" in ran.stderr
    assert (site / "settled.py.closed").read_text() == "closed, True\n"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("source.settled.endpont-url", "x", "did you mean `endpoint-url`?"),
        ("source.settled.pages", "many", "it must be a whole number"),
        ("source.settled.order", "left", "it must be one of up, down"),
        ("source.setled.order", "up", "no plugin serves the scheme `setled://`"),
    ],
)
def test_a_setting_that_no_plugin_has_is_refused(modelpm: Command, site: Path, key: str, value: str, said: str) -> None:
    where = env(distribution(site, "settled", "source", "settled", SETTLED))
    ran = modelpm("config", "set", key, value, env=where)
    assert ran.code == 2
    assert said in ran.stderr


def test_a_misspelt_key_of_a_table_stops_the_plugin_that_reads_it(modelpm: Command, site: Path, home: Path) -> None:
    where = env(distribution(site, "settled", "source", "settled", SETTLED))
    (home / "modelpm").mkdir()
    (home / "modelpm" / "config.toml").write_text("[source.settled]\nendpont-url = 'x'\n[source.nosuch]\na = 1\n")
    ran = modelpm("install", "settled://x", env=where)
    assert ran.code == 2
    assert "did you mean `endpoint-url`?" in ran.stderr
    doctor = modelpm("doctor", "--offline", env=where)
    assert "[source.nosuch]" in doctor.stdout


HELLO = """
import click, os, sys
from modelpm.api import hookimpl, pass_manager

@click.group()
def hello(): pass

@hello.command()
@pass_manager
def options(manager):
    click.echo(f"{manager.config['network.offline']} {manager.config['network.jobs']} {manager.config['user']}")

@hello.command()
@pass_manager
def rows(manager):
    print("noise")
    os.write(1, b"more noise")
    return [{"name": "a"}, {"name": "b"}]

@hello.command()
def text():
    os.system("echo from a child")
    print("from us")

@hello.command()
def leave():
    print("before")
    sys.exit(9)

@hello.command()
def fails():
    print("before")
    raise ValueError("no such luck")

@hookimpl
def modelpm_command(name, context):
    return hello
"""


def test_a_command_of_a_plugin_has_the_options_of_the_run(modelpm: Command, site: Path) -> None:
    where = env(distribution(site, "hello", "command", "hello", HELLO))
    ran = modelpm("--offline", "hello", "options", "--jobs", "3", "--user", "bob", env=where)
    assert (ran.code, ran.stdout) == (0, "True 3 bob\n"), ran.stderr
    assert modelpm("hello", "rows", env=where).stdout == "noise\nmore noise"
    document = json.loads(modelpm("hello", "rows", "--json", env=where).stdout)
    assert document["items"] == [{"name": "a"}, {"name": "b"}]
    assert (document["command"], document["ok"]) == ("hello", True)


def test_with_json_a_command_that_prints_or_leaves_is_one_document(modelpm: Command, site: Path) -> None:
    where = env(distribution(site, "hello", "command", "hello", HELLO))
    assert items(modelpm("hello", "text", "--json", env=where)) == [{"text": "from a child\nfrom us\n"}]
    left = modelpm("--json", "hello", "leave", env=where)
    assert (left.code, items(left)) == (9, [{"text": "before\n"}])
    assert json.loads(left.stdout)["exit_code"] == 9
    failed = modelpm("--json", "hello", "fails", env=where)
    assert failed.code == 1
    assert "no such luck" in json.loads(failed.stdout)["errors"][0]["message"]


def test_a_misspelt_command_of_a_plugin_is_suggested(modelpm: Command, site: Path) -> None:
    ran = modelpm("helo", env=env(distribution(site, "hello", "command", "hello", HELLO)))
    assert ran.code == 2
    assert "did you mean `modelpm hello`?" in ran.stderr


LINES = """
from modelpm.api import hookimpl

class Lines:
    def show(self, progress):
        self.note(f"show {progress[0].model_id}")
    def take(self, event):
        self.note(f"take {event.action}")
    def close(self):
        self.note("close")
    def note(self, text):
        with open(__file__ + ".log", "a") as log:
            log.write(text + "\\n")

@hookimpl
def modelpm_listener(name):
    return Lines()
"""


@about("ui.progress", "--progress-style")
def test_a_listener_is_chosen_by_option_or_setting_and_takes_events(modelpm: Command, site: Path) -> None:
    distribution(site, "lines", "listener", "lines", LINES)
    where = env(distribution(site, "shelf", "source", "shelf", shelf()))
    assert modelpm("install", "shelf://x", "--as", "x", "--progress-style", "lines", env=where).code == 0
    log = site / "lines.py.log"
    told = log.read_text().splitlines()
    assert "show x" in told
    assert "take file.verified" in told or any(line.startswith("take file.") for line in told)
    assert told[-1] == "close"
    log.unlink()
    assert modelpm("config", "set", "ui.progress", "lines", env=where).code == 0
    assert modelpm("install", "shelf://y", "--as", "y", env=where).code == 0
    assert "show y" in log.read_text()
    log.unlink()
    assert modelpm("install", "shelf://z", "--as", "z", "--progress-style", "none", env=where).code == 0
    assert not log.exists()


def test_a_strangers_listener_of_our_name_waits_until_it_is_preferred(modelpm: Command, site: Path) -> None:
    distribution(site, "lines", "listener", "plain", LINES)
    where = env(distribution(site, "shelf", "source", "shelf", shelf()))
    ran = modelpm("install", "shelf://x", "--as", "x", env=where)
    assert (ran.code, "listener" in ran.stderr) == (0, False)
    assert not (site / "lines.py.log").exists()


FAILING = """
from modelpm.api import hookimpl

class Failing:
    def write(self, event): raise OSError("the wire is cut")
    def close(self): pass

@hookimpl
def modelpm_audit(name):
    return Failing() if name == "failing" else None
"""


@about("audit.optional-sinks")
def test_a_sink_is_required_or_optional_as_the_configuration_says(modelpm: Command, site: Path) -> None:
    distribution(site, "failing", "audit", "failing", FAILING)
    where = env(distribution(site, "shelf", "source", "shelf", shelf()))
    ran = modelpm("install", "shelf://x", "--as", "x", env={**where, "MODELPM_AUDIT": "jsonl,failing"})
    assert ran.code == 1
    assert "audit.optional-sinks" in ran.stderr
    ran = modelpm("install", "shelf://x", "--as", "x", env={**where, "MODELPM_OPTIONAL_AUDIT": "failing"})
    assert ran.code == 0
    assert ran.stderr.count("the audit sink `failing` failed and is left out") == 1
    doctor = modelpm("doctor", "--offline", env={**where, "MODELPM_AUDIT": "nosuch"})
    assert doctor.code == 1
    assert "audit.sinks has `nosuch`, and no plugin serves it" in doctor.stdout


HANGING = """
import time
from modelpm.api import hookimpl

class Hanging:
    def resolve(self, reference): time.sleep(3600)
    def open(self, *args, **options): ...
    def ids(self): time.sleep(3600)
    def get(self, id): time.sleep(3600)
    def about(self): time.sleep(3600)
    def write(self, event): time.sleep(3600)
    def close(self): time.sleep(3600)

@hookimpl
def modelpm_source(name): return Hanging() if name == "slow" else time.sleep(3600)
@hookimpl
def modelpm_catalog(name): return Hanging()
@hookimpl
def modelpm_audit(name): return Hanging()
"""


def hanging(site: Path) -> dict[str, str]:
    where = env(distribution(site, "hanging", "catalog", "slow", HANGING), MODELPM_PLUGIN_TIMEOUT="0.5")
    info = site / "hanging-1.0.dist-info" / "entry_points.txt"
    info.write_text(
        info.read_text() + "[modelpm.source.v1]\nslow = hanging\nslower = hanging\n[modelpm.audit.v1]\nslow=hanging\n"
    )
    return where


@about("plugins.timeout")
@pytest.mark.parametrize(
    ("words", "code"),
    [(["search", "tiny"], 0), (["install", "slower://x"], 1), (["doctor", "--offline"], 1)],
)
def test_a_plugin_that_hangs_is_given_up(modelpm: Command, site: Path, words: list[str], code: int) -> None:
    began = time.monotonic()
    ran = modelpm(*words, env=hanging(site))
    assert time.monotonic() - began < 20
    assert (ran.code, "hangs: " in ran.stdout + ran.stderr or "longer than" in ran.stdout) == (code, True), ran.stderr


def test_a_required_sink_that_hangs_stops_the_act(modelpm: Command, site: Path) -> None:
    where = hanging(site)
    ran = modelpm("install", "tiny", env={**where, "MODELPM_AUDIT": "slow", "MODELPM_DISABLE_PLUGINS": ""})
    assert ran.code == 1
    assert "hanging 1.0 (audit `slow`) hangs: a record did not end within 500ms" in ran.stderr
    assert modelpm("list", env={**where, "MODELPM_AUDIT": "jsonl"}).stdout == ""


def test_who_is_waited_for_is_said_while_the_user_waits(site: Path, clean_environ: dict[str, str]) -> None:
    where = {**clean_environ, **hanging(site), "MODELPM_PLUGIN_TIMEOUT": "5"}
    command = [str(Path(sys.executable).with_name("modelpm")), "install", "slow://x"]
    with subprocess.Popen(command, env=where, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        said = next((line for line in child.stderr if "Waiting" in line), "")
        child.terminate()
    assert "Waiting for the source `slow` of hanging 1.0: a listing" in said


def test_completion_never_waits_for_a_plugin(site: Path, clean_environ: dict[str, str]) -> None:
    where = {
        **clean_environ, **hanging(site), "MODELPM_PLUGIN_TIMEOUT": "30",
        "_MODELPM_COMPLETE": "bash_complete", "COMP_WORDS": "modelpm install ti", "COMP_CWORD": "2",
    }  # fmt: skip
    began = time.monotonic()
    subprocess.run([Path(sys.executable).with_name("modelpm")], env=where, capture_output=True, timeout=20, check=False)
    assert time.monotonic() - began < 10


MISTAKES = {
    "misspelt": (
        "from modelpm.api import hookimpl\n@hookimpl\ndef modelpm_sorce(name): ...\n", "did you mean `modelpm_source`",
    ),
    "a-class": (
        "from modelpm.api import hookimpl\nclass A: ...\n@hookimpl\ndef modelpm_source(name): return A\n",
        "the class A, not an object of it",
    ),
    "is-async": (
        """
from modelpm.api import hookimpl
class A:
    async def resolve(self, reference): ...
    def open(self): ...
@hookimpl
def modelpm_source(name): return A()
""",
        "whose resolve() is async",
    ),
    "none": ("from modelpm.api import hookimpl\n@hookimpl\ndef modelpm_source(name): ...\n", "does not serve it"),
    "UPPER": ("", "which no reference can have"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_doctor_tells_a_mistake_before_it_is_used(modelpm: Command, site: Path, name: str) -> None:
    code, said = MISTAKES[name]
    where = env(distribution(site, "mistaken", "source", name, code))
    shown = modelpm("doctor", "--offline", env=where).stdout
    assert said in shown
    assert "mistaken 1.0" in shown


def test_an_entry_may_name_an_object_in_a_module(modelpm: Command, site: Path) -> None:
    where = env(distribution(site, "shelf", "source", "shelf", shelf()))
    (site / "shelf-1.0.dist-info" / "entry_points.txt").write_text("[modelpm.source.v1]\nshelf = shelf:Plugin\n")
    text = (site / "shelf.py").read_text()
    (site / "shelf.py").write_text(
        text.replace(
            "@hookimpl\ndef modelpm_source(name):", "class Plugin:\n  @hookimpl\n  def modelpm_source(self, name):"
        )
    )
    assert modelpm("install", "shelf://x", "--as", "x", env=where).code == 0


def test_who_left_a_plugin_out_is_told(modelpm: Command, site: Path) -> None:
    where = env(distribution(site, "shelf", "source", "shelf", shelf()), MODELPM_DISABLE_PLUGINS="shelf")
    assert "shelf 1.0 serves it, and is left out" in modelpm("install", "shelf://x", env=where).stderr


SPLITS = (
    shelf()
    .replace("shelf.bin", "sub/shelf.bin")
    .replace(
        "    @contextmanager",
        """    def parse(self, rest):
        path, _, file = rest.partition("/")
        return Reference("shelf", path, file=file.rpartition("/")[2])

    @contextmanager""",
    )
)


def test_a_source_whose_parse_splits_off_a_name_still_serves_its_listing(modelpm: Command, site: Path) -> None:
    where = env(distribution(site, "shelf", "source", "shelf", SPLITS))
    ran = modelpm("install", "shelf://x", "--as", "x", env=where)
    assert ran.code == 0, ran.stderr
    assert Path(modelpm("path", "x", "sub/shelf.bin", env=where).stdout.strip()).read_bytes() == b"shelf" * 100


def test_a_part_of_the_settings_is_listed_by_section_kind_or_plugin(modelpm: Command, site: Path) -> None:
    where = env(distribution(site, "settled", "source", "settled", SETTLED))
    keys = {
        part: {row["key"] for row in items(modelpm("config", "list", part, "--json", env=where))}
        for part in ("audit", "audit.jsonl", "audit.sinks", "network", "source", "plugins")
    }
    assert keys["audit"] >= {"audit.sinks", "audit.optional-sinks", "audit.jsonl.rotate-mib"}
    assert keys["audit.jsonl"] == {"audit.jsonl.rotate-mib"}
    assert keys["audit.sinks"] == {"audit.sinks"}
    assert all(key.startswith("network.") for key in keys["network"])
    assert keys["source"] >= {"source.settled.pages", "source.settled.deep"}
    assert keys["plugins"] == {"plugins.disabled", "plugins.timeout", "plugins.prefer"}
    ran = modelpm("config", "list", "sourse", env=where)
    assert (ran.code, "did you mean `source`?" in ran.stderr) == (2, True)


@pytest.mark.parametrize("name", ["good", "Good", "source.good", "good.shelf"])
def test_one_plugin_is_checked_by_any_of_its_names(modelpm: Command, site: Path, name: str) -> None:
    distribution(site, "good.shelf", "source", "good", "")
    (site / "good.shelf-1.0.dist-info" / "entry_points.txt").write_text("[modelpm.source.v1]\ngood = goodness\n")
    (site / "goodness.py").write_text(shelf())
    where = env(distribution(site, "bad", "source", "bad", "1 / 0"))
    ran = modelpm("plugins", "check", name, "--json", env=where)
    if name == "Good":
        assert (ran.code, "did you mean `good`?" in str(json.loads(ran.stdout)["errors"])) == (5, True)
    else:
        assert ran.code == 0, ran.stderr
        assert [(row["name"], row["state"]) for row in items(ran)] == [("good", "ok")]
    assert modelpm("plugins", "check", name, "bad", env=where).code != 0


@pytest.mark.marathon
def test_thirty_bad_plugins_at_once_are_checked_together(modelpm: Command, site: Path) -> None:
    for number in range(30):
        distribution(site, f"bad{number}", "source", f"bad{number}", "import time; time.sleep(2)")
    began = time.monotonic()
    ran = modelpm("plugins", "check", env=env(site))
    assert ran.code == 1
    assert time.monotonic() - began < 30


HOSTILE = {
    "hangs at import": "import time; time.sleep(99)",
    "hangs in its hook": "HOOK\n    import time; time.sleep(99)",
    "raises at import": "raise BaseException('no')",
    "leaves at import": "raise SystemExit(0)",
    "pretends to be the user": "raise KeyboardInterrupt",
    "ends a generator": "HOOK\n    raise GeneratorExit",
    "floods its message": "HOOK\n    raise ValueError('x' * (100 << 20))",
    "prints": "import os\nos.write(1, b'noise' * 1000)\nprint('noise')\nHOOK",
    "keeps a thread": "import threading, time\nthreading.Timer(99, print).start()\nHOOK",
    "answers with a class": "HOOK\n    return dict",
}


@pytest.mark.marathon
def test_thirty_hostile_plugins_at_once_break_nothing_that_does_not_need_them(modelpm: Command, site: Path) -> None:
    for kind in ("source", "inspector", "catalog"):
        hook = f"from modelpm.api import hookimpl\n@hookimpl\ndef modelpm_{kind}(name):\n    pass"
        for number, code in enumerate(HOSTILE.values()):
            name = f"{kind}{number}"
            distribution(site, name, kind, name, code.replace("HOOK", hook))
    where = env(site, MODELPM_PLUGIN_TIMEOUT="1")
    for words in (["install", "tiny"], ["list"], ["verify"], ["search", "tiny"], ["plugins"], ["uninstall", "tiny"]):
        ran = modelpm(*words, "--json", env=where)
        assert (ran.code, json.loads(ran.stdout)["ok"]) == (0, True), (words, ran.stderr[-2000:])
        assert len(ran.stderr) < 200_000
    for number in range(len(HOSTILE)):
        assert modelpm("install", f"source{number}://x", env=where).code == 1
    assert modelpm("plugins", "check", "source0", "source9", env=where).code == 1
