"""Prune, doctor, store, cache and verify as they are typed."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelpm.store import Store
from tests.conftest import Ran
from tests.support.models import folder_of, names
from tests.support.stores import damage, put

Run = Callable[..., Ran]
DATA = os.urandom(40_000)


@pytest.fixture
def store(home: Path) -> Store:
    return Store(home / "modelpm" / "store")


@pytest.fixture
def installed(modelpm: Run, tmp_path: Path) -> str:
    assert modelpm("install", folder_of(tmp_path / "m", {"m.bin": DATA})).code == 0
    return "m"


def document(ran: Ran) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ran.stdout)
    assert found["exit_code"] == ran.code
    return found


def test_prune_needs_a_yes_where_there_is_no_terminal(modelpm: Run, store: Store) -> None:
    put(store, b"x" * 9000)
    refused = modelpm("prune")
    assert refused.code == 2
    assert "-y" in refused.stderr
    assert names(store)
    assert "Would free 12.0 KiB: 1 file" in modelpm("prune", "--dry-run").stderr
    assert names(store)
    assert "Freed 12.0 KiB" in modelpm("prune", "-y").stderr
    assert not names(store)
    assert "nothing to free" in modelpm("prune").stderr


@pytest.mark.skipif(os.name != "posix", reason="a terminal of our own needs a pty")
@pytest.mark.parametrize(("answer", "code", "left"), [("y\n", 0, 0), ("n\n", 130, 1)])
def test_prune_asks_on_a_terminal(
    clean_environ: dict[str, str], store: Store, answer: str, code: int, left: int
) -> None:
    import pty

    put(store, b"x" * 9000)
    ours, theirs = pty.openpty()
    command = [str(Path(sys.executable).with_name("modelpm")), "prune"]
    running = subprocess.Popen(command, env=clean_environ, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    with contextlib.suppress(OSError):  # the terminal is gone with the process
        while b"?" not in said:
            said += os.read(ours, 4096)
        os.write(ours, answer.encode())
        while True:
            os.read(ours, 4096)
    assert running.wait(30) == code
    os.close(ours)
    assert b"Free 12.0 KiB: 1 file" in said
    assert len(names(store)) == left


def test_prune_as_json(modelpm: Run, store: Store, installed: str) -> None:
    stray = put(store, b"x" * 9000)
    found = document(modelpm("prune", "--json", "-y"))
    (change,) = found["changes"]
    assert (change["action"], change["kind"], change["name"], change["bytes"]) == ("free", "blob", stray, 12288)
    assert found["items"][0]["freed"] == 12288
    assert found["items"][0]["kept"] >= len(DATA)
    assert modelpm("path", installed).code == 0


def test_a_limit_that_is_none_is_a_usage_error(modelpm: Run) -> None:
    assert modelpm("prune", "--older-than", "soon").code == 2
    ran = modelpm("prune", "--older-than", "90")
    assert ran.code == 2
    assert "`--older-than 90` has no unit" in ran.stderr
    assert "hint: for days: modelpm prune --older-than 90d" in ran.stderr
    assert modelpm("prune", "--max-size", "much").code == 2


def test_verify_finds_and_mends(modelpm: Run, store: Store, installed: str) -> None:
    ((name, _),) = store.blobs()
    damage(store.blob(name))
    bad = modelpm("verify")
    assert bad.code == 4
    assert f"verify {installed} --repair" in bad.stderr
    mended = document(modelpm("verify", "--repair", "--json"))
    assert [(row["name"], row["file"], row["ok"]) for row in mended["items"]] == [("m", "m.bin", True)]
    assert mended["changes"] == [{"action": "repair", "name": "m", "file": "m.bin", "downloaded": len(DATA)}]
    assert modelpm("verify").code == 0


def test_verify_takes_parts(modelpm: Run, tmp_path: Path) -> None:
    files = {f"{n}.bin": bytes([n]) * 10 for n in range(40)}
    assert modelpm("install", folder_of(tmp_path / "many", files) + ":all").code == 0
    parts = [document(modelpm("verify", "--subset", f"{n}/3", "--json"))["items"] for n in (1, 2, 3)]
    assert sorted(row["file"] for rows in parts for row in rows) == sorted(files)
    assert len(document(modelpm("verify", "--subset", "5%", "--json"))["items"]) == 2
    assert modelpm("verify", "--subset", "4/3").code == 2


def test_doctor_has_a_row_a_check_and_fails_only_on_failures(modelpm: Run, store: Store, installed: str) -> None:
    well = document(modelpm("doctor", "--offline", "--json"))
    assert well["ok"]
    assert {row["state"] for row in well["items"]} <= {"ok", "warn"}
    ((name, _),) = store.blobs()
    os.utime(store.blob(name), ns=(1, 1))
    ill = modelpm("doctor", "--offline")
    assert ill.code == 1
    assert "modelpm verify --repair" in ill.stdout
    assert document(modelpm("doctor", "--offline", "--json"))["errors"][0]["code"] == "unhealthy"
    assert modelpm("verify", installed, "--repair").code == 0
    assert modelpm("doctor", "--offline").code == 0


def test_a_store_is_moved_and_found_there(modelpm: Run, tmp_path: Path, installed: str) -> None:
    assert modelpm("store", "move", str(tmp_path / "new")).code == 0
    assert modelpm("store", "dir").stdout == f"{tmp_path / 'new'}\n"
    assert Path(modelpm("path", installed).stdout.strip()).read_bytes() == DATA
    assert modelpm("store", "move", str(tmp_path / "new")).code == 2


def test_the_store_says_what_takes_its_space(modelpm: Run, store: Store, tmp_path: Path, installed: str) -> None:
    assert modelpm("install", folder_of(tmp_path / "n", {"m.bin": DATA, "n.json": b"n" * 500})).code == 0
    put(store, b"x" * 100)
    (item,) = document(modelpm("store", "size", "--json"))["items"]
    shares = {(s["kind"], s["name"]): s["bytes"] for s in item["shares"]}
    assert shares == {("shared", ""): len(DATA), ("model", "n"): 500, ("unneeded", ""): 100}
    assert item["bytes"] == sum(shares.values())
    assert installed == "m"


def test_the_cache_is_cleaned(modelpm: Run, home: Path) -> None:
    cache = Path(modelpm("cache", "dir").stdout.strip())
    assert cache == home / "modelpm" / "cache"
    assert modelpm("cache", "size").stdout == "0\n"
    (cache / "deep").mkdir(parents=True)
    (cache / "deep" / "file").write_bytes(b"x" * 100)
    assert modelpm("cache", "size").stdout == "100\n"
    assert modelpm("cache", "clean").code == 0
    assert not cache.exists()
