"""Verify where nothing can be written: on a read-only disk, as somebody else, on a full one. It says what it found."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from modelpm.store import Store
from tests.conftest import Ran
from tests.support.stores import damage, fixed, tmpfs

Modelpm = Callable[..., Ran]


def the_blob(home: Path) -> Path:
    store = Store(home / "store")
    ((sha256, _),) = store.blobs()
    return store.blob(sha256)


@pytest.mark.parametrize("options", [(), ("--quick",), ("tiny",), ("--subset", "1/1")])
def test_on_a_read_only_disk_it_goes_on_and_warns_once(
    modelpm: Modelpm, tmp_path: Path, options: tuple[str, ...]
) -> None:
    with tmpfs(tmp_path / "disk", "4m") as home:
        env = {"MODELPM_HOME": str(home)}
        assert modelpm("install", "tiny", env=env).code == 0
        log = (home / "audit" / "audit.jsonl").read_bytes()
        with fixed(home):
            ran = modelpm("verify", *options, "--json", env=env)
            document = json.loads(ran.stdout)
            assert (ran.code, [row["ok"] for row in document["items"]]) == (0, [True]), ran.stderr
            (warning,) = document["warnings"]
            assert warning.startswith("`verify` continues, but is not in the audit log: cannot record in ")
            assert modelpm("verify", *options, env=env).stderr.count("warning: ") == 1
        assert (home / "audit" / "audit.jsonl").read_bytes() == log
        assert modelpm("audit", "verify", env=env).code == 0


def test_what_it_finds_on_a_read_only_disk_is_its_exit_code(modelpm: Modelpm, tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "4m") as home:
        env = {"MODELPM_HOME": str(home)}
        assert modelpm("install", "tiny", env=env).code == 0
        damage(the_blob(home))
        with fixed(home):
            ran = modelpm("verify", env=env)
            assert ran.code == 4
            assert "tiny.gguf" in ran.stderr
            assert modelpm("verify", "--repair", env=env).code == 8  # what changes something is recorded, or not done
            assert modelpm("uninstall", "tiny", env=env).code == 8
        assert modelpm("verify", "--repair", env=env).code == 0


def test_on_a_full_disk_it_goes_on_too(modelpm: Modelpm, tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "4m") as home:
        env = {"MODELPM_HOME": str(home)}
        assert modelpm("install", "tiny", env=env).code == 0
        with pytest.raises(OSError, match="No space"):
            (home / "filler").write_bytes(bytes(4 << 20))
        assert shutil.disk_usage(home).free == 0
        ran = modelpm("verify", "--json", env=env)
        assert ran.code == 0, ran.stderr
        assert len(json.loads(ran.stdout)["warnings"]) == 1


def fill(disk: Path, size: int) -> None:
    """Use up the disk, to its last block or inode."""
    with pytest.raises(OSError, match="No space"):
        [(disk / f"filler{number}").write_bytes(bytes(size)) for number in range(1000)]
    with pytest.raises(OSError, match="No space"), (disk / "filler0").open("ab") as last:
        last.write(bytes(8 << 20))


@pytest.mark.parametrize("options", [("size=4m",), ("size=8m", "nr_inodes=400")], ids=["bytes", "inodes"])
@pytest.mark.parametrize("words", [("uninstall", "tiny"), ("prune",)], ids=["uninstall", "prune"])
def test_what_frees_space_works_where_there_is_none(
    modelpm: Modelpm, tmp_path: Path, words: tuple[str, ...], options: tuple[str, ...]
) -> None:
    with tmpfs(tmp_path / "disk", options[0].removeprefix("size="), *options[1:]) as home:
        env = {"MODELPM_HOME": str(home)}
        assert modelpm("install", "tiny", env=env).code == 0
        if words == ("prune",):
            (home / "env" / "models.lock").write_text("version = 1\n")
        fill(home, 2048 if options[1:] else 1 << 16)
        ran = modelpm(*words, "--yes", env=env)
        assert ran.code == 0, ran.stderr
        assert not list(Store(home / "store").blobs())
        assert modelpm("audit", "verify", env=env).code == 0
        for filler in home.glob("filler*"):
            filler.unlink()
        assert modelpm("install", "tiny", env=env).code == 0
        assert (home / "store" / "reserve").is_dir()


AS_SOMEBODY_ELSE = """
import json, os, sys
import modelpm
home, warm = sys.argv[1:]
with modelpm.Manager(home=warm, offline=True) as m:  # Python itself may be where only root can read
    m.install("tiny"), m.verify()
os.setgroups([]), os.setgid(4242), os.setuid(4242)
with modelpm.Manager(home=home, offline=True) as m:
    result = m.verify()
    print(json.dumps([[row.ok for row in result.rows], result.warnings]))
"""


def test_somebody_else_may_verify_what_they_can_read(modelpm: Modelpm, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("becoming somebody else needs root")
    with TemporaryDirectory() as place:
        home = Path(place)
        home.chmod(0o755)
        assert modelpm("install", "tiny", env={"MODELPM_HOME": str(home)}).code == 0
        command = [sys.executable, "-c", AS_SOMEBODY_ELSE, str(home), str(tmp_path / "warm")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    oks, (warning,) = json.loads(done.stdout)
    assert oks == [True]
    assert "not in the audit log" in warning


def test_what_is_there_already_is_there_on_a_read_only_disk_too(modelpm: Modelpm, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    with tmpfs(tmp_path / "disk", "4m") as home:
        env = {"MODELPM_HOME": str(home)}
        assert modelpm("install", "tiny", env=env).code == 0
        assert modelpm("init", env=env, cwd=project).code == 0
        assert modelpm("add", "tiny", env=env, cwd=project).code == 0
        with fixed(home):
            for words in (("install", "tiny"), ("--offline", "install", "tiny"), ("add", "tiny")):
                ran = modelpm(*words, env=env, cwd=project)
                assert ran.code == 0, ran.stderr
            assert modelpm("install", "tiny", "--as", "other", env=env).code == 8
            assert modelpm("add", "tiny", "--as", "other", env=env, cwd=project).code == 8
        the_blob(home).unlink()
        with fixed(home):
            ran = modelpm("install", "tiny", env=env)  # the view has the bytes
            assert ran.code == 0, ran.stderr
            assert "cannot be kept" in ran.stderr
        shutil.rmtree(home / "env" / "models" / "tiny")
        shutil.rmtree(project / "models" / "tiny")
        with fixed(home):
            assert modelpm("install", "tiny", env=env).code == 8
            assert modelpm("add", "tiny", env=env, cwd=project).code == 8
