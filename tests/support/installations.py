"""Fresh virtual environments with modelpm in them, made once for all the workers of a test run."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from modelpm.disk.system import open_file, try_lock

ROOT = Path(__file__).parents[2]
_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")


@dataclass(frozen=True, slots=True)
class Installation:
    """A virtual environment."""

    folder: Path

    @property
    def scripts(self) -> Path:
        return self.folder / ("Scripts" if os.name == "nt" else "bin")

    def run(self, *command: str, home: Path, **env: str) -> "subprocess.CompletedProcess[str]":
        """Run one of its commands in an environment that knows ``home`` and nothing else of the machine."""
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        return subprocess.run(
            [self.scripts / command[0], *command[1:]],
            env={**kept, "HOME": str(home), "MODELPM_HOME": str(home / "modelpm"), **env},
            cwd=home,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )


def installation(folder: Path, *requirements: str) -> Installation:
    """Make a virtual environment and install into it what a user would name."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    made = Installation(folder)
    pip(made, *requirements)
    return made


def pip(target: Installation, *arguments: str) -> None:
    """Install into an environment that needs no pip of its own."""
    command = ["pip", "--python", str(target.scripts / "python"), "install", "-q", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", *command, *arguments], check=True, capture_output=True)


def once(root: Path, name: str, make: Callable[[Path], object]) -> Path:
    """Return ``root/name``, which the first of all workers makes while the others wait."""
    fd = open_file(root / f"{name}.lock", os.O_RDWR | os.O_CREAT)
    try:
        while not try_lock(fd):
            time.sleep(0.1)
        if not (root / f"{name}.done").exists():
            make(root / name)
            (root / f"{name}.done").touch()
    finally:
        os.close(fd)
    return root / name
