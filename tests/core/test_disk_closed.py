"""What is closed to a user is named, with its owner and a command that opens it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Ran

Modelpm = Callable[..., Ran]
STRANGER = 54321
RIGHTS = "-dac_override,-dac_read_search,-fowner,-chown"
pytestmark = pytest.mark.skipif(
    not (hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("setpriv")),
    reason="only root can give files away, and only setpriv takes root's rights from it",
)


@pytest.fixture
def plain(clean_environ: dict[str, str], tmp_path: Path) -> Callable[..., Ran]:
    """Return what runs the command as a user to whom the files of others are closed."""
    prefix = ["setpriv", "--bounding-set", RIGHTS, "--inh-caps", RIGHTS]

    def run(*arguments: str, env: dict[str, str] | None = None) -> Ran:
        command = [*prefix, str(Path(sys.executable).with_name("modelpm")), *arguments]
        done = subprocess.run(
            command, env={**clean_environ, **(env or {})}, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


def give_away(path: Path, mode: int) -> None:
    os.chown(path, STRANGER, STRANGER)
    path.chmod(mode)


def test_the_file_that_is_closed_is_named_and_not_its_neighbor(modelpm: Modelpm, plain: Modelpm, home: Path) -> None:
    assert modelpm("install", "tiny").code == 0
    audit = home / "modelpm" / "audit"
    give_away(audit / "head", 0o600)
    ran = plain("uninstall", "tiny")
    assert ran.code == 8
    assert f"{audit / 'head'} belongs to {STRANGER}, and is closed to this user (Permission denied)" in ran.stderr
    assert f"hint: sudo chown -R root {audit}\n" in ran.stderr
    os.chown(audit / "head", 0, 0)  # what the hint does
    assert plain("uninstall", "tiny").code == 0


@pytest.mark.parametrize(
    "place", ["audit/head", "audit", "env/models.lock", "env", "store", "store/blobs", "config.toml"]
)
def test_doctor_finds_what_is_closed(modelpm: Modelpm, plain: Modelpm, home: Path, place: str) -> None:
    assert modelpm("install", "tiny").code == 0
    path = home / "modelpm" / place
    if not path.exists():
        path.write_text("")
    give_away(path, 0o700 if path.is_dir() else 0o600)
    ran = plain("doctor", "--offline")
    assert (ran.code, "report it" in ran.stdout + ran.stderr) == (2 if place == "config.toml" else 1, False)
    assert f"{path} belongs to {STRANGER}" in ran.stdout + ran.stderr
    assert "sudo chown -R root " in ran.stdout + ran.stderr


def test_a_file_of_ours_that_is_closed_is_opened_with_chmod(modelpm: Modelpm, plain: Modelpm, home: Path) -> None:
    assert modelpm("install", "tiny").code == 0
    lock = home / "modelpm" / "env" / "models.lock"
    lock.chmod(0)
    ran = plain("list")
    assert (ran.code, f"the file {lock} is closed (Permission denied)" in ran.stderr) == (8, True)
    assert f"hint: chmod -R u+rwX {lock}\n" in ran.stderr


def test_a_home_that_is_not_there_asks_for_a_place(plain: Modelpm, tmp_path: Path) -> None:
    above = tmp_path / "nobody"
    above.mkdir()
    give_away(above, 0o755)
    ran = plain("install", "tiny", env={"HOME": str(above / "nonexistent"), "MODELPM_HOME": ""})
    assert ran.code == 8
    assert f"{above} belongs to {STRANGER}" in ran.stderr
    assert "choose a folder that this user can write: export MODELPM_HOME=/path/to/folder" in ran.stderr
    assert "chown" not in ran.stderr


def test_only_the_folder_is_closed_and_that_is_what_is_told(plain: Modelpm, home: Path) -> None:
    folder = home / "modelpm"
    folder.mkdir()
    give_away(folder, 0o700)
    ran = plain("list")
    assert ran.code == 2
    assert f"{folder} belongs to {STRANGER}, and is closed to this user" in ran.stderr
    assert f"sudo chown -R root {folder}" in ran.stderr


@pytest.mark.parametrize(
    "verb", ["prune -y", "store size", "why tiny", "uninstall tiny", "install tiny --as two", "doctor"]
)
def test_no_verb_ends_in_a_raw_error_of_the_system(modelpm: Modelpm, plain: Modelpm, home: Path, verb: str) -> None:
    assert modelpm("install", "tiny").code == 0
    give_away(home / "modelpm" / "store" / "projects", 0o700)
    ran = plain(*verb.split(), "--offline")
    assert "internal" not in ran.stderr
    assert "report it" not in ran.stderr + ran.stdout
    assert f"sudo chown -R root {home / 'modelpm' / 'store' / 'projects'}" in ran.stderr + ran.stdout


def test_a_store_of_others_that_is_closed_is_named(modelpm: Modelpm, plain: Modelpm, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert modelpm("install", "tiny", env={"MODELPM_HOME": str(other)}).code == 0
    give_away(other / "store", 0o700)
    ran = plain("doctor", "--offline", env={"MODELPM_STORE_PATH": str(other / "store")})
    assert (ran.code, f"chmod -R go+rX {other / 'store'}" in ran.stdout) == (0, True)


def test_a_disk_that_is_only_read_is_no_internal_fault(
    modelpm: Modelpm, home: Path, clean_environ: dict[str, str]
) -> None:
    assert modelpm("install", "tiny").code == 0
    tool = Path(sys.executable).with_name("modelpm")
    mounts = f"mount --bind {home} {home} && mount -o remount,ro,bind {home} && {tool} doctor --offline"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", mounts], env=clean_environ, capture_output=True, text=True, check=False
    )
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip("nothing can be mounted here")
    assert "report it" not in done.stdout + done.stderr
    assert "Read-only file system" in done.stdout
    assert "ok    access" in done.stdout


def test_the_queue_of_another_user_is_named(modelpm: Modelpm, plain: Modelpm, home: Path) -> None:
    assert modelpm("queue", "add", "tiny").code == 0
    jobs = home / "modelpm" / "queue" / "jobs.db"
    give_away(jobs, 0o644)
    ran = plain("queue", "add", "tiny")
    assert (ran.code, f"{jobs} belongs to {STRANGER}" in ran.stderr) == (8, True), ran.stderr


def test_a_name_without_a_folder_is_not_looked_for_in_the_current_one(
    modelpm: Modelpm, plain: Modelpm, home: Path, tmp_path: Path
) -> None:
    assert modelpm("search", "tiny").code == 0
    cache = home / "modelpm" / "cache"
    give_away(cache, 0o755)
    ran = plain("cache", "clean")
    assert (ran.code, str(cache) in ran.stderr, f"{tmp_path}/search" in ran.stderr) == (8, True, False), ran.stderr
