"""``python -m tests.mutation``: run the fixed sample and the aimed mutants; exit 1 where too many survive."""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from tests.mutation.aimed import AIMED, ROOT
from tests.mutation.covering import measure
from tests.mutation.equivalent import EQUIVALENT
from tests.mutation.mutants import Mutant, mutants, sample
from tests.mutation.trial import Change, Trials, Verdict

# The modules that carry promises: bytes, locks, names, secrets.
PROMISES = (
    "core/modelpm/bundle", "core/modelpm/disk", "core/modelpm/environment", "core/modelpm/http",
    "core/modelpm/lockfile", "core/modelpm/network", "core/modelpm/operations", "core/modelpm/plugins",
    "core/modelpm/project", "core/modelpm/store", "core/modelpm/transfer",
    "plugins/modelpm_huggingface", "plugins/modelpm_jsonl",
)  # fmt: skip
WANTED = Fraction(9, 10)
_BUDGET = 30.0  # seconds of tests for a mutant that survives


def found(modules: Sequence[str]) -> list[Mutant]:
    """Return all mutants of some files and folders."""
    files = sorted(p for m in modules for p in ([ROOT / m] if (ROOT / m).is_file() else (ROOT / m).rglob("*.py")))
    return [m for p in files for m in mutants(p.relative_to(ROOT).as_posix(), p.read_bytes())]


def sampled(chosen: Sequence[Mutant], work: Path) -> Iterator[Change]:
    """Yield each mutant with the tests that run its line."""
    cover = measure(ROOT, work)
    for mutant in chosen:
        source = mutant.apply((ROOT / mutant.path).read_bytes())
        yield Change(str(mutant), mutant.path, source, cover.killers(mutant.path, mutant.felt, _BUDGET))


def aimed() -> Iterator[Change]:
    """Yield the aimed mutants."""
    for mutant in AIMED:
        source = mutant.apply((ROOT / mutant.path).read_text(encoding="utf-8"))
        yield Change(f"aimed {mutant.path}: {mutant.promise}", mutant.path, source.encode(), mutant.tests)


def told(verdicts: Iterator[Verdict]) -> tuple[int, list[Verdict]]:
    """Print each verdict as it comes; return how many there were, and the survivors."""
    count, survivors = 0, []
    for verdict in verdicts:
        count += 1
        known = EQUIVALENT.get(verdict.name.partition(" ")[0])
        state = "killed" if verdict.killed else f"equivalent ({known})" if known else "SURVIVED"
        say(f"{state} {verdict.name} [{verdict.how}]")
        if not verdict.killed and not known:
            survivors.append(verdict)
    return count, survivors


def say(text: str) -> None:
    """Print a line at once, for runs of many minutes."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", help="files or folders; the modules that carry promises by default")
    parser.add_argument("--sample", type=int, default=80, help="mutants of the fixed sample (80)")
    parser.add_argument("--aimed", action="store_true", help="only the aimed mutants")
    parser.add_argument("--work", type=Path, help="folder that keeps what the suite covers, for the next run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = options.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        trials = Trials(ROOT, Path(folder) / "copies", os.cpu_count() or 2)
        count, missed = told(trials.run(aimed()))
        say(f"aimed: {count - len(missed)} of {count} killed")
        if options.aimed:
            return bool(missed)
        chosen = sample(found(options.modules or PROMISES), options.sample)
        count, survivors = told(trials.run(sampled(chosen, work)))
        say(f"sample: {count - len(survivors)} of {count} killed or equivalent")
    return bool(missed) or Fraction(count - len(survivors), max(count, 1)) < WANTED


if __name__ == "__main__":
    sys.exit(main())
