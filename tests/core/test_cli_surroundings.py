"""Started where a folder, a home or a locale is missing: told as what it is, never as a fault of modelpm."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from tests.conftest import Ran

Modelpm = Callable[..., Ran]
Start = Callable[..., Ran]
COMMAND = str(Path(sys.executable).with_name("modelpm"))
# A user of whom the system knows nothing, as in many containers: only another account could really be one.
NOBODY = """
import pwd, sys
def unknown(number):
    raise KeyError(number)
pwd.getpwuid = unknown
sys.argv = ["modelpm", *sys.argv[1:]]
from modelpm.cli import main
main()
"""
ASCII = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}


def start(command: Sequence[str], environ: Mapping[str, str], cwd: Path) -> Ran:
    done = subprocess.run(command, env=environ, cwd=cwd, capture_output=True, check=False)
    assert b"internal" not in done.stderr
    assert b"Traceback" not in done.stderr
    return Ran(done.returncode, os.fsdecode(done.stdout), os.fsdecode(done.stderr))


# ---------------------------------------------------------------- the home


def nobody(tmp_path: Path, *args: str, **environ: str) -> Ran:
    return start([sys.executable, "-c", NOBODY, *args], {"PATH": os.environ["PATH"], **environ}, tmp_path)


def test_without_a_home_modelpm_asks_for_one(tmp_path: Path) -> None:
    ran = nobody(tmp_path, "list")
    assert ran.code == 2
    assert ran.stderr.startswith("error: this user has no home folder: ")
    assert "hint: set MODELPM_HOME to " in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_a_home_a_folder_of_its_own_is_enough(tmp_path: Path) -> None:
    home = str(tmp_path / "modelpm")
    assert nobody(tmp_path, "install", "tiny", MODELPM_HOME=home).code == 0
    assert nobody(tmp_path, "path", "tiny", MODELPM_HOME=home).stdout.startswith(home)
    assert [path.name for path in tmp_path.iterdir()] == ["modelpm"]


@pytest.mark.parametrize("name", ["MODELPM_HOME", "MODELPM_STORE", "MODELPM_STORE_PATH", "MODELPM_CACERT"])
def test_without_a_home_a_tilde_is_refused_where_it_stands(tmp_path: Path, name: str) -> None:
    ran = nobody(tmp_path, "list", **{"MODELPM_HOME": str(tmp_path), name: "~/x"})
    assert ran.code == 2
    assert name in ran.stderr
    assert "must be an absolute path" in ran.stderr


def test_a_file_is_no_home(modelpm: Modelpm, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for args in (["list"], ["install", "tiny"], ["config", "set", "network.jobs", "3"]):
        ran = modelpm(*args, env={"MODELPM_HOME": str(file)})
        assert (ran.code, ran.stderr.splitlines()[0]) == (2, f"error: {file} is not a folder")
        assert "MODELPM_HOME" in ran.stderr


@pytest.mark.forbidden
def test_a_home_that_cannot_be_made_names_the_variable(clean_environ: dict[str, str], tmp_path: Path) -> None:
    del clean_environ["MODELPM_HOME"]
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    ran = start([COMMAND, "install", "tiny"], {**clean_environ, "HOME": str(closed / "me")}, tmp_path)
    assert ran.code == 8
    assert "MODELPM_HOME" in ran.stderr


# ---------------------------------------------------------------- the current folder


@pytest.fixture
def gone(clean_environ: dict[str, str], modelpm: Modelpm, tmp_path: Path) -> Start:
    """Return what starts the command, with one model installed, in a folder that is removed before it begins."""
    assert modelpm("install", "tiny").code == 0

    def run(*args: str, **environ: str) -> Ran:
        folder = tmp_path / "gone"
        folder.mkdir()
        command = ["sh", "-c", 'rmdir "$PWD" && exec "$0" "$@"', COMMAND, *args]
        return start(command, {**clean_environ, **environ}, folder)

    return run


def test_what_needs_no_folder_works_where_it_is_gone(gone: Start, home: Path) -> None:
    for args in (["list"], ["path", "tiny"], ["verify"], ["-C", str(home), "list"], ["install", "tiny"]):
        assert gone(*args).code == 0


@pytest.mark.parametrize(
    "args",
    [
        ["-C", "x", "list"],
        ["install", "tiny", "--dir", "out"],
        ["lock"],
        ["init"],
        ["export", "-o", "out"],
        ["import", "x"],
        ["show", "file://x"],
        ["--cacert", "x", "list"],
    ],
)
def test_what_needs_the_folder_says_that_it_is_gone(gone: Start, args: Sequence[str]) -> None:
    assert gone(*args).code == 2


def test_a_relative_home_needs_the_folder(gone: Start) -> None:
    assert "MODELPM_HOME is `x`" in gone("list", MODELPM_HOME="x").stderr


# ---------------------------------------------------------------- names and locales


def test_a_home_that_is_no_text_works_all_the_way(clean_environ: dict[str, str], tmp_path: Path) -> None:
    environ = {**clean_environ, "MODELPM_HOME": os.fsdecode(os.fsencode(tmp_path) + b"/od\xffd")}
    for args in (["install", "tiny"], ["verify"], ["path", "tiny"], ["why", "tiny"], ["uninstall", "tiny"]):
        assert start([COMMAND, *args], environ, tmp_path).code == 0


def test_a_locale_without_a_files_letters_is_named_as_the_reason(modelpm: Modelpm, tmp_path: Path) -> None:
    (tmp_path / "mod").mkdir()
    (tmp_path / "mod" / "é.bin").write_bytes(b"x")
    assert modelpm("install", f"file://{tmp_path}/mod").code == 0
    assert modelpm("list", env=ASCII).code == 0
    for args in (["path", "mod"], ["verify"]):
        ran = modelpm(*args, env=ASCII)
        assert ran.code == 8
        assert ran.stderr.startswith("error: this locale, whose characters are ascii, ")
        assert "LC_ALL=C.UTF-8" in ran.stderr
    assert json.loads(modelpm("path", "mod", "--json", env=ASCII).stdout)["errors"][0]["code"] == "encoding"
    assert modelpm("path", "mod").code == 0


def test_what_the_locale_cannot_name_is_not_taken_out_by_half(modelpm: Modelpm, home: Path, tmp_path: Path) -> None:
    (tmp_path / "mod").mkdir()
    (tmp_path / "mod" / "a.bin").write_bytes(b"y")
    (tmp_path / "mod" / "é.bin").write_bytes(b"x")
    spec = f"file://{tmp_path}/mod:all"
    project = tmp_path / "p"
    project.mkdir()
    assert modelpm("install", spec, "--as", "mod").code == 0
    assert modelpm("init", cwd=project).code == 0
    assert modelpm("add", spec, "--as", "mod", cwd=project).code == 0

    def everything() -> dict[str, bytes]:
        files = [p for folder in (home / "modelpm" / "env", project) for p in folder.rglob("*") if p.is_file()]
        return {str(p): p.read_bytes() for p in files}

    before = everything()
    for args in (["-g", "uninstall", "mod"], ["remove", "mod"]):
        ran = modelpm(*args, env=ASCII, cwd=project)
        assert ran.code == 8
        assert "LC_ALL=C.UTF-8" in ran.stderr
        assert everything() == before
    (project / "models.toml").write_text("[models]\n")
    changed = everything()
    assert modelpm("sync", "--exact", env=ASCII, cwd=project).code == 8
    assert everything() == changed
    assert modelpm("sync", "--exact", cwd=project).code == 0
    assert modelpm("uninstall", "mod").code == 0
    assert not [path for path in everything() if path.endswith(".bin")]


def test_the_doctor_names_the_locale_as_the_reason(modelpm: Modelpm, tmp_path: Path) -> None:
    (tmp_path / "mod").mkdir()
    (tmp_path / "mod" / "é.bin").write_bytes(b"x")
    assert modelpm("install", f"file://{tmp_path}/mod").code == 0
    ran = modelpm("doctor", "--offline", env=ASCII)
    assert ran.code == 1
    found = ran.stdout[ran.stdout.index("fail  models") :]
    assert "this locale, whose characters are ascii, " in found
    assert "choose one with UTF-8: LC_ALL=C.UTF-8" in found
    assert "report" not in ran.stdout


def test_a_home_beyond_the_locale_works_all_the_way(clean_environ: dict[str, str], tmp_path: Path) -> None:
    environ = {**clean_environ, **ASCII, "MODELPM_HOME": str(tmp_path / "é")}
    for args in (["install", "tiny"], ["verify"], ["path", "tiny"], ["uninstall", "tiny"]):
        assert start([COMMAND, *args], environ, tmp_path).code == 0


def test_a_setting_that_is_no_text_is_refused(clean_environ: dict[str, str], tmp_path: Path) -> None:
    ran = start([COMMAND, "config", "set", "user", "b\udcff"], clean_environ, tmp_path)
    assert ran.code == 2
    assert "is not UTF-8" in ran.stderr
