"""Put mutants into copies of the repository and run tests over them, several at once."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from tests.mutation.environment import make_environment

_PARTS = ("core", "plugins", "catalogs", "tests", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md")
_PASSED, _FAILED = 0, 1  # exit codes of pytest
_NOTICED = re.compile(r"^(?:FAILED|ERROR) (\S+?::\w+)", re.MULTILINE)  # the test, with all its parameters


@dataclass(frozen=True, slots=True)
class Change:
    """A file with a mutant in it, and the tests that are to notice.

    Attributes:
        name: What is told of it.
        path: The file, relative to the repository.
        source: Its mutated bytes.
        tests: Ids or files of tests; none at all means that the mutant survives.
    """

    name: str
    path: str
    source: bytes
    tests: Sequence[str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one change fared.

    Attributes:
        name: The change's.
        killed: Whether a test failed or ran into its time limit.
        how: The first line that says so, or why nothing did.
    """

    name: str
    killed: bool
    how: str


class Trials:
    """Copies of a repository, one a worker.

    Args:
        repository: What is mutated; stays as it is.
        work: An empty folder for the copies.
        workers: How many.
        limit: Seconds a change may take; more is an endless loop, and counts as noticed where its tests are quicker
            without it.
    """

    def __init__(self, repository: Path, work: Path, workers: int, limit: float = 180.0) -> None:
        self._limit = limit
        self._workers = workers
        self._pythons: dict[Path, Path] = {}
        self._free: SimpleQueue[Path] = SimpleQueue()
        for number in range(workers):
            copy = work / f"copy{number}"
            for part in _PARTS:
                source = repository / part
                if source.is_dir():
                    shutil.copytree(source, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    copy.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(source, copy / part)
            self._pythons[copy] = make_environment(work / f"venv{number}", copy)
            self._free.put(copy)

    def run(self, changes: Iterable[Change]) -> Iterator[Verdict]:
        """Try every change, several at once; yield the verdicts in the order of the changes."""
        with ThreadPoolExecutor(self._workers) as pool:
            yield from pool.map(self._try, changes)

    def _try(self, change: Change) -> Verdict:
        if not change.tests:
            return Verdict(change.name, killed=False, how="no test runs this line")
        with self._copy() as copy:
            target = copy / change.path
            before = target.read_bytes()
            target.write_bytes(change.source)
            try:
                code, output = self._pytest(copy, change.tests)
            finally:
                target.write_bytes(before)
            if code is None and self._pytest(copy, change.tests)[0] is None:
                return Verdict(change.name, killed=False, how="its tests take too long without it, too")
            noticed = _NOTICED.search(output)
            if noticed and self._pytest(copy, [noticed[1]])[0] != _PASSED:
                return Verdict(change.name, killed=False, how=f"it fails without it, too: {noticed[1]}")
        return _judged(change, code, output)

    @contextmanager
    def _copy(self) -> Iterator[Path]:
        copy = self._free.get()
        try:
            yield copy
        finally:
            self._free.put(copy)

    def _pytest(self, copy: Path, tests: Sequence[str]) -> tuple[int | None, str]:
        """Return the exit code, or None where it took too long, and what was printed."""
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [
            str(self._pythons[copy]),
            "-m",
            "pytest",
            "-x",
            "-q",
            "-n",
            "0",
            "-p",
            "no:cacheprovider",
            "--no-header",
        ]
        command += ["-m", "not marathon", *tests]
        with subprocess.Popen(
            command, cwd=copy, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, start_new_session=True,
        ) as process:  # fmt: skip
            try:
                output, _ = process.communicate(timeout=self._limit)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                return None, ""
        return process.returncode, output


def _judged(change: Change, code: int | None, output: str) -> Verdict:
    if code is None:
        return Verdict(change.name, killed=True, how="it never ended")
    if code == _PASSED:
        return Verdict(change.name, killed=False, how=f"{len(change.tests)} tests pass")
    first = next((line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))), "")
    if code == _FAILED or first:
        return Verdict(change.name, killed=True, how=first[:160])
    # Where not even the start works, pytest has other exit codes: the mutant is noticed by everything.
    return Verdict(change.name, killed=True, how=f"exit code {code} of pytest")
