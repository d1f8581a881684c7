"""A source that lists and cannot locate: what its listing says now is held against what a lock says."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ran
from tests.support.plugged import distribution

# Lists what `listing.json` says; notes in `calls` what it is asked; links run out as often as the file says.
SOURCE = """
import json, pathlib
from contextlib import contextmanager
from modelpm.api import Digest, Expired, RemoteFile, Snapshot, Stream, hookimpl

HERE = pathlib.Path(__file__).parent

def note(what):
    with open(HERE / "calls", "a") as log:
        log.write(what + "\\n")

class Desk:
    def __init__(self):
        self.round = 0

    def resolve(self, reference):
        note("resolve")
        self.round += 1
        listing = json.loads((HERE / "listing.json").read_text())
        files = tuple(
            RemoteFile(name, len(text), Digest("sha256", digest), (f"{name}#{self.round}",))
            for name, (text, digest) in listing["files"].items()
        )
        return Snapshot(reference, "1", files)

    @contextmanager
    def open(self, file, location, *, start=0, stop=None, validator=None):
        listing = json.loads((HERE / "listing.json").read_text())
        name, _, number = location.partition("#")
        note("open")
        if int(number) <= listing.get("expired", 0):
            raise Expired("the link ran out")
        data = listing["files"][name][0].encode()
        yield Stream(iter([data[start:stop]]), start, len(data), None)

@hookimpl
def modelpm_source(name):
    return Desk()
"""
FIRST, SECOND = "the first weights " * 500, "the other weights " * 500
Modelpm = Callable[..., Ran]


class Desk:
    """The plugin, and a project that has locked a model of it."""

    def __init__(self, folder: Path, modelpm: Modelpm, home: Path) -> None:
        self.folder = distribution(folder / "path", "deskplug", "source", "desk", SOURCE)
        self.project, self.home = folder / "work", home
        self.project.mkdir()
        self._modelpm = modelpm

    def offer(self, files: dict[str, str], *, promised: dict[str, str] | None = None, expired: int = 0) -> None:
        said = {name: (text, sha256((promised or files)[name].encode()).hexdigest()) for name, text in files.items()}
        (self.folder / "listing.json").write_text(json.dumps({"files": said, "expired": expired}))
        (self.folder / "calls").write_text("")

    def run(self, *arguments: str, home: str = "") -> Ran:
        env = {"PYTHONPATH": str(self.folder), **({"MODELPM_HOME": str(self.home / home)} if home else {})}
        return self._modelpm(*arguments, env=env, cwd=self.project)

    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().split()

    def sync_elsewhere(self) -> tuple[Ran, dict[str, Any]]:
        """Sync on a machine that has none of the bytes."""
        (self.folder / "calls").write_text("")
        ran = self.run("sync", "--frozen", "--json", "--retries", "1", home="another")
        return ran, json.loads(ran.stdout)


@pytest.fixture
def desk(tmp_path: Path, modelpm: Modelpm, home: Path) -> Desk:
    made = Desk(tmp_path, modelpm, home)
    made.offer({"m.bin": FIRST, "config.json": "{}"})
    assert made.run("init").code == 0
    assert made.run("add", "desk://shelf", "--as", "m").code == 0
    for shown in (made.project / "models" / "m").iterdir():
        shown.unlink()
    return made


def test_what_a_lock_pins_is_fetched_from_the_listing(desk: Desk) -> None:
    ran, _ = desk.sync_elsewhere()
    assert ran.code == 0, ran.stderr
    assert (desk.project / "models" / "m" / "m.bin").read_text() == FIRST
    assert desk.calls().count("resolve") == 1, "one listing a run"


def test_a_listing_that_promises_other_bytes_is_refused_before_one_is_asked_for(desk: Desk) -> None:
    desk.offer({"m.bin": SECOND, "config.json": "{}"})
    ran, said = desk.sync_elsewhere()
    assert ran.code == 4
    (error,) = said["errors"]
    assert error["code"] == "digest_mismatch"
    assert error["file"] == "m.bin"
    assert {error["expected"], error["actual"]} == {
        f"sha256:{sha256(text.encode()).hexdigest()}" for text in (FIRST, SECOND)
    }
    assert "is not what was pinned" in error["message"]
    assert desk.calls().count("open") <= 1, "of the other file only"


@pytest.mark.marathon
def test_bytes_that_are_not_what_the_listing_promises_are_refused(desk: Desk) -> None:
    desk.offer({"m.bin": SECOND, "config.json": "{}"}, promised={"m.bin": FIRST, "config.json": "{}"})
    ran, said = desk.sync_elsewhere()
    assert ran.code == 4
    assert said["errors"][0]["code"] == "digest_mismatch"
    assert not (desk.project / "models" / "m" / "m.bin").exists()


def test_a_file_that_is_listed_no_more_is_not_found(desk: Desk) -> None:
    desk.offer({"other.bin": FIRST, "config.json": "{}"})
    ran, said = desk.sync_elsewhere()
    assert ran.code == 5
    assert "`m.bin`" in said["errors"][0]["message"]


def test_a_link_that_ran_out_is_listed_anew(desk: Desk) -> None:
    desk.offer({"m.bin": FIRST, "config.json": "{}"}, expired=1)
    ran, _ = desk.sync_elsewhere()
    assert ran.code == 0, ran.stderr
    assert desk.calls().count("resolve") >= 2


@pytest.mark.marathon
def test_links_that_always_run_out_are_given_up(desk: Desk) -> None:
    desk.offer({"m.bin": FIRST, "config.json": "{}"}, expired=10_000)
    ran, _ = desk.sync_elsewhere()
    assert ran.code == 6
    assert desk.calls().count("resolve") <= 8
