"""Processes together: the installed command, several of it at once, some of them killed."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from modelpm.store import Store
from tests.support.hub import Hub
from tests.support.models import folder_of

COMMAND = Path(sys.executable).with_name("modelpm")
DATA = os.urandom(6_000_000)


def start(environ: dict[str, str], *arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [COMMAND, *arguments], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


def end(processes: "Sequence[subprocess.Popen[bytes]]") -> list[tuple[int, bytes]]:
    ended = [(p, p.communicate(timeout=100)[1]) for p in processes]
    return [(p.returncode, said) for p, said in ended]


def test_eight_installs_of_one_model_download_it_once(clean_environ: dict[str, str], hub: Hub) -> None:
    hub.add("acme/m", {"m.bin": DATA, "config.json": b"{}"})
    environ = {**clean_environ, "HF_ENDPOINT": hub.endpoint}
    ended = end([start(environ, "install", "hf://acme/m") for _ in range(8)])
    assert [code for code, _ in ended] == [0] * 8, ended
    spans = [seen.headers.get("Range", "") for seen in hub.requests(server="cdn") if seen.status == 206]
    sent = sum(int(stop or len(DATA)) - int(start) + 1 for start, stop in (s[6:].split("-") for s in spans))
    assert sent < 1.6 * len(DATA)  # ranges asked for; those that were given up half-way count in full
    store = Store(Path(environ["MODELPM_HOME"]) / "store")
    assert sorted(size for _, size in store.blobs()) == [2, len(DATA)]
    assert end([start(environ, "verify")])[0][0] == 0


def test_two_homes_share_one_store(clean_environ: dict[str, str], tmp_path: Path) -> None:
    spec = folder_of(tmp_path / "m", {"m.bin": DATA})
    shared = {**clean_environ, "MODELPM_STORE": str(tmp_path / "shared")}
    homes = [{**shared, "MODELPM_HOME": str(tmp_path / f"home{n}")} for n in range(2)]
    assert [code for code, _ in end([start(home, "install", spec) for home in homes])] == [0, 0]
    ((code, said),) = end([start(homes[0], "uninstall", "m")])
    assert (code, b"home1" in said) == (0, True)
    ((code, _),) = end([start(homes[0], "prune", "-y", "--older-than", "0d")])
    assert code == 0
    assert end([start(homes[1], "verify")])[0][0] == 0


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.marathon)])
def test_verbs_in_any_interleaving_leave_a_sound_store(
    clean_environ: dict[str, str], tmp_path: Path, seed: int
) -> None:
    trial(clean_environ, tmp_path, random.Random(seed), rounds=2)  # noqa: S311 - no secret


@pytest.mark.marathon
@pytest.mark.timeout(1800)
def test_verbs_in_many_interleavings_leave_a_sound_store(clean_environ: dict[str, str], tmp_path: Path) -> None:
    trial(clean_environ, tmp_path, random.Random(3), rounds=40)  # noqa: S311 - as above


def trial(environ: dict[str, str], folder: Path, chance: random.Random, *, rounds: int) -> None:
    """Run verbs at once, kill some of them, and then look whether all is right."""
    specs = [folder_of(folder / name, {f"{name}.bin": DATA[: 400_000 + n], "tokenizer.model": DATA[:90_000]})
             for n, name in enumerate(("one", "two"))]  # fmt: skip
    verbs = [
        *(("install", spec) for spec in specs),
        *(("uninstall", name) for name in ("one", "two")),
        ("prune", "-y", "--older-than", "0d"),
        ("verify", "--repair"),
        ("verify",),
    ]
    for _ in range(rounds):
        running = [(verb, start(environ, *verb)) for verb in chance.choices(verbs, k=6)]
        time.sleep(chance.uniform(0.2, 0.8))
        killed = chance.sample(range(6), 2)
        for index in killed:
            if running[index][1].poll() is None:
                os.killpg(running[index][1].pid, signal.SIGKILL)
        for index, (code, said) in enumerate(end([process for _, process in running])):
            verb = running[index][0]
            # What is gone when it is asked for, and what a store is too busy for, is told; nothing else goes wrong.
            allowed = {0, -9, *({5} if verb[0] == "uninstall" else ()), *({8} if verb[0] == "prune" else ())}
            allowed |= {4} if verb[0] == "verify" else set()  # uninstalled while it was looked at
            assert code in allowed, (verb, said.decode())
    for arguments in (("install", *specs), ("verify",), ("prune", "-y", "--older-than", "0d"), ("doctor", "--offline")):
        ((code, said),) = end([start(environ, *arguments)])
        assert code == 0, (arguments, said.decode())
    store = Store(Path(environ["MODELPM_HOME"]) / "store")
    assert sorted(size for _, size in store.blobs()) == [90_000, 400_000, 400_001]
    assert all(store.check(sha256, size) is None for sha256, size in store.blobs())
    assert not list(store.layout.partials.iterdir())
    assert not list(store.layout.leases.iterdir())
