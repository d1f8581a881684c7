"""Docker's, Git's, the system's and netrc's secrets: to the server they belong to, and never in a message."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from modelpm.api import Context, Secret, UsageError
from modelpm_credentials import modelpm_credentials
from modelpm_credentials.docker import Docker
from modelpm_credentials.git import Git
from modelpm_credentials.keyring import Keyring
from modelpm_credentials.netrc import Netrc
from tests.support.arriving import about


def told(secret: Secret | None) -> tuple[str | None, str] | None:
    return None if secret is None else (secret.username, secret.reveal())


def program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def docker(home: Path, config: object) -> Docker:
    (home / ".docker").mkdir()
    (home / ".docker" / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    return Docker(Context(environ={"HOME": str(home), "PATH": f"{home}/bin:{os.environ['PATH']}"}))


def test_docker_logins_are_read_as_docker_writes_them(tmp_path: Path) -> None:
    auth = base64.b64encode(b"joe:canary:pw").decode()
    auths = {
        "registry.example:5000": {"auth": auth}, "https://index.docker.io/v1/": {"auth": auth},
        "token.example": {"identitytoken": "canary-token"}, "empty.example": {}, "odd.example": {"auth": "?"},
    }  # fmt: skip
    found = docker(tmp_path, {"auths": auths})
    assert told(found.secret("oci://registry.example:5000")) == ("joe", "canary:pw")
    assert told(found.secret("oci://registry-1.docker.io")) == ("joe", "canary:pw")
    assert told(found.secret("oci://token.example")) == ("<token>", "canary-token")
    assert [found.secret(f"oci://{name}") for name in ("empty.example", "odd.example", "other.example")] == [None] * 3
    assert found.secret("https://registry.example:5000") is None, "only registries are sent Docker's logins"


def test_a_helper_of_docker_is_asked_for_its_registry_only(tmp_path: Path) -> None:
    answer = json.dumps({"Username": "joe", "Secret": "canary-pw"})
    program(tmp_path / "bin", "docker-credential-box", f"read host; [ $host = a.example ] || exit 1; echo '{answer}'")
    program(tmp_path / "bin", "docker-credential-all", "echo credentials not found >&2; exit 1")
    config = {"credHelpers": {"a.example": "box"}, "credsStore": "all", "auths": {"b.example": {"auth": "am9lOnB3"}}}
    found = docker(tmp_path, config)
    assert told(found.secret("oci://a.example")) == ("joe", "canary-pw")
    assert told(found.secret("oci://b.example")) == ("joe", "pw"), "the store knows nothing, the file does"


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "[]", '{"auths": 5, "credHelpers": []}'])
def test_a_broken_file_of_docker_is_named_or_empty(tmp_path: Path, text: str) -> None:
    found = docker(tmp_path, text)
    try:
        assert found.secret("oci://a.example") is None
    except UsageError as error:
        assert "config.json" in error.message


@about("DOCKER_CONFIG")
def test_the_folder_of_docker_may_be_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"auths": {"a.example": {"auth": "am9lOnB3"}}}')
    found = Docker(Context(environ={"DOCKER_CONFIG": str(tmp_path)}))
    assert told(found.secret("oci://a.example")) == ("joe", "pw")


def test_a_helper_that_is_missing_is_named(tmp_path: Path) -> None:
    found = docker(tmp_path, {"credHelpers": {"a.example": "absent"}})
    with pytest.raises(UsageError, match="docker-credential-absent"):
        found.secret("oci://a.example")


def test_git_is_asked_without_asking_the_user(tmp_path: Path) -> None:
    helper = '!f() { test "$1" = get && echo username=joe && echo password=canary-pw; }; f'
    environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    git = Git(Context(environ=environ))
    assert git.secret("https://git.example") is None
    subprocess.run(
        ["git", "config", "--global", "credential.https://git.example.helper", helper], env=environ, check=True
    )
    assert told(git.secret("https://git.example")) == ("joe", "canary-pw")
    assert git.secret("https://other.example") is None
    assert git.secret("oci://git.example") is None


@about("NETRC")
def test_netrc_is_for_https_and_by_name(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine a.example login joe password canary-pw\ndefault login x password y\n")
    (tmp_path / ".netrc").chmod(0o600)
    found = Netrc(Context(environ={"HOME": str(tmp_path)}))
    assert told(found.secret("https://a.example")) == ("joe", "canary-pw")
    for server in ("http://a.example", "https://a.example:8443", "https://b.example"):
        assert found.secret(server) is None
    assert Netrc(Context(environ={"HOME": str(tmp_path), "NETRC": "/absent"})).secret("https://a.example") is None


def test_the_keyring_asks_for_its_library_when_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)  # as where the extra is not installed
    found = modelpm_credentials("keyring", Context())  # opens: `plugins check` of a plain installation finds no fault
    assert isinstance(found, Keyring)
    with pytest.raises(UsageError) as refused:
        found.secret("https://a.example")
    assert refused.value.hints == ("pip install 'modelpm[keyring]'",)
