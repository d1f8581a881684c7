"""``oci://``, push and ``sync --from`` with Debian's docker-registry, and skopeo as the independent witness."""

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

import modelpm
from tests.conftest import Ran
from tests.support.models import folder_of, holding, manager_in, sized
from tests.support.registry import digest, needs_registry, needs_skopeo, running_registry
from tests.support.tokens import LOGIN, Tokens, running_tokens

pytestmark = needs_registry
COMMAND = str(Path(sys.executable).with_name("modelpm"))
SKOPEO = ("skopeo", "--insecure-policy")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[modelpm.Manager]:
    with manager_in(tmp_path / "own") as made:
        files = {"m.gguf": sized("m.gguf", 50_000, tmp_path), "README.md": b"# first", "empty.txt": b""}
        made.install(folder_of(tmp_path / "first", files) + ":all", name="first")
        made.install(folder_of(tmp_path / "second", {"n.gguf": sized("n.gguf", 9000, tmp_path)}), name="second")
        yield made


def skopeo(*arguments: str) -> str:
    done = subprocess.run([*SKOPEO, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_registry_keeps_what_is_pushed_and_another_machine_takes_it(
    host: str, manager: modelpm.Manager, tmp_path: Path
) -> None:
    (one,) = manager.push(f"oci://{host}/real/one:1", ["first"]).rows
    (several,) = manager.push(f"oci://{host}/real/several:1", ["first", "second"]).rows
    (again,) = manager.push(f"oci://{host}/real/several:1", ["first", "second"]).rows
    assert (again.digest, again.uploaded) == (several.digest, 0)
    with modelpm.Manager(home=tmp_path / "other") as other:
        made = other.install(f"oci://{host}/real/one@{one.digest}:all", name="first")
        assert made.digest == manager.installed()[0].digest
        (tmp_path / "fleet").mkdir()
        other.sync_from(f"oci://{host}/real/several:1", tmp_path / "fleet").raised()
        there = other.project(tmp_path / "fleet", frozen=True).installed()
        assert [m.digest for m in there] == [m.digest for m in manager.installed()]


@needs_skopeo
def test_skopeo_copies_what_we_push_and_its_copy_has_the_digest(
    host: str, manager: modelpm.Manager, tmp_path: Path
) -> None:
    (row,) = manager.push(f"oci://{host}/skopeo/models:1", ["first", "second"]).rows
    plain = ("--src-tls-verify=false", "--dest-tls-verify=false")
    skopeo("copy", "--all", *plain, f"docker://{host}/skopeo/models:1", f"docker://{host}/skopeo/copy:1")
    raw = skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{host}/skopeo/copy:1")
    assert len(json.loads(raw)["manifests"]) == 3
    with modelpm.Manager(home=tmp_path / "other") as other:
        (tmp_path / "fleet").mkdir()
        other.sync_from(f"oci://{host}/skopeo/copy@{row.digest}", tmp_path / "fleet").raised()
        lock = (tmp_path / "fleet" / "models.lock").read_text()
        assert f"oci://{host}/skopeo/copy@sha256:" in lock
        assert "skopeo/models" not in lock


@needs_skopeo
def test_a_bundle_goes_to_a_registry_and_from_there_to_a_folder(
    host: str, manager: modelpm.Manager, tmp_path: Path
) -> None:
    manager.bundle(tmp_path / "models.tar")
    place = f"docker://{host}/skopeo/bundle:1"
    skopeo("copy", "--all", "--dest-tls-verify=false", f"oci-archive:{tmp_path / 'models.tar'}", place)
    with modelpm.Manager(home=tmp_path / "other") as other:
        (tmp_path / "fleet").mkdir()
        other.sync_from(f"oci://{host}/skopeo/bundle:1", tmp_path / "fleet").raised()
        assert len(other.project(tmp_path / "fleet", frozen=True).installed()) == 2


def test_what_was_sent_before_a_kill_is_not_sent_again(
    host: str, tmp_path: Path, clean_environ: dict[str, str]
) -> None:
    weights, first = holding("m.gguf", os.urandom(24 << 20)), os.urandom(1 << 20)
    with manager_in(tmp_path / "own") as manager:
        spec = folder_of(tmp_path / "big", {"m.gguf": weights, "LICENSE": first})
        manager.install(f"{spec}:all", name="big")
    environ = {**clean_environ, "MODELPM_HOME": str(tmp_path / "own" / "home")}
    command = [COMMAND, "push", f"oci://{host}/real/killed:1", "big", "--json"]
    process = subprocess.Popen([*command, "--limit-rate", "4M"], env=environ, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not _has(host, "real/killed", first) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    (row,) = json.loads(done.stdout)["items"]
    # This registry keeps nothing of a blob whose connection broke; what was whole is there.
    assert len(weights) <= row["uploaded"] < len(weights) + len(first)
    with modelpm.Manager(home=tmp_path / "other") as other:
        assert other.install(f"oci://{host}/real/killed:1").path.read_bytes() == weights


def _has(host: str, repository: str, data: bytes) -> bool:
    with closing(HTTPConnection(host)) as connection:
        connection.request("HEAD", f"/v2/{repository}/blobs/{digest(data)}")
        return connection.getresponse().status == 200


# ------------------------------------------------------------------ a registry with a token server


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Tokens]]:
    folder = tmp_path_factory.mktemp("guarded")
    with running_tokens(folder) as tokens, running_registry(folder, tokens.auth()) as host:
        yield host, tokens


Modelpm = Callable[..., Ran]


def login_of(folder: Path, host: str, password: str = LOGIN[1]) -> dict[str, str]:
    folder.mkdir()
    auth = base64.b64encode(f"{LOGIN[0]}:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    return {"DOCKER_CONFIG": str(folder)}


def test_who_may_push_pushes_and_everybody_pulls(
    guarded: tuple[str, Tokens], manager: modelpm.Manager, tmp_path: Path, modelpm: Modelpm
) -> None:
    host, tokens = guarded
    place, own = f"oci://{host}/team/m:1", {"MODELPM_HOME": str(manager.config.paths.lock.parent.parent)}
    refused = modelpm("push", place, "first", "--json", env=own)
    assert (refused.code, json.loads(refused.stdout)["errors"][0]["code"]) == (7, "login")
    # The realm is another server than the registry: it gets the password only where the user says so.
    docker = login_of(tmp_path / "docker", host)
    unasked = modelpm("push", place, "first", env={**own, **docker})
    assert unasked.code == 7
    assert f'realm = "{tokens.origin}"' in unasked.stderr
    assert {user for _, user in tokens.asked} == {""}
    table = f'[credentials."oci://{host}"]\nusername = "{LOGIN[0]}"\npassword-env = "PASSWORD"\n'
    (manager.config.paths.lock.parent.parent / "config.toml").write_text(f'{table}realm = "{tokens.origin}"\n')
    done = modelpm("push", place, "first", env={**own, "PASSWORD": LOGIN[1]})
    assert done.code == 0, done.stderr
    assert any("push" in scope and user == LOGIN[0] for scope, user in tokens.asked)
    wrong = modelpm("push", f"oci://{host}/team/m:2", "second", env={**own, "PASSWORD": "canary-wrong"})
    assert wrong.code == 7
    assert "canary" not in wrong.stdout + wrong.stderr
    assert f"the tokens of {host}" in wrong.stderr
    (tmp_path / "fleet").mkdir()
    pulled = modelpm("sync", "--from", place, cwd=tmp_path / "fleet")
    assert pulled.code == 0, pulled.stderr


@pytest.mark.marathon
def test_the_client_of_modelpack_reads_what_we_push(host: str, manager: modelpm.Manager, tmp_path: Path) -> None:
    client = pytest.importorskip("modelpack_client")
    manager.push(f"oci://{host}/modelpack/m:1", ["first"])
    found = client.ModelPackClient(insecure=True).pull(f"{host}/modelpack/m:1", tmp_path / "out")
    folder = manager.installed()[0].folder
    assert {p.name for p in found.files} == {p.name for p in folder.iterdir()}
    for path in found.files:
        assert path.read_bytes() == (folder / path.name).read_bytes()
    weights = client.ModelLayer(folder / "m.gguf", artifact_path="m.gguf")
    client.ModelPackClient(insecure=True).push(f"{host}/modelpack/theirs:1", [weights], client.ModelPackConfig())
    with modelpm.Manager(home=tmp_path / "other") as other:
        assert other.install(f"oci://{host}/modelpack/theirs:1").path.read_bytes() == (folder / "m.gguf").read_bytes()
