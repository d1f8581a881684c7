"""Which tests run a line, in this process or in one that they start, and how long each takes."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from coverage.numbits import numbits_to_nums

from tests.mutation.environment import make_environment

# The static context is for children: the test that started them stands in their environment.
_CONFIG = """
[run]
source_pkgs = modelpm, modelpm_jsonl, modelpm_huggingface, modelpm_web, modelpm_file
context = ${PYTEST_CURRENT_TEST-}
parallel = true
data_file = %s
"""
_STARTUP = "import coverage; coverage.process_startup()"
_PLUGIN = """
import coverage, pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    current = coverage.Coverage.current()
    if current is not None:
        current.switch_context(item.nodeid)
    return (yield)
"""


@dataclass(frozen=True, slots=True)
class Cover:
    """What the suite runs.

    Attributes:
        tests: For each file and line, the ids of the tests that run it.
        seconds: For each test that passes, how long it takes.
    """

    tests: Mapping[str, Mapping[int, Sequence[str]]]
    seconds: Mapping[str, float]

    def killers(self, path: str, lines: Collection[int], budget: float) -> list[str]:
        """Return the quickest tests that run any of some lines, together in ``budget`` seconds, and one at least."""
        here = self.tests.get(path, {})
        able = {t for line in lines for t in here.get(line, ()) if t in self.seconds}
        chosen: list[str] = []
        spent = 0.0
        for test in sorted(able, key=lambda t: (self.seconds[t], t)):
            spent += self.seconds[test]
            if chosen and spent > budget:
                break
            chosen.append(test)
        return chosen


def measure(repository: Path, work: Path) -> Cover:
    """Run the usual suite once under coverage and return what it ran; tests that fail under it are left out."""
    cache = work / "cover.json"
    if not cache.exists():
        _run(repository, work)
        found = Cover(_lines(work / "data", repository), _seconds(work / "junit.xml"))
        cache.write_text(json.dumps({"tests": found.tests, "seconds": found.seconds}))
    read = json.loads(cache.read_text())
    tests = {path: {int(line): ids for line, ids in lines.items()} for path, lines in read["tests"].items()}
    return Cover(tests, read["seconds"])


def _run(repository: Path, work: Path) -> None:
    hooks = work / "hooks"
    hooks.mkdir(parents=True, exist_ok=True)
    python = make_environment(work / "venv", repository, startup=_STARTUP)
    (hooks / "mutation_contexts.py").write_text(_PLUGIN)
    config = work / "coverage.ini"
    config.write_text(_CONFIG % (work / "data"))
    environment = {**os.environ, "COVERAGE_PROCESS_START": str(config), "PYTHONPATH": str(hooks)}
    command = [str(python), "-m", "pytest", "-q", "-n", str(os.cpu_count() or 2), "--timeout", "400"]
    command += [
        "-p",
        "mutation_contexts",
        "-p",
        "no:cacheprovider",
        f"--junitxml={work / 'junit.xml'}",
        "-o",
        "junit_family=xunit1",
    ]
    subprocess.run(command, cwd=repository, env=environment, stdout=subprocess.DEVNULL, check=False)
    subprocess.run(
        [sys.executable, "-m", "coverage", "combine", "-q", f"--rcfile={config}"],
        cwd=work,
        env={**os.environ, "PYTEST_CURRENT_TEST": ""},
        check=True,
    )


def _lines(data: Path, repository: Path) -> dict[str, dict[int, list[str]]]:
    found: dict[str, dict[int, list[str]]] = {}
    query = (
        "select file.path, context.context, line_bits.numbits from line_bits"
        " join file on file.id = line_bits.file_id join context on context.id = line_bits.context_id"
    )
    with sqlite3.connect(data) as base:
        for path, context, bits in base.execute(query):
            test = context.rpartition("|")[2].partition(" (")[0]
            if test:
                lines = found.setdefault(os.path.relpath(path, repository), {})
                for line in numbits_to_nums(bits):
                    lines.setdefault(line, []).append(test)
    return found


def _seconds(junit: Path) -> dict[str, float]:
    found: dict[str, float] = {}
    for case in ET.parse(junit).iter("testcase"):  # noqa: S314 - our own file
        if not any(case.find(bad) is not None for bad in ("failure", "error", "skipped")):
            found[f"{case.get('file')}::{case.get('name')}"] = float(case.get("time", "0"))
    return found
