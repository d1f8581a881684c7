"""Other people's plugins, installed: a good one serves a model, a bad one fails only where it is asked for."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.installations import Installation
from tests.support.models import holding


def run(place: Installation, home: Path, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    done = place.run("modelpm", *arguments, home=home, **env)
    assert "Traceback" not in done.stdout + done.stderr
    return done


def document(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(done.stdout)
    assert answer["exit_code"] == done.returncode
    return answer


def test_a_strangers_source_serves_a_model_through_install(among_strangers: Installation, tmp_path: Path) -> None:
    model = tmp_path / "srv" / "tiny"
    (model / "sub").mkdir(parents=True)
    weights = holding("weights.safetensors", bytes(range(256)) * 9000)
    (model / "weights.safetensors").write_bytes(weights)
    (model / "sub" / "config.json").write_text("{}")
    done = document(run(among_strangers, tmp_path, "install", f"folder://{model}", "--as", "mine", "--json"))
    assert done["ok"]
    (change,) = done["changes"]
    assert change["action"] == "install"
    assert change["name"] == "mine"
    assert run(among_strangers, tmp_path, "path", "mine").stdout.endswith("/mine/weights.safetensors\n")
    folder = Path(run(among_strangers, tmp_path, "path", "mine", "--dir").stdout.strip())
    assert (folder / "weights.safetensors").read_bytes() == weights
    assert (folder / "sub" / "config.json").read_text() == "{}"
    assert run(among_strangers, tmp_path, "verify", "mine").returncode == 0
    assert run(among_strangers, tmp_path, "uninstall", "mine").returncode == 0
    assert not list((tmp_path / "modelpm" / "store" / "blobs").rglob("??/" + "?" * 64))


def test_a_strangers_program_gets_a_model_and_gives_its_own(among_strangers: Installation, tmp_path: Path) -> None:
    (tmp_path / "shelfie").mkdir()
    run(among_strangers, tmp_path, "install", "tiny")
    (change,) = document(run(among_strangers, tmp_path, "link", "shelfie", "tiny", "--json"))["changes"]
    assert (change["action"], change["path"]) == ("link", str(tmp_path / "shelfie"))
    shown = tmp_path / "shelfie" / "tiny" / "tiny.gguf"
    assert shown.is_file()
    (tmp_path / "shelfie" / "own").mkdir()
    (tmp_path / "shelfie" / "own" / "own.gguf").write_bytes(holding("own.gguf", b"weights"))
    changes = document(run(among_strangers, tmp_path, "adopt", "shelfie", "--json"))["changes"]
    assert {(change["action"], change["name"]) for change in changes} == {("reuse", "tiny"), ("install", "own")}
    assert run(among_strangers, tmp_path, "unlink", "shelfie").returncode == 0
    assert not shown.exists()


def test_what_the_strangers_source_says_is_missing_is_not_found(among_strangers: Installation, tmp_path: Path) -> None:
    done = run(among_strangers, tmp_path, "install", f"folder://{tmp_path}/absent")
    assert done.returncode == 5
    assert "is not a folder" in done.stderr


BAD = {
    "broken": ("modelpm-broken-import 0.1.0", "No module named 'a_library_that_is_not_there'"),
    "misspelt": ("modelpm-misspelt-hook 0.1.0", "modelpm_sorce"),
    "midway": ("modelpm-raises-midway 0.1.0", "lost the thread"),
}


@pytest.mark.parametrize("scheme", BAD)
def test_a_bad_plugin_is_a_plugin_error_where_it_is_asked_for(
    among_strangers: Installation, tmp_path: Path, scheme: str
) -> None:
    who, why = BAD[scheme]
    done = document(run(among_strangers, tmp_path, "install", f"{scheme}://x/y", "--json"))
    (error,) = done["errors"]
    assert done["exit_code"] == 1
    assert error["code"] == "plugin"
    assert who in error["message"]
    assert why in error["message"]
    assert f"MODELPM_DISABLE_PLUGINS={who.split()[0]}" in " ".join(error["hints"])
    assert document(run(among_strangers, tmp_path, "list", "--json"))["items"] == []


def test_bad_plugins_cost_nothing_elsewhere(among_strangers: Installation, tmp_path: Path) -> None:
    for command in (
        ["--help"], ["install", "tiny"], ["install", "tiny"], ["list"], ["path", "tiny"], ["plugins"], ["verify"],
        ["show", "tiny"], ["search"], ["audit", "verify"], ["config", "list"], ["uninstall", "tiny"],
    ):  # fmt: skip
        done = run(among_strangers, tmp_path, *command)
        assert done.returncode == 0, (command, done.stderr)
        for who, why in BAD.values():
            assert why not in done.stdout + done.stderr, command
            assert who.split()[0] not in done.stderr, command


def test_a_claim_on_sha256_is_reported_and_ours_serves(among_strangers: Installation, tmp_path: Path) -> None:
    rows = document(run(among_strangers, tmp_path, "plugins", "--json"))["items"]
    states = {(row["distribution"], row["kind"], row["name"]): row["state"] for row in rows}
    assert states["modelpm", "digest", "sha256"] == "ok"
    assert states["modelpm-claims-sha256", "digest", "sha256"] == "shadowed"
    assert states["modelpm-folder", "source", "folder"] == "ok"
    change = document(run(among_strangers, tmp_path, "install", "tiny", "--json"))["changes"][0]
    path = Path(run(among_strangers, tmp_path, "path", "tiny").stdout.strip())
    (row,) = document(run(among_strangers, tmp_path, "show", "tiny", "--json"))["items"]
    stored = {file["sha256"] for variant in row["variants"] for file in variant["files"]}
    assert hashlib.sha256(path.read_bytes()).hexdigest() in stored
    assert change["bytes"] == path.stat().st_size
    blob = path.resolve()
    blob.chmod(0o600)
    blob.write_bytes(b"\0" * blob.stat().st_size)
    assert run(among_strangers, tmp_path, "verify", "tiny").returncode == 4


def test_plugins_check_tells_the_bad_from_the_good(among_strangers: Installation, tmp_path: Path) -> None:
    done = document(run(among_strangers, tmp_path, "plugins", "check", "--json"))
    states = {(row["distribution"], row["name"]): row["state"] for row in done["items"]}
    assert done["exit_code"] == 1
    assert states["modelpm-folder", "folder"] == "ok"
    assert states["modelpm-broken-import", "broken"] not in {"ok", "shadowed"}
    assert states["modelpm-misspelt-hook", "misspelt"] not in {"ok", "shadowed"}
    assert {state for (who, _), state in states.items() if who == "modelpm"} <= {"ok", "not set up"}


def test_a_disabled_plugin_is_as_if_it_were_not_there(among_strangers: Installation, tmp_path: Path) -> None:
    off = {"MODELPM_DISABLE_PLUGINS": "modelpm_broken_import,Modelpm-Folder"}
    done = document(run(among_strangers, tmp_path, "install", "broken://x", "--json", **off))
    assert done["exit_code"] == 2
    assert done["errors"][0]["code"] == "unknown_scheme"
    rows = document(run(among_strangers, tmp_path, "plugins", "--json", **off))["items"]
    assert {r["state"] for r in rows if r["distribution"] in {"modelpm-broken-import", "modelpm-folder"}} == {
        "disabled"
    }


def test_a_library_that_is_not_there_is_missed_where_it_is_asked_for(
    among_strangers: Installation, tmp_path: Path
) -> None:
    asked = {"MODELPM_CREDENTIALS": "keyring", "HF_ENDPOINT": "http://localhost:9"}
    done = document(run(among_strangers, tmp_path, "install", "hf://acme/m", "--json", **asked))
    assert (done["exit_code"], done["errors"][0]["hints"]) == (2, ["pip install 'modelpm[keyring]'"])
