"""Credentials of the configuration: from where they come, and to whom they go."""

import base64
import json
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from modelpm.api import Context, Reference, Secret, Snapshot, UsageError
from modelpm.api.events import Bus
from modelpm.config import Config
from modelpm.http import HttpSource
from modelpm.library.wiring import make_registry
from modelpm.network.health import Hosts
from modelpm.plugins.wallet import Wallet
from tests.conftest import Ran
from tests.support.arriving import about
from tests.support.raw import always, answer, raw_server, sends
from tests.support.sources import Plain, download

Command = Callable[..., Ran]
DATA = b"0123456789"
WHOLE = answer("200 OK", DATA)
HOST = "https://models.example"


def keyring(home: Path, table: str, server: str = HOST, **environ: str) -> Wallet:
    (home / "config.toml").write_text(f"[credentials.{json.dumps(server)}]\n{table}\n")
    return wallet({"MODELPM_HOME": str(home), "HOME": str(home), **environ})


def wallet(environ: Mapping[str, str], *names: str) -> Wallet:
    config = Config.load(environ=environ)
    registry = make_registry(config, Hosts(), Bus(), threading.Event())
    return Wallet(registry, names or config["network.credentials"])


def headers(secret: Secret | None) -> Mapping[str, str]:
    return {} if secret is None else secret.headers()


def basic(pair: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


PRINTS = json.dumps([sys.executable, "-c", "print('t-command'); print('more')"])


@pytest.mark.parametrize(
    ("table", "sent"),
    [
        ("token-env = 'A_TOKEN'", {"Authorization": "Bearer t-env"}),
        ("token-file = 'secret.txt'", {"Authorization": "Bearer t-file"}),
        (f"token-command = {PRINTS}", {"Authorization": "Bearer t-command"}),
        ("token-command = 'echo t-word'", {"Authorization": "Bearer t-word"}),
        ("username = 'joe'\npassword-env = 'A_TOKEN'", basic("joe:t-env")),
        ("username = 'jö'\npassword-file = 'secret.txt'", basic("jö:t-file")),
        ("username = 'joe'\ntoken-env = 'A_TOKEN'", basic("joe:t-env")),
        ("header = 'X-API-Key'\ntoken-env = 'A_TOKEN'", {"X-API-Key": "t-env"}),
        ("token-env = 'NOT_SET'", {}),
        ("token-env = 'A_TOKEN'\nrealm = 'https://auth.example'", {"Authorization": "Bearer t-env"}),
    ],
)
def test_a_secret_comes_from_a_variable_a_file_or_a_command(tmp_path: Path, table: str, sent: dict[str, str]) -> None:
    (tmp_path / "secret.txt").write_text("t-file\n")
    ring = keyring(tmp_path, table, PATH="/usr/bin:/bin", A_TOKEN=" t-env\n")  # noqa: S106 - made up
    assert headers(ring.secret(HOST)) == sent
    assert ring.secret(HOST) is ring.secret(HOST)
    assert ring.secret("https://models.example.evil") is None
    assert ring.secret("http://models.example") is None
    assert ring.secret("https://models.example:8443") is None


@pytest.mark.parametrize(
    "server",
    ["https://Models.Example", "https://models.example:443", "https://models.example/", "HTTPS://models.example"],
)
def test_a_server_has_many_spellings(tmp_path: Path, server: str) -> None:
    ring = keyring(tmp_path, "token-env = 'A_TOKEN'", server, A_TOKEN="t-env")  # noqa: S106 - as above
    assert headers(ring.secret(HOST)) == {"Authorization": "Bearer t-env"}


@pytest.mark.parametrize(
    "server",
    [
        "https://evil\\\\@models.example", "https://evil.example\\\\@models.example:443", "https://models.example/path",
        "https://joe:canary-pw@models.example", "https://models.example?x=1", "https://models .example",
        "https://models.example#x", "https:///models.example", "https://models.example:0", "https://models.example\\t",
    ],
)  # fmt: skip
def test_what_is_no_server_is_refused(tmp_path: Path, server: str) -> None:
    (tmp_path / "config.toml").write_text(f'[credentials."{server}"]\ntoken-env = "A_TOKEN"\n')
    ring = wallet({"MODELPM_HOME": str(tmp_path), "A_TOKEN": "t-env"})
    for asked in (HOST, "https://evil.example"):
        with pytest.raises(UsageError, match="credentials") as refused:
            ring.secret(asked)
        assert "canary-pw" not in refused.value.message


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "exactly one of"),
        ("token-env = 'A'\ntoken-file = 'b'", "exactly one of"),
        ("token = 'canary-token'", "unknown key `token`"),
        ("password-env = 'A'", "needs a username"),
        ("username = 'a:b'\npassword-env = 'A'", "no colon"),
        ("username = 'a'\nheader = 'X'\ntoken-env = 'A'", "no header"),
        ("header = 'X: y'\ntoken-env = 'A'", "not the name of a header"),
        ("header = 'X\\r\\n'\ntoken-env = 'A'", "must be texts"),
        ("username = 5\npassword-env = 'A'", "must be texts"),
        ("token-env = 5", "must be a text"),
        ("token-file = 'not there'", "No such file"),
        ("token-command = 'not-a-command-here'", "No such file"),
        ("token-command = 'false'", "exited with 1"),
        ("token-command = 'true'", "printed nothing"),
        ('token-command = "\'"', "cannot be split"),
    ],
)
def test_what_gives_no_secret_is_said(tmp_path: Path, table: str, said: str) -> None:
    ring = keyring(tmp_path, table.replace("'X\\r\\n'", '"X\\r\\n"'), PATH="/usr/bin:/bin")
    with pytest.raises(UsageError, match=said) as refused:
        ring.secret(HOST)
    assert HOST in refused.value.message
    assert "canary" not in refused.value.message


