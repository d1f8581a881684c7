"""The user's own catalogs, from the configuration to the exit code."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Ran
from tests.support.catalogs import model, write_catalog

Run = Callable[..., Ran]


@pytest.fixture
def configured(home: Path) -> Callable[[str, Path], None]:
    """Return what writes a catalog into the configuration."""

    def configure(name: str, folder: Path) -> None:
        (home / "modelpm").mkdir(exist_ok=True)
        (home / "modelpm" / "config.toml").write_text(f'[catalogs]\n{name} = "{folder.as_posix()}"\n')

    return configure


def test_a_catalog_that_is_not_there_lets_no_other_answer_for_an_id(
    modelpm: Run, tmp_path: Path, configured: Callable[[str, Path], None]
) -> None:
    configured("acme", tmp_path / "nonexistent")
    refused = modelpm("install", "tiny")
    assert refused.code == 2
    assert "`acme`" in refused.stderr
    assert "`core/tiny`" in refused.stderr
    assert modelpm("install", "core/tiny").code == 0


def test_listings_go_on_without_it_and_warn(
    modelpm: Run, tmp_path: Path, configured: Callable[[str, Path], None]
) -> None:
    configured("acme", tmp_path / "nonexistent")
    for command in (["search", "tiny"], ["catalog", "list"]):
        done = modelpm(*command, "--json")
        (warning,) = json.loads(done.stdout)["warnings"]
        assert done.code == 0
        assert warning.startswith("the catalog `acme` is passed over")
    assert modelpm("catalog", "show", "acme").code == 5


def test_a_catalog_may_replace_one_of_ours_and_says_so_once(
    modelpm: Run, tmp_path: Path, configured: Callable[[str, Path], None]
) -> None:
    configured("core", write_catalog(tmp_path / "mine", [model("tiny", title="Mine")]))
    done = modelpm("search", "tiny", "--json")
    answer = json.loads(done.stdout)
    assert [(item["id"], item["title"]) for item in answer["items"]] == [("tiny", "Mine")]
    (warning,) = answer["warnings"]
    assert warning.startswith("the catalog `core`")
    assert "replaced" in warning
