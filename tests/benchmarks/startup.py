"""How long the commands that people type most take to start; prints a Markdown table.

``python -m tests.benchmarks.startup [ROUNDS]``. Runs are interleaved, so that a busy machine slows all of them alike.
"""

import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

BASE = "python -c 'import click'"
ROUNDS = 40


def commands(modelpm: str) -> Mapping[str, Sequence[str]]:
    """Return what is measured, by its name in the table."""
    return {
        "python -c pass": [sys.executable, "-c", "pass"],
        BASE: [sys.executable, "-c", "import click"],
        "modelpm --version": [modelpm, "--version"],
        "modelpm --help": [modelpm, "--help"],
        "modelpm list": [modelpm, "list"],
        "modelpm path tiny": [modelpm, "path", "tiny"],
    }


def measure(made: Mapping[str, Sequence[str]], rounds: int, environ: Mapping[str, str]) -> dict[str, list[float]]:
    """Return the wall time of every run, in seconds."""
    times: dict[str, list[float]] = {name: [] for name in made}
    for _ in range(rounds):
        for name, command in made.items():
            start = time.perf_counter()
            subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
            times[name].append(time.perf_counter() - start)
    return times


def table(times: Mapping[str, Sequence[float]]) -> str:
    """Return the figures in milliseconds, and each minimum as a multiple of the base's."""
    base = min(times[BASE])
    rows = ["| command | min ms | median ms | base = 1 |", "|---|---|---|---|"]
    for name, seconds in times.items():
        low, middle = min(seconds) * 1000, statistics.median(seconds) * 1000
        rows.append(f"| `{name}` | {low:.1f} | {middle:.1f} | {min(seconds) / base:.2f} |")
    return "\n".join(rows)


def main() -> None:
    """Measure in a home of its own, with one model installed where that works without a network."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    modelpm = str(Path(sysconfig.get_path("scripts")) / "modelpm")
    with tempfile.TemporaryDirectory() as home:
        environ = {**os.environ, "MODELPM_HOME": home}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package is compiled once, not at every start
        subprocess.run([modelpm, "install", "tiny", "-q"], env=environ, check=False)
        sys.stdout.write(table(measure(commands(modelpm), rounds, environ)) + "\n")


if __name__ == "__main__":
    main()