def test_a_password_goes_to_its_server_and_not_through_a_redirect(tmp_path: Path) -> None:
    with raw_server(sends(WHOLE)) as other:
        away = answer("302 Found", Location=other.url().replace("localhost", "127.0.0.1"))
        with raw_server(sends(away)) as home:
            table = "username = 'joe'\npassword-env = 'A'"
            ring = keyring(tmp_path, table, home.url(""), A="pw:é")
            assert download(Plain(Context(secret=ring.secret)), home.url(), 10) == DATA
    assert f"Authorization: {basic('joe:pw:é')['Authorization']}" in home.heads[0]
    assert "authorization" not in other.heads[0].lower()


class Scoped(HttpSource):
    """Sends a key of its own with one path only."""

    def resolve(self, reference: Reference) -> Snapshot:
        raise NotImplementedError(reference)

    def authorization(self, url: str) -> Mapping[str, str] | None:
        return {"X-Key": "canary-key"} if url.endswith("/private") else None


def test_a_source_decides_for_each_request_what_it_sends() -> None:
    def reply(head: str, connection: socket.socket) -> bool:
        connection.sendall(answer("302 Found", Location="/open") if "private" in head else WHOLE)
        return True

    with raw_server(reply) as server:
        assert download(Scoped(Context()), server.url("/private"), 10) == DATA
        assert ["X-Key: canary-key" in head for head in server.heads] == [True, False]


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\x00", "ü"])
def test_no_secret_breaks_out_of_its_header(value: str) -> None:
    with raw_server(sends(WHOLE)) as server:
        context = Context(secret=lambda _: Secret(value, header="X-Key"))
        with pytest.raises(UsageError, match="characters that no token can have"):
            download(Plain(context), server.url(), 10)
        assert server.heads == []


@about("network.credentials")
def test_the_setting_says_who_is_asked(modelpm: Command, home: Path) -> None:
    helper = "!f() { echo username=joe; echo password=canary-pw; }; f"
    (home / ".gitconfig").write_text(f'[credential]\n\thelper = "{helper}"\n')
    with raw_server(always(answer("200 OK", b"weights" * 15))) as server:
        assert modelpm("install", server.url("/a.bin")).code == 0
        assert not any("Authorization" in head for head in server.heads)
        assert modelpm("install", server.url("/b.bin"), env={"MODELPM_CREDENTIALS": "config,git"}).code == 0
        assert basic("joe:canary-pw")["Authorization"] in server.heads[-1]


def test_the_command_line_uses_them_and_doctor_tells_what_is_missing(modelpm: Command, home: Path) -> None:
    with raw_server(always(answer("200 OK", b"weights" * 15))) as server:
        (home / "modelpm").mkdir()
        table = f'[credentials."{server.url("")}"]\nusername = "joe"\npassword-env = "A_PASSWORD"\n'
        (home / "modelpm" / "config.toml").write_text(table)
        assert modelpm("install", server.url("/m.bin"), env={"A_PASSWORD": "canary-pw"}).code == 0
        assert all(basic("joe:canary-pw")["Authorization"] in head for head in server.heads)
    assert "A_PASSWORD" in modelpm("doctor", "--offline").stdout
