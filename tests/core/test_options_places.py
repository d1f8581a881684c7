"""Settings of places and plugins, from where they are given to the files and plugins that they choose."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ran
from tests.support.arriving import Given, about, arrives
from tests.support.hub import Hub
from tests.support.models import folder_of
from tests.support.plugged import MEMO, distribution, shelf
from tests.support.projects import Shop
from tests.support.stores import sha256

WEIGHTS = b"weights" * 1000
Run = Callable[..., Ran]


@pytest.fixture
def spec(tmp_path: Path) -> str:
    return folder_of(tmp_path / "given", {"w.bin": WEIGHTS}) + "/w.bin"


def blobs_below(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(sha256(WEIGHTS)) if path.is_file()]


@pytest.mark.parametrize("how", ["variable", "config"])
@about("store.dir")
def test_the_store_is_where_it_shall_be(modelpm: Run, home: Path, tmp_path: Path, spec: str, how: str) -> None:
    place = tmp_path / "other disk" / "store"
    if how == "config":
        Given("config", tables={"store": {"dir": str(place)}}).write(home / "modelpm")
    assert modelpm("install", spec, env={"MODELPM_STORE": str(place)} if how == "variable" else {}).code == 0
    assert blobs_below(place) == [sha256(WEIGHTS)]
    assert not (home / "modelpm" / "store").exists()


@about("MODELPM_HOME")
def test_everything_is_in_one_home(modelpm: Run, tmp_path: Path, spec: str) -> None:
    assert modelpm("install", spec, env={"MODELPM_HOME": str(tmp_path / "elsewhere")}).code == 0
    assert {path.name for path in (tmp_path / "elsewhere").iterdir()} >= {"store", "env", "audit"}


@pytest.mark.parametrize("how", ["variable", "config"])
@about("store.path")
def test_bytes_of_another_store_are_used(
    modelpm: Run, home: Path, tmp_path: Path, hub: Hub, spec: str, how: str
) -> None:
    hub.add("acme/m", {"w.bin": WEIGHTS})
    shared = {"MODELPM_HOME": str(tmp_path / "shared")}
    assert modelpm("install", spec, env=shared).code == 0
    tier = str(tmp_path / "shared" / "store")
    if how == "config":
        Given("config", tables={"store": {"path": [tier]}}).write(home / "modelpm")
    env = {"HF_ENDPOINT": hub.endpoint} | ({"MODELPM_STORE_PATH": tier} if how == "variable" else {})
    assert modelpm("install", "hf://acme/m", env=env).code == 0
    assert hub.requests("", "cdn") == []
    assert blobs_below(home / "modelpm" / "store" / "blobs") == []


@pytest.mark.parametrize("mode", ["symlink", "copy", "hardlink"])
@about("store.link-mode")
def test_models_appear_as_the_kind_of_link_that_is_wanted(modelpm: Run, home: Path, spec: str, mode: str) -> None:
    how = {"symlink": "config"}.get(mode, "variable")
    if how == "config":
        Given("config", tables={"store": {"link-mode": mode}}).write(home / "modelpm")
    assert modelpm("install", spec, env={"MODELPM_LINK_MODE": mode} if how == "variable" else {}).code == 0
    shown = home / "modelpm" / "env" / "models" / "w" / "w.bin"
    (blob,) = (home / "modelpm" / "store" / "blobs").rglob(sha256(WEIGHTS))
    found = "symlink" if shown.is_symlink() else "hardlink" if shown.samefile(blob) else "copy"
    assert found == mode


@arrives("audit.sinks", "memo", "variable", "config")
def test_the_sinks_that_are_wanted_are_told_and_no_other(
    modelpm: Run, home: Path, tmp_path: Path, spec: str, given: Given
) -> None:
    folder = distribution(tmp_path / "path", "memo", "audit", "memo", MEMO)
    given.write(home / "modelpm")
    assert modelpm("install", spec, env={**given.env, "PYTHONPATH": str(folder)}).code == 0
    assert (folder / "memo.log").read_text().split() == ["install.begin", "install.end"]
    assert not (home / "modelpm" / "audit").exists()


@arrives("plugins.disabled", "shelfplug", "variable", "config")
def test_a_distribution_that_is_left_out_serves_nothing(modelpm: Run, home: Path, tmp_path: Path, given: Given) -> None:
    folder = distribution(tmp_path / "path", "shelfplug", "source", "shelf", shelf())
    env = {"PYTHONPATH": str(folder)}
    assert modelpm("install", "shelf://x", env=env).code == 0
    given.write(home / "modelpm")
    assert modelpm("install", "shelf://x", "--as", "y", env={**env, **given.env}).code == 2


@about("plugins.prefer")
@pytest.mark.parametrize("preferred", ["shelfone", "shelftwo"])
def test_of_two_that_claim_a_scheme_the_preferred_one_serves(
    modelpm: Run, home: Path, tmp_path: Path, preferred: str
) -> None:
    for name in ("shelfone", "shelftwo"):
        distribution(tmp_path / "path", name, "source", "shelf", shelf(name.encode() * 100))
    env = {"PYTHONPATH": str(tmp_path / "path")}
    assert modelpm("install", "shelf://x", env=env).code != 0
    Given("config", tables={"plugins": {"prefer": {"source.shelf": preferred}}}).write(home / "modelpm")
    assert modelpm("install", "shelf://x", "--as", "x", env=env).code == 0
    assert Path(modelpm("path", "x").stdout.strip()).read_bytes() == preferred.encode() * 100


@about("catalogs")
def test_a_catalog_of_ones_own_has_its_models(modelpm: Run, home: Path, tmp_path: Path) -> None:
    shop = Shop(tmp_path / "acme")
    shop.offer("chat", "1.0")
    assert modelpm("install", "acme/chat").code != 0
    Given("config", tables={"catalogs": {"acme": str(shop.folder)}}).write(home / "modelpm")
    assert modelpm("install", "acme/chat").code == 0
    assert Path(modelpm("path", "chat").stdout.strip()).read_bytes() == shop.content("chat", "1.0", "model.gguf")


@about("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME")
@pytest.mark.parametrize(
    ("variable", "below"), [("HF_HUB_CACHE", ""), ("HUGGINGFACE_HUB_CACHE", ""), ("HF_HOME", "hub")]
)
def test_what_the_hubs_own_tools_downloaded_is_not_fetched_again(
    modelpm: Run, hub: Hub, tmp_path: Path, variable: str, below: str
) -> None:
    hub.add("acme/m", {"w.bin": WEIGHTS})
    blob = tmp_path / "cache" / below / "models--acme--m" / "blobs" / sha256(WEIGHTS)
    blob.parent.mkdir(parents=True)
    blob.write_bytes(WEIGHTS)
    env = {"HF_ENDPOINT": hub.endpoint, variable: str(tmp_path / "cache")}
    assert modelpm("install", "hf://acme/m", env=env).code == 0
    assert hub.requests("", "cdn") == []


def test_nothing_of_the_machine_running_these_tests_reaches_them(clean_environ: dict[str, Any]) -> None:
    left = {name for name in os.environ if name.startswith(("MODELPM_", "HF_")) or name.lower().endswith("_proxy")}
    assert not left & {*clean_environ} - {"MODELPM_HOME"}
