"""Whatever stands where a file is expected: it is read within a cap, or refused at once."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from modelpm.api.folder_catalog import read_text as read_catalog
from modelpm.disk.reading import read_bytes, read_text
from modelpm.disk.system import UnfitError
from modelpm.environment.ledger import NAME, read_ledger
from modelpm.errors import UsageError
from tests.conftest import Ran

Modelpm = Callable[..., Ran]
ENDLESS = Path("/dev/zero")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="no such files there")


def plant(path: Path, kind: str) -> None:
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(ENDLESS)


def test_reading_leaves_no_descriptor_open(tmp_path: Path) -> None:
    def lowest() -> int:
        fd = os.open(tmp_path, os.O_RDONLY)
        os.close(fd)
        return fd

    (tmp_path / "file").write_bytes(b"bytes")
    before = lowest()
    assert read_bytes(tmp_path / "file", 100, follow=True) == b"bytes"
    with pytest.raises(UnfitError, match="larger than 4 bytes"):
        read_bytes(tmp_path / "file", 4, follow=True)
    assert lowest() == before


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_not_a_regular_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    plant(path, kind)
    with pytest.raises(UnfitError, match="not a regular file"):
        read_bytes(path, 100, follow=True)


def test_a_symlink_is_followed_only_where_that_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "link"
    path.symlink_to("file")
    (tmp_path / "file").write_bytes(b"x")
    assert read_bytes(path, 1, follow=True) == b"x"
    with pytest.raises(OSError, match="symbolic"):
        read_bytes(path, 1)


def test_a_file_that_grows_while_it_is_read_stays_within_the_cap(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)
    assert read_bytes(path, 100) == b"x" * 100
    stop = threading.Event()

    def grow() -> None:
        with path.open("ab") as file:
            while not stop.is_set() and file.tell() < 1 << 25:
                file.write(b"x" * (1 << 16))

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        with pytest.raises(UnfitError, match="larger than 99 bytes"):
            read_bytes(path, 99)
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"a\n\xff", "not UTF-8 (at line 2)"), ("a".encode("utf-16"), "UTF-16: save it as UTF-8"), (b"x" * 101, "larger")],
)
def test_a_text_that_cannot_be_used_is_told_in_words(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(UsageError) as caught:
        read_text(path, 100, code="some_code")
    assert said in caught.value.message
    assert (caught.value.code, str(path) in caught.value.message) == ("some_code", True)
    assert read_text(tmp_path / "none", 100, code="x") is None


PROJECT = 'schema = 1\n[models]\nchat = "core/tiny"\n'
PLACES = {
    "models.lock": ("list", "path chat", "lock --check", "sync --frozen", "verify"),
    "models.toml": ("sync", "lock --check", "add tiny --as other"),
    "pyproject.toml": ("list", "path chat"),
    "models/.modelpm.json": ("sync --check", "list", "sync --frozen --offline"),
}


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize("place", PLACES)
def test_a_clone_whose_files_never_end_holds_nobody_up(modelpm: Modelpm, tmp_path: Path, place: str, kind: str) -> None:
    project = tmp_path / "clone"
    project.mkdir()
    (project / "models.toml").write_text(PROJECT)
    assert modelpm("lock", cwd=project).code == 0
    plant(project / place, kind)
    for verb in PLACES[place]:
        ran = modelpm(*verb.split(), cwd=project, timeout=20)
        assert ran.code != 1, ran.stderr
        if place in {"models.lock", "models.toml"}:
            assert (ran.code, f"{place} cannot be used: it is not a regular file" in ran.stderr) == (2, True)


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize("place", ["config.toml", "env/models.lock", "store/VERSION", "env/models/.modelpm.json"])
def test_a_home_whose_files_never_end_is_told_of(modelpm: Modelpm, home: Path, place: str, kind: str) -> None:
    assert modelpm("install", "tiny").code == 0
    plant(home / "modelpm" / place, kind)
    for verb in ("list", "doctor --offline", "install tiny --as other", "verify"):
        ran = modelpm(*verb.split(), timeout=20)
        assert "internal" not in ran.stderr + ran.stdout
        assert "report it" not in ran.stderr + ran.stdout


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_token_file_that_never_ends_is_no_token(modelpm: Modelpm, home: Path, kind: str) -> None:
    plant(home / "token", kind)
    env = {"HF_TOKEN_PATH": str(home / "token"), "HF_ENDPOINT": "http://127.0.0.1:9", "MODELPM_RETRIES": "0"}
    assert modelpm("install", "hf://acme/x", env=env, timeout=20).code == 6


def test_a_ledger_is_read_with_a_byte_order_mark_and_never_through_a_link(tmp_path: Path) -> None:
    key = '{"version": 1, "entries": {"m/a": ["00", "copy", 1, 2]}}'
    (tmp_path / NAME).write_text("\ufeff" + key)
    assert list(read_ledger(tmp_path)) == ["m/a"]
    (tmp_path / NAME).rename(tmp_path / "elsewhere")
    (tmp_path / NAME).symlink_to("elsewhere")
    assert read_ledger(tmp_path) == {}


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_a_catalog_file_that_is_none_is_refused(tmp_path: Path, kind: str) -> None:
    plant(tmp_path / "a.toml", kind)
    with pytest.raises(UsageError, match="not a regular file"):
        read_catalog(tmp_path / "a.toml")
