"""What users install: wheel, sdist and editable, each in a fresh environment, with the command and the catalog."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import modelpm
from tests.support.installations import ROOT, Installation, installation

PACKAGES = sorted(
    p.parent.relative_to(ROOT).as_posix()
    for t in ("core", "plugins", "catalogs")
    for p in (ROOT / t).glob("*/__init__.py")
)


# The tests run in an editable installation already.
@pytest.fixture(params=["wheel from the sdist", pytest.param("editable", marks=pytest.mark.marathon)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Installation:
    if request.param == "editable":
        return installation(tmp_path / "editable", "-e", str(ROOT))
    found: Installation = request.getfixturevalue("installed")
    return found


def test_the_command_works_from_a_fresh_environment(place: Installation, tmp_path: Path) -> None:
    run = place.run
    for command in (["modelpm"], ["python", "-m", "modelpm"]):
        done = run(*command, "--version", home=tmp_path)
        assert (done.returncode, done.stdout.split()[:2]) == (0, ["modelpm", modelpm.__version__]), done.stderr
    done = run("modelpm", "install", "tiny", home=tmp_path)
    assert done.returncode == 0, done.stderr
    done = run("modelpm", "list", "--json", home=tmp_path)
    assert [row["name"] for row in json.loads(done.stdout)["items"]] == ["tiny"]
    path = Path(run("modelpm", "path", "tiny", home=tmp_path).stdout.strip())
    assert path.read_bytes()[:4] == b"GGUF"
    done = run("modelpm", "show", "qwen3-8b", "--json", home=tmp_path)
    assert json.loads(done.stdout)["items"][0]["variants"], "the packaged catalog is there"
    done = run("modelpm", "plugins", "check", home=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_sdist_makes_the_same_wheel_as_the_tree(distributions: Path, wheel: Path) -> None:
    direct = next((distributions / "direct").glob("*.whl"))

    def contents(path: Path) -> dict[str, int]:
        with zipfile.ZipFile(path) as archive:
            return {item.filename: item.CRC for item in archive.infolist()}

    assert contents(direct) == contents(wheel)


def test_the_wheel_holds_every_package_and_nothing_else(wheel: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert sorted(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == PACKAGES
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith((".dist-info", ".data"))} == {
        Path(package).name for package in PACKAGES
    }
    for package in PACKAGES:
        assert f"{Path(package).name}/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert any(name.endswith("data/share/man/man1/modelpm.1") for name in names)
    assert not [name for name in names if "__pycache__" in name or name.endswith((".pyc", ".tmp"))]


def test_every_entry_point_names_a_package_of_ours() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for group, entries in project["entry-points"].items():
        assert group.startswith("modelpm.")
        assert set(entries.values()) <= {Path(package).name for package in PACKAGES}


def test_what_a_release_needs_is_there() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert f"## {modelpm.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for name in ("README.md", "CONTRIBUTING.md", ".ci/run"):
        assert (ROOT / name).stat().st_size > 0
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.marathon
def test_one_file_holds_the_whole_program(tmp_path: Path) -> None:
    if shutil.which("shiv") is None:
        pytest.skip("needs shiv")
    file = tmp_path / "modelpm.pyz"
    subprocess.run([str(ROOT / ".ci/pyz"), str(file)], check=True, capture_output=True)
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "MODELPM_HOME": str(tmp_path / "home")}
    for arguments, shown in (
        (["--version"], modelpm.__version__),
        (["install", "tiny"], ""),
        (["path", "tiny"], "tiny"),
    ):
        command = [sys.executable, "-I", str(file), *arguments]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
        assert shown in done.stdout
