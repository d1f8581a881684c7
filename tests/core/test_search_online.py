"""Searching the Hub from the installed command, and every catalog beside it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from modelpm import Manager
from modelpm.api import OfflineError
from tests.conftest import Ran
from tests.support.hub import Hub

Run = Callable[..., Ran]


@pytest.fixture
def stocked(hub: Hub) -> Hub:
    for number, name in enumerate(["acme/tiny-chat", "acme/tiny-embed", "other/tinylama", "other/big"]):
        hub.add(name, {"model.gguf": bytes([number]) * 2000}, license="mit" if number else "apache-2.0")
        hub.downloads[name] = 1000 * number
    return hub


def test_the_hub_is_searched_with_sizes_downloads_and_licenses(modelpm: Run, stocked: Hub) -> None:
    env = {"HF_ENDPOINT": stocked.endpoint}
    done = json.loads(modelpm("search", "tiny", "--online", "--json", env=env).stdout)
    found = [item for item in done["items"] if not item["catalog"]]
    assert [item["spec"] for item in found] == ["hf://other/tinylama", "hf://acme/tiny-embed", "hf://acme/tiny-chat"]
    assert [item["downloads"] for item in found] == [2000, 1000, 0]
    assert {item["license"] for item in found} == {"mit", "apache-2.0"}
    assert all(item["bytes"] >= 2000 for item in found)
    assert found[0]["tasks"] == ["text-generation"]
    shown = modelpm("search", "tiny", "--online", "--license", "apache-2.0", env=env).stdout
    assert "DOWNLOADS" in shown
    assert "hf://acme/tiny-chat" in shown
    assert "tinylama" not in shown
    assert not [seen for seen in stocked.seen if seen.path != "/api/models"]


def test_pages_are_followed_as_far_as_they_are_wanted(
    stocked: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", stocked.endpoint)
    stocked.page = 1
    with Manager(home=tmp_path / "h") as manager:
        rows = [row for row in manager.search("tiny", online=True, limit=2).rows if not row.catalog]
        assert [row.id for row in rows] == ["other/tinylama", "acme/tiny-embed"]
        assert len(stocked.requests("/api/models$")) == 2
        assert [row.id for row in manager.search("", online=True, max_size=1).rows if not row.catalog] == []
        manager.install("hf://other/tinylama")
        rows = [row for row in manager.search("tiny", online=True).rows if not row.catalog]
        assert [row.installed for row in rows] == [True, False, False]


def test_what_cannot_be_asked_is_said_and_the_catalogs_still_answer(modelpm: Run, stocked: Hub) -> None:
    env = {"HF_ENDPOINT": stocked.endpoint}
    offline = modelpm("search", "tiny", "--online", "--offline", env=env)
    assert offline.code == 6
    assert "core/tiny" in offline.stdout
    assert "the network is forbidden" in offline.stderr
    stocked.server.answer("/api/models", b"<html>sign in</html>", "text/html", times=9)
    portal = modelpm("search", "tiny", "--online", env=env)
    assert portal.code == 6
    assert "captive portal" in portal.stderr
    answer = b'[{"id": 5}, {"id": "a/b", "downloads": "many", "usedStorage": -1}]'
    stocked.server.faults.clear()
    stocked.server.answer("/api/models", answer, "application/json")
    odd = json.loads(modelpm("search", "tiny", "--online", "--json", env=env).stdout)["items"]
    assert [(i["spec"], i["bytes"], i["downloads"]) for i in odd if not i["catalog"]] == [("hf://a/b", None, None)]


def test_filters_choose_the_variant_that_fits(tmp_path: Path) -> None:
    with Manager(home=tmp_path / "h", offline=True) as manager:
        (small,) = [row for row in manager.search("qwen3-8b", max_size="5.2G").rows if row.id == "qwen3-8b"]
        (large,) = [row for row in manager.search("qwen3-8b", max_size="6G").rows if row.id == "qwen3-8b"]
        assert (small.variant, small.spec) == ("q4_k_m", "core/qwen3-8b")
        assert small.bytes is not None
        assert large.variant == "q4_k_m"  # the recommended one, where it fits
        assert [row.id for row in manager.search("qwen3-8b", max_size="1M").rows] == []
        assert all(row.variant for row in manager.search("qwen", fits=True).rows)
        manager.install("tiny")
        assert [row.installed for row in manager.search("tiny").rows if row.id == "tiny"] == [True]


def test_a_size_that_is_none_is_refused(modelpm: Run) -> None:
    refused = modelpm("search", "--max-size", "big")
    assert (refused.code, "`big` is not a size" in refused.stderr) == (2, True)


def test_offline_errors_are_the_sources_own(tmp_path: Path) -> None:
    with Manager(home=tmp_path / "h", offline=True) as manager:
        errors = manager.search("x", online=True).errors
        assert [type(error) for error in errors] == [OfflineError]
        assert errors[0].details["source"] == "hf"
