"""What the tests of the installed thing share."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.installations import ROOT, Installation, installation, once, pip

STRANGERS = sorted(path.parent for path in (ROOT / "tests" / "strangers").glob("*/pyproject.toml"))

_BUILD = """
import os, sys
from hatchling.build import build_wheel

for folder in sys.argv[2:]:
    os.chdir(folder)
    build_wheel(sys.argv[1])
"""


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Return one folder for all workers of this run."""
    own = tmp_path_factory.getbasetemp()
    return own if worker_id == "master" else own.parent


@pytest.fixture(scope="session")
def distributions(shared: Path) -> Path:
    """Return a folder with the sdist, the wheel that is built from it, and in ``direct`` the one that is not."""

    def build(folder: Path) -> None:
        direct = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "direct")]
        subprocess.run(direct, cwd=ROOT, check=True, capture_output=True)
        command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
        subprocess.run(command, check=True, capture_output=True)

    return once(shared, "distributions", build)


@pytest.fixture(scope="session")
def wheel(distributions: Path) -> Path:
    return next(distributions.glob("*.whl"))


@pytest.fixture(scope="session")
def installed(shared: Path, wheel: Path) -> Installation:
    """Return an environment with the wheel."""
    return Installation(once(shared, "installed", lambda folder: installation(folder, str(wheel))))


@pytest.fixture(scope="session")
def among_strangers(shared: Path, wheel: Path) -> Installation:
    """Return an environment with the wheel and every stranger's plugin."""

    def make(folder: Path) -> None:
        made = installation(folder, f"{wheel}[signatures]")
        wheels = folder / "strangers"
        subprocess.run([sys.executable, "-c", _BUILD, wheels, *STRANGERS], check=True, capture_output=True)
        pip(made, "--no-deps", *map(str, sorted(wheels.glob("*.whl"))))

    return Installation(once(shared, "among_strangers", make))
