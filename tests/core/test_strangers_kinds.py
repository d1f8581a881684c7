"""A stranger's plugin of each kind, installed, does its work through the command line."""

import hashlib
import json
import subprocess
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from modelpm.plugins import kinds
from tests.core.conftest import STRANGERS
from tests.support.catalogs import file, model, release, variant, write_catalog
from tests.support.installations import Installation
from tests.support.models import holding
from tests.support.raw import always, answer, raw_server

DATA = holding("tiny.gguf", b"weights" * 100)


def run(
    place: Installation, home: Path, *arguments: str, code: int = 0, env: Mapping[str, str] = MappingProxyType({})
) -> "subprocess.CompletedProcess[str]":
    done = place.run("modelpm", *arguments, home=home, **env)
    assert done.returncode == code, done.stderr
    return done


def shown(place: Installation, home: Path, name: str, file: str) -> bytes:
    return Path(run(place, home, "path", name, file).stdout.strip()).read_bytes()


def test_there_is_one_of_each_kind() -> None:
    good = [path for path in STRANGERS if not path.name.startswith(("broken", "claims", "misspelt", "raises"))]
    texts = "".join((path / "pyproject.toml").read_text() for path in good)
    assert [kind for kind in kinds.NAMES if f'entry-points."modelpm.{kind}.v1"' not in texts] == []


@pytest.mark.parametrize("promised", [DATA, b"other bytes"])
def test_a_digest_is_asked_where_a_source_promises_it(
    among_strangers: Installation, tmp_path: Path, promised: bytes
) -> None:
    (tmp_path / "tiny.gguf").write_bytes(DATA)
    (tmp_path / "B2SUMS").write_text(f"{hashlib.blake2b(promised).hexdigest()}  tiny.gguf\n")
    arguments = "install", f"b2sums://{tmp_path}", "--as", "tiny"
    if promised is DATA:
        run(among_strangers, tmp_path, *arguments)
        assert shown(among_strangers, tmp_path, "tiny", "tiny.gguf") == DATA
    else:
        assert "blake2b" in run(among_strangers, tmp_path, *arguments, code=4).stderr


def archived(**files: bytes) -> bytes:
    made = b"!<arch>\n"
    for name, data in files.items():
        made += f"{name}/".ljust(16).encode() + b" " * 32 + str(len(data)).ljust(10).encode() + b"`\n"
        made += data + b"\n" * (len(data) % 2)
    return made


@pytest.mark.parametrize("kind", ["ar", "are"])
def test_an_unpacker_is_asked_where_a_catalog_names_it(
    among_strangers: Installation, tmp_path: Path, kind: str
) -> None:
    packed = archived(**{"tiny.gguf": DATA, "note.json": b"{}"})
    (tmp_path / "tiny.ar").write_bytes(packed)
    row = file("tiny.ar", size=len(packed), sha256=hashlib.sha256(packed).hexdigest(), unpack=kind)
    row["sources"] = [f"file://{tmp_path}/tiny.ar"]
    variants = [variant(file=[row], upstream=None)]
    shelf = write_catalog(tmp_path / "shelf", [model("small", release=[release(variant=variants)])])
    run(among_strangers, tmp_path, "config", "set", "catalogs.shelf", str(shelf))
    assert "needs a plugin" in run(among_strangers, tmp_path, "catalog", "audit", "shelf").stdout
    if kind == "ar":
        run(among_strangers, tmp_path, "install", "shelf/small")
        assert shown(among_strangers, tmp_path, "small", "tiny.gguf") == DATA
    else:
        done = run(among_strangers, tmp_path, "install", "shelf/small", code=2)
        assert "no plugin serves the kind of archive `are`" in done.stderr


def test_a_catalog_names_models(among_strangers: Installation, tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf").write_bytes(DATA)
    row = ["team-a", 'Our "A"', "mit", "gguf", f"file://{tmp_path}/tiny.gguf", str(len(DATA))]
    line = ",".join(json.dumps(cell).replace("\\", '"') for cell in [*row, hashlib.sha256(DATA).hexdigest()])
    (tmp_path / "models.csv").write_text(f"id,title,license,format,url,size,sha256\n{line}\n")
    run(among_strangers, tmp_path, "config", "set", "catalog.sheet.file", str(tmp_path / "models.csv"))
    assert 'Our "A"' in run(among_strangers, tmp_path, "search", "team").stdout
    run(among_strangers, tmp_path, "install", "team-a")
    assert shown(among_strangers, tmp_path, "team-a", "tiny.gguf") == DATA
    (row,) = json.loads(run(among_strangers, tmp_path, "licenses", "--json").stdout)["items"]
    assert row == {"license": "mit", "models": ["team-a"]}
    assert run(among_strangers, tmp_path, "licenses").stdout == "mit: team-a\n"


def test_a_listener_shows_progress(among_strangers: Installation, tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf").write_bytes(DATA)
    done = run(among_strangers, tmp_path, "--progress-style", "tenths", "install", f"file://{tmp_path}/tiny.gguf")
    assert "'tiny': 100 %" in done.stderr


def test_a_store_of_secrets_is_asked_where_the_user_says_so(among_strangers: Installation, tmp_path: Path) -> None:
    with raw_server(always(answer("200 OK", DATA))) as server:
        (tmp_path / "tokens.txt").write_text(f"{server.url('')} canary-token\n")
        where = {"MODELPM_CREDENTIALS": "tokens", "MODELPM_CREDENTIALS_TOKENS_FILE": str(tmp_path / "tokens.txt")}
        done = run(among_strangers, tmp_path, "install", server.url("/tiny.gguf"), env=where)
        assert all("Authorization: Bearer canary-token" in head for head in server.heads)
    assert "canary-token" not in done.stdout + done.stderr


def test_an_attestor_is_asked_where_a_signature_is_required(among_strangers: Installation, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "tiny.gguf").write_bytes(DATA)
    key, number = Ed25519PrivateKey.generate(), b"12345678"
    lines = f"SHA256 (tiny.gguf) = {hashlib.sha256(DATA).hexdigest()}\n".encode()
    signature = b64encode(b"Ed" + number + key.sign(lines))
    public = b64encode(b"Ed" + number + key.public_key().public_bytes_raw())
    (model / "SHA256.sig").write_bytes(b"untrusted comment: x\n" + signature + b"\n" + lines)
    (tmp_path / "my.pub").write_bytes(b"untrusted comment: y\n" + public + b"\n")
    where = {"MODELPM_REQUIRE_SIGNATURE": "1", "MODELPM_SIGNATURE_KEYS": str(tmp_path / "my.pub")}
    run(among_strangers, tmp_path, "install", f"file://{model}", "--as", "tiny", env=where)
    done = run(among_strangers, tmp_path, "verify", "--signatures", env=where)
    assert f"tiny is signed: signify key {number.hex()}" in done.stderr
    (model / "README.md").write_text("# not signed")
    done = run(among_strangers, tmp_path, "install", f"file://{model}:all", "--as", "other", code=4, env=where)
    assert "README.md: not what was signed" in done.stderr
