"""What tests share: a Hub of their own, a home of their own, and the installed command."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

from tests.support.hub import Hub, running_hub
from tests.support.warm import COMMAND, Warm, can_run_with

# How fast examples are made says something about the machine, nothing about the code.
settings.register_profile("usual", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=25)
settings.register_profile("marathon", settings.get_profile("usual"), max_examples=500)

# Nothing of the machine's own configuration may reach a test.
_MEASURED = ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG", "PYTEST_CURRENT_TEST")  # by which children are
_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", *_MEASURED)

# What starts processes, servers, threads: a name that a module of tests imports, and a fixture that a test asks for.
_STARTING_NAMES = {
    "FaultServer", "Trial", "installation", "multiprocessing", "pty", "raw_server", "running_hub", "signal", "socket",
    "subprocess", "threading",
}  # fmt: skip
_STARTING_FIXTURES = {"among_strangers", "distributions", "hub", "installed", "modelpm", "warm", "wheel"}


def pytest_configure(config: pytest.Config) -> None:
    """Try many examples in marathons, where a test does not say how many."""
    settings.load_profile("marathon" if config.option.markexpr == "marathon" else "usual")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what may start a process, server or thread for the quick run, and properties for marathons."""
    if is_hypothesis_test(item.obj) and item.config.option.markexpr == "marathon":  # type: ignore[attr-defined]
        item.add_marker("marathon")
    names, fixtures = vars(item.module).keys(), set(item.fixturenames)  # type: ignore[attr-defined]
    if names & _STARTING_NAMES or fixtures & _STARTING_FIXTURES or item.get_closest_marker("marathon"):
        item.add_marker("process")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out what cannot be shown where nothing is forbidden, as to root; ``.ci/run`` gives the right up first."""
    if item.get_closest_marker("forbidden") and not _is_anything_forbidden():
        pytest.skip("nothing is forbidden to this user; .ci/run runs it without that right")


@cache
def _is_anything_forbidden() -> bool:
    with tempfile.NamedTemporaryFile() as file:
        os.chmod(file.name, 0)  # noqa: PTH101 - of a name that is a text
        return not os.access(file.name, os.R_OK)


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run of the command left behind."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as running:
        yield running


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return an empty folder for all of modelpm's files, and for the user's."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def clean_environ(home: Path) -> dict[str, str]:
    """Return an environment that knows this test's home and nothing else of the machine."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    # What is newer is asked for by the tests that are about it: others count requests.
    return {**kept, "MODELPM_HOME": str(home / "modelpm"), "HOME": str(home), "MODELPM_UPDATE_CHECK": "0"}


@pytest.fixture
def unmeasured(clean_environ: dict[str, str]) -> dict[str, str]:
    """Return that environment for a process whose imports are looked at: coverage would bring imports of its own."""
    return {name: value for name, value in clean_environ.items() if name not in _MEASURED}


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """Return what starts the installed command for the tests of this worker."""
    running = Warm({name: os.environ[name] for name in _KEPT if name in os.environ})
    yield running
    running.close()


@pytest.fixture
def modelpm(clean_environ: dict[str, str], tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Ran]:
    """Return what runs the installed command: ``modelpm("install", "tiny", env={"HF_ENDPOINT": …})``."""

    def run(*arguments: str, env: dict[str, str] | None = None, cwd: Path | None = None, timeout: float = 60.0) -> Ran:
        environ, folder = {**clean_environ, **(env or {})}, cwd or tmp_path
        if can_run_with(env or ()):
            warm: Warm = request.getfixturevalue("warm")
            done = warm.run(arguments, env=environ, cwd=folder, timeout=timeout)
        else:
            command = [str(COMMAND), *arguments]
            done = subprocess.run(
                command, env=environ, cwd=folder, capture_output=True, text=True, timeout=timeout, check=False
            )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run
