"""Bundles where something stands already, or is cut short: nothing is lost, and no piece passes for a whole."""

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from modelpm.bundle.target import held
from modelpm.store import Store
from tests.conftest import Ran
from tests.support.stores import fixed, tmpfs

Modelpm = Callable[..., Ran]

WITH_LITTLE_MEMORY = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
from modelpm.__main__ import main
raise SystemExit(main())
"""
WITH_SMALL_FILES = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 15, 1 << 15))
from modelpm.__main__ import main
raise SystemExit(main())
"""
HOLDING = """
import sys, time
from pathlib import Path
from modelpm.bundle.target import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def stocked(modelpm: Modelpm, tmp_path: Path) -> dict[str, str]:
    env = {"MODELPM_HOME": str(tmp_path / "home")}
    assert modelpm("install", "tiny", env=env).code == 0
    return env


def the_blob(stocked: dict[str, str]) -> Path:
    store = Store(Path(stocked["MODELPM_HOME"], "store"))
    ((sha256, _),) = store.blobs()
    return store.blob(sha256)


def the_tiny(stocked: dict[str, str]) -> int:
    return min(size for _, size in Store(Path(stocked["MODELPM_HOME"], "store")).blobs())


def code_of(ran: Ran) -> tuple[int, str]:
    return ran.code, json.loads(ran.stdout)["errors"][0]["code"]


@pytest.mark.parametrize("kind", ["file", "hardlink", "symlink"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("x.tar", ()),
        ("x.tar.001", ("--split", "1M")),
        ("x.tar.partial", ()),
        ("x.tar.001.partial", ("--split", "1M")),
        ("x.tar.003", ("--split", "1M")),
    ],
)
def test_what_is_not_ours_is_refused_and_stays(
    modelpm: Modelpm, stocked: dict[str, str], tmp_path: Path, kind: str, name: str, options: tuple[str, ...]
) -> None:
    blob = the_blob(stocked)
    before = blob.read_bytes()
    there = tmp_path / name
    if kind == "file":
        there.write_text("precious")
    elif kind == "hardlink":
        os.link(blob, there)
    else:
        there.symlink_to(blob)
    content = there.read_bytes()
    ran = modelpm("export", "--bundle", "x.tar", *options, "--json", env=stocked)
    assert code_of(ran) == (8, "in_the_way"), ran.stderr
    assert there.read_bytes() == content
    assert blob.read_bytes() == before
    assert sorted(p.name for p in tmp_path.glob("*x.tar*")) == [name]


def test_the_older_bundle_of_that_name_goes(modelpm: Modelpm, stocked: dict[str, str], tmp_path: Path) -> None:
    for options in ((), ("--split", "1M"), (), ("--split", "2M")):
        assert modelpm("export", "--bundle", "s.tar", *options, env=stocked).code == 0
        assert [p.name for p in tmp_path.glob("*s.tar*")] == ["s.tar.001" if options else "s.tar"]


def test_a_draft_that_is_so_new_that_nothing_is_in_it_is_ours(
    modelpm: Modelpm, stocked: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "x.tar.partial").touch()
    assert modelpm("-g", "export", "--bundle", str(tmp_path / "x.tar"), env=stocked).code == 0
    assert not (tmp_path / "x.tar.partial").exists()


def test_a_part_with_a_second_name_is_replaced_and_not_written_into(
    modelpm: Modelpm, stocked: dict[str, str], tmp_path: Path
) -> None:
    part, kept = tmp_path / "s.tar.001", tmp_path / "kept"
    assert modelpm("export", "--bundle", "s.tar", "--split", "1M", env=stocked).code == 0
    data = part.read_bytes()
    with part.open("r+b") as file:
        file.seek(2000)
        file.write(b"\xff")
    os.link(part, kept)
    old = kept.read_bytes()
    assert modelpm("export", "--bundle", "s.tar", "--split", "1M", env=stocked).code == 0
    assert (part.read_bytes(), kept.read_bytes()) == (data, old)


def test_a_cut_bundle_is_told_at_every_length(modelpm: Modelpm, stocked: dict[str, str], tmp_path: Path) -> None:
    assert modelpm("export", "--bundle", "s.tar", env=stocked).code == 0
    data = (tmp_path / "s.tar").read_bytes()
    for size in (1, 11, 100, 300, 511, 512, 600, 1024, len(data) // 2, len(data) - 1600):
        (tmp_path / "cut.tar").write_bytes(data[:size])
        ran = modelpm("import", "cut.tar", "--json", env={"MODELPM_HOME": str(tmp_path / "other")})
        assert ran.code == 4, (size, ran.stdout, ran.stderr)
        assert json.loads(ran.stdout)["errors"][0]["code"] in {"no_bundle", "bundle_incomplete"}
    (tmp_path / "other.tar").write_bytes(data[:-1024])  # only the end itself is missing
    assert modelpm("import", "other.tar", env={"MODELPM_HOME": str(tmp_path / "other")}).code == 0


def test_what_claims_to_be_huge_takes_no_memory(tmp_path: Path) -> None:
    folder = tmp_path / "b"
    (folder / "blobs" / "sha256").mkdir(parents=True)
    with (folder / "models.lock").open("wb") as file:
        file.truncate(6 << 30)
    note = tarfile.TarInfo("note")
    note.type, note.size = tarfile.XHDTYPE, 3 << 30
    with (tmp_path / "note.tar").open("wb") as file:
        file.write(note.tobuf(tarfile.GNU_FORMAT))
        file.truncate(3 << 30)
    for source, code in (("b", 2), ("note.tar", 4)):
        command = [sys.executable, "-c", WITH_LITTLE_MEMORY, "import", source]
        env = {**os.environ, "MODELPM_HOME": str(tmp_path / "home")}
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr


def test_a_bundle_packed_again_with_notes_is_read(modelpm: Modelpm, stocked: dict[str, str], tmp_path: Path) -> None:
    assert modelpm("export", "--bundle", "s.tar", env=stocked).code == 0
    with tarfile.open(tmp_path / "s.tar") as old, tarfile.open(tmp_path / "t.tar", "w") as new:
        for member in old:
            member.pax_headers = {"mtime": "1.5"}
            file = old.extractfile(member)
            assert file is not None
            new.addfile(member, io.BytesIO(file.read()))
    assert modelpm("import", "t.tar", env={"MODELPM_HOME": str(tmp_path / "other")}).code == 0


def test_an_interrupted_bundle_is_not_taken_for_loose_files(
    modelpm: Modelpm, stocked: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "dir").mkdir()
    assert modelpm("export", "--bundle", "dir", env=stocked).code == 0
    for last in ("models.lock", "index.json"):
        (tmp_path / "dir" / last).unlink()
    (tmp_path / "stick").mkdir()
    assert modelpm("export", "--bundle", "stick/s.tar", "--split", "1M", env=stocked).code == 0
    part = tmp_path / "stick" / "s.tar.001"
    other = {"MODELPM_HOME": str(tmp_path / "other")}
    (tmp_path / "stick" / "s.tar.002").write_bytes(b"x")
    for source in ("dir", "stick/s.tar.002"):
        assert code_of(modelpm("import", source, "--json", env=other)) == (4, "bundle_incomplete"), source
    part.rename(tmp_path / "stick" / "s.tar.001.partial")
    assert code_of(modelpm("import", "stick", "--json", env=other)) == (4, "bundle_incomplete")
    assert list(Store(tmp_path / "other" / "store").blobs()) == []


def test_later_parts_without_the_first_are_not_taken_for_loose_files(
    modelpm: Modelpm, stocked: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "big").mkdir()
    (tmp_path / "big" / "big.bin").write_bytes(os.urandom(2_500_000))
    assert modelpm("install", f"file://{tmp_path / 'big'}", env=stocked).code == 0
    for folder in ("stick", "dir"):
        (tmp_path / folder).mkdir()
    assert modelpm("export", "--bundle", "stick/s.tar", "--split", "1M", env=stocked).code == 0
    assert modelpm("export", "--bundle", "dir", "--split", "1M", env=stocked).code == 0
    (tmp_path / "stick" / "s.tar.001").unlink()
    (lost,) = (tmp_path / "dir").rglob("*.001")
    lost.unlink()
    other = {"MODELPM_HOME": str(tmp_path / "other")}

    def refused(source: Path, missing: str) -> None:
        ran = modelpm("import", str(source), "--json", env=other)
        assert code_of(ran)[0] == 4
        assert f"{missing} is missing" in json.loads(ran.stdout)["errors"][0]["message"]

    for source in (tmp_path / "stick", tmp_path / "stick" / "s.tar.002"):
        refused(source, "s.tar.001")
    refused(tmp_path / "dir", lost.name)
    refused(lost.parent, lost.name)
    (tmp_path / "stick" / "s.tar.002").unlink()
    refused(tmp_path / "stick", "s.tar.001")
    assert {size for _, size in Store(tmp_path / "other" / "store").blobs()} <= {the_tiny(stocked)}


def test_files_that_end_in_a_number_are_not_taken_for_a_bundle(modelpm: Modelpm, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    for name in ("step.100", "step.200", "short.003", "model.bin"):
        (tmp_path / "d" / name).write_text(name)
    ran = modelpm("import", "d", "--json", env={"MODELPM_HOME": str(tmp_path / "other")})
    assert [row["file"] for row in json.loads(ran.stdout)["items"]] == ["model.bin"]
    assert "skipped" in ran.stdout


def test_unfinished_files_are_no_files_of_a_model(modelpm: Modelpm, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    for name in ("a.bin", "b.bin.partial", ".modelpm-1.tmp"):
        (tmp_path / "d" / name).write_text(name)
    ran = modelpm("import", "d", "--json", env={"MODELPM_HOME": str(tmp_path / "other")})
    assert [row["file"] for row in json.loads(ran.stdout)["items"]] == ["a.bin"]


@pytest.mark.parametrize("name", ["models.toml", "models.lock"])
def test_a_projects_lock_is_not_replaced(modelpm: Modelpm, stocked: dict[str, str], tmp_path: Path, name: str) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / name).write_text("version = 1\n" if name == "models.lock" else "")
    (tmp_path / "p" / "blobs").mkdir()
    ran = modelpm("-g", "export", "--bundle", ".", "--json", env=stocked, cwd=tmp_path / "p")
    assert code_of(ran) == (8, "in_the_way")
    assert sorted(p.name for p in (tmp_path / "p").iterdir()) == sorted(["blobs", name])


@pytest.mark.parametrize("name", ["index.json", "oci-layout", ".modelpm.json"])
def test_a_folder_of_something_else_is_left_alone(
    modelpm: Modelpm, stocked: dict[str, str], tmp_path: Path, name: str
) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / name).write_text("precious")
    ran = modelpm("-g", "export", "--bundle", "p", "--json", env=stocked)
    assert code_of(ran) == (8, "in_the_way")
    assert {p.name: p.read_text() for p in (tmp_path / "p").iterdir()} == {name: "precious"}


def test_an_empty_file_may_become_a_bundle(modelpm: Modelpm, stocked: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "x.tar").touch()  # as mktemp makes it
    assert modelpm("export", "--bundle", "x.tar", env=stocked).code == 0


@pytest.mark.parametrize("folder", [False, True])
def test_two_at_once_are_told_who_the_other_is(
    modelpm: Modelpm, stocked: dict[str, str], tmp_path: Path, folder: bool
) -> None:
    target = tmp_path / "s.tar"
    if folder:
        target.mkdir()
    with held(target):
        for options in ((), ("--split", "1M")):
            ran = modelpm("export", "--bundle", "s.tar", *options, "--json", env=stocked)
            assert code_of(ran) == (8, "in_use")
            assert f"process {os.getpid()}" in json.loads(ran.stdout)["errors"][0]["message"]
    with subprocess.Popen([sys.executable, "-c", HOLDING, str(target)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert modelpm("export", "--bundle", "s.tar", env=stocked).code == 0  # a dead one keeps nobody out
    assert not list(tmp_path.rglob(".modelpm-*s.tar.lock"))


@pytest.mark.parametrize("target", ["disk", "disk/s.tar"])
def test_a_full_disk_of_a_bundle_is_told_with_its_own_cure(
    modelpm: Modelpm, stocked: dict[str, str], tmp_path: Path, target: str
) -> None:
    with tmpfs(tmp_path / "disk", "64k") as disk:
        ran = modelpm("export", "--bundle", target, "--json", env=stocked)
        assert code_of(ran) == (8, "no_space")
        (error,) = json.loads(ran.stdout)["errors"]
        assert error["hints"] == [f"free some space on {disk}, or write the bundle to another disk"]


def test_a_disk_that_takes_no_large_files_is_told_with_its_own_cure(stocked: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITH_SMALL_FILES, "export", "--bundle", "s.tar"]
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, **stocked}, capture_output=True, check=False)
    assert done.returncode == 8
    assert b"let `--split 4G` cut it into parts, or write the bundle to another disk" in done.stderr


@pytest.mark.parametrize("folder", [False, True])
def test_models_are_carried_off_a_read_only_disk(modelpm: Modelpm, tmp_path: Path, folder: bool) -> None:
    if folder:
        (tmp_path / "out").mkdir()
    with tmpfs(tmp_path / "disk", "4m") as home:
        env = {"MODELPM_HOME": str(home)}
        assert modelpm("install", "tiny", env=env).code == 0
        with fixed(home):
            ran = modelpm("export", "--bundle", "out", "--json", env=env)
            assert ran.code == 0, ran.stdout
            (warning,) = json.loads(ran.stdout)["warnings"]
            assert "not in the audit log" in warning
    assert modelpm("import", "out", env={"MODELPM_HOME": str(tmp_path / "other")}).code == 0
