"""What the installed command leaves in the audit log, and what it says when somebody changed it."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ran

Command = Callable[..., Ran]


@pytest.fixture
def log(home: Path) -> Path:
    return home / "modelpm" / "audit" / "audit.jsonl"


def records(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_install_verify_and_uninstall_have_a_begin_and_an_end_that_say_who_and_what(
    modelpm: Command, log: Path
) -> None:
    assert modelpm("install", "tiny", "--user", "ada").code == 0
    assert modelpm("verify", env={"MODELPM_USER": "bob"}).code == 0
    assert modelpm("uninstall", "tiny").code == 0
    found = records(log)
    assert [r["event_type"] for r in found] == [
        f"{verb}.{phase}" for verb in ("install", "verify", "uninstall") for phase in ("begin", "end")
    ]
    assert [r["user_id"] for r in found[:4]] == ["ada", "ada", "bob", "bob"]
    assert found[5]["user_id"]
    assert {r["resource_id"] for r in found} == {"core/tiny"}
    assert [r["success"] for r in found] == [None, True] * 3
    details = found[1]["details"]
    assert details["digest"].startswith("m1:")
    assert details["bytes"] > 0
    assert any(plugin.startswith("modelpm ") for plugin in details["plugins"])
    assert found[0]["details"]["run"] == details["run"]
    verified = modelpm("audit", "verify", "--json")
    assert verified.code == 0
    assert json.loads(verified.stdout)["items"] == [{"name": "jsonl", "ok": True, "records": 6, "problem": ""}]


def test_what_is_already_there_is_not_recorded_again(modelpm: Command, log: Path) -> None:
    for _ in range(2):
        assert modelpm("install", "tiny").code == 0
    assert len(records(log)) == 2


PROMISE = """
schema = 1
id = "changed"
title = "Changed"
description = "Bytes that are not what the catalog promised."
license = "apache-2.0"

[[release]]
version = "1.0"
default-variant = "f16"

[[release.variant]]
name = "f16"
format = "gguf"
upstream = "file://{folder}"

[[release.variant.file]]
path = "weights.bin"
size = 11
sha256 = "{promised}"
"""


def test_a_digest_that_does_not_match_is_recorded_with_both(
    modelpm: Command, log: Path, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "bytes").mkdir()
    (tmp_path / "bytes" / "weights.bin").write_bytes(b"other bytes")
    catalog = tmp_path / "catalog"
    (catalog / "models").mkdir(parents=True)
    (catalog / "catalog.toml").write_text('schema = 1\nname = "mine"\ntitle = "Mine"\n')
    (catalog / "models" / "changed.toml").write_text(PROMISE.format(folder=tmp_path / "bytes", promised="0" * 64))
    (home / "modelpm").mkdir()
    (home / "modelpm" / "config.toml").write_text(f'[catalogs]\nmine = "{catalog}"\n')
    assert modelpm("install", "changed").code == 4
    (error,) = [r["details"]["error"] for r in records(log) if r["success"] is False]
    assert error["code"] == "digest_mismatch"
    assert "0" * 64 in str(error["expected"])
    assert sha256(b"other bytes").hexdigest() in str(error["actual"])
    assert modelpm("audit", "verify").code == 0


@pytest.mark.parametrize(
    ("change", "line", "reason"),
    [
        (lambda x: [x[0].replace("ada", "eve"), *x[1:]], 1, "edited"),
        (lambda x: [x[0], x[2], x[1], x[3]], 2, "out of order"),
        (lambda x: [x[0], *x[2:]], 2, "missing"),
        (lambda x: x[:3], 4, "cut"),
    ],
)
def test_audit_verify_names_the_first_bad_line_and_exits_with_4(
    modelpm: Command, log: Path, change: Callable[[list[str]], list[str]], line: int, reason: str
) -> None:
    modelpm("install", "tiny", "--user", "ada")
    modelpm("verify")
    log.write_text("".join(change(log.read_text().splitlines(keepends=True))))
    said = modelpm("audit", "verify")
    assert said.code == 4
    assert f"line {line}: {reason}" in said.stderr
    assert "Traceback" not in said.stderr


def test_what_cannot_be_recorded_is_not_done(modelpm: Command, log: Path, tmp_path: Path) -> None:
    log.parent.mkdir(parents=True)
    log.symlink_to(tmp_path / "elsewhere")
    refused = modelpm("install", "tiny", "--json")
    assert refused.code == 8
    assert json.loads(refused.stdout)["errors"][0]["code"] == "symlink"
    assert json.loads(modelpm("list", "--json").stdout)["items"] == []
    assert not (tmp_path / "elsewhere").exists()


def test_no_secret_reaches_the_log(modelpm: Command, home: Path, tmp_path: Path) -> None:
    modelpm("install", "https://ada:hunter2@127.0.0.1:9/a.bin?sig=hunter2", "--retries", "0")
    modelpm("install", "https://127.0.0.1:9/a.bin?sig=hunter2", "--retries", "0", env={"HF_TOKEN": "hunter2"})
    for path in [p for top in (home, tmp_path) for p in top.rglob("*") if p.is_file()]:
        assert b"hunter2" not in path.read_bytes(), path
