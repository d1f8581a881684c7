"""The update check: a line once a day, after something was changed; never where it is not wanted."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import modelpm
from tests.conftest import Ran
from tests.support.arriving import about
from tests.support.hub import Hub
from tests.support.models import folder_of, manager_in, noise

Run = Callable[..., Ran]
ASKED = {"MODELPM_UPDATE_CHECK": "1"}
LINE = "1 model can be upgraded: little"


@pytest.fixture
def old(modelpm: Run, hub: Hub) -> dict[str, str]:
    """Install a model of which the Hub has a newer one; return the environment that asks for it."""
    env = {"HF_ENDPOINT": hub.endpoint}
    hub.add("acme/little", {"m.gguf": noise(4000, "old")})
    assert modelpm("install", "hf://acme/little", env=env).code == 0
    hub.add("acme/little", {"m.gguf": noise(4000, "new")})
    return {**env, **ASKED}


def specs(tmp_path: Path) -> Any:
    return (folder_of(tmp_path / name, {"m.gguf": noise(3000, name)}) for name in ("one", "two", "three"))


def test_what_is_newer_is_said_once_a_day(modelpm: Run, old: dict[str, str], tmp_path: Path) -> None:
    one, two, three = specs(tmp_path)
    said = modelpm("install", one, env=old)
    assert LINE in said.stderr
    assert "`modelpm upgrade` does it" in said.stderr
    assert said.stdout == ""
    assert LINE not in modelpm("install", two, env=old).stderr
    yesterday = time.time() - 90_000
    for stamp in tmp_path.rglob("update-check/*"):
        os.utime(stamp, (yesterday, yesterday))
    assert LINE in modelpm("install", three, env=old).stderr


@about("CI", "ui.update-check")
@pytest.mark.parametrize(
    "quiet",
    [{"MODELPM_UPDATE_CHECK": "0"}, {"CI": "true"}, {"MODELPM_OFFLINE": "1"}, {"MODELPM_QUIET": "1"}],
    ids=lambda env: next(iter(env)),
)
def test_it_is_not_said_where_it_is_not_wanted(
    modelpm: Run, old: dict[str, str], tmp_path: Path, quiet: dict[str, str], hub: Hub
) -> None:
    before = len(hub.requests())
    assert LINE not in modelpm("install", next(specs(tmp_path)), env={**old, **quiet}).stderr
    assert len(hub.requests()) == before


@pytest.mark.parametrize("arguments", [("path", "little"), ("list",), ("install", "hf://acme/little")], ids=" ".join)
def test_a_verb_that_changes_nothing_asks_nothing(
    modelpm: Run, old: dict[str, str], arguments: tuple[str, ...], hub: Hub
) -> None:
    before = len(hub.requests())
    assert LINE not in modelpm(*arguments, env=old).stderr
    assert len(hub.requests()) == before


def test_what_was_just_installed_is_not_asked_about(modelpm: Run, hub: Hub, tmp_path: Path) -> None:
    hub.add("acme/little", {"m.gguf": noise(4000)})
    env = {"HF_ENDPOINT": hub.endpoint, **ASKED}
    assert modelpm("install", "hf://acme/little", env=env).code == 0
    assert len(hub.requests("/tree/")) == 1
    assert list(tmp_path.rglob("update-check/*")) == []  # so that the next install asks


def test_a_project_says_what_it_can_upgrade(modelpm: Run, hub: Hub, tmp_path: Path) -> None:
    env = {"HF_ENDPOINT": hub.endpoint, **ASKED}
    hub.add("acme/little", {"m.gguf": noise(4000, "old")})
    modelpm("init")
    assert modelpm("add", "hf://acme/little", env={**env, "CI": "1"}).code == 0
    hub.add("acme/little", {"m.gguf": noise(4000, "new")})
    assert LINE in modelpm("add", next(specs(tmp_path)), env=env).stderr


def test_the_library_asks_only_when_it_is_called(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    hub.add("acme/little", {"m.gguf": noise(4000, "old")})
    told: list[modelpm.Event] = []
    with manager_in(tmp_path, on_event=told.append) as manager:
        manager.install("hf://acme/little")
        hub.add("acme/little", {"m.gguf": noise(4000, "new")})
        assert "update.available" not in {event.action for event in told}
        rows = manager.newer()
        assert [row.name for row in rows] == ["little"]
        assert [e.fields["name"] for e in told if e.action == "update.available"] == ["little"]
        assert manager.newer() == ()
