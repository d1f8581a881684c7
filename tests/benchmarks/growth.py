"""How cost grows with what there is; prints a Markdown table of CPU seconds and the exponent of each verb.

``python -m tests.benchmarks.growth [PART…] [--sizes 1000,5000,20000]``; parts: models, files, catalog, audit. The homes
are made by the program's own code. The cost of a tiny home, which is the start of the program, is taken off before the
exponent is computed: 1.0 is a straight line, 2.0 is a square.
"""

import argparse
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

from modelpm.api import Event
from modelpm.disk import system
from modelpm.environment.view import View
from modelpm.lockfile.file import Lock
from modelpm.lockfile.model import LockedFile, LockedModel
from modelpm.lockfile.requirement import Requirement
from modelpm.store import Store
from modelpm_jsonl import chain
from tests.support.stores import put

COMMAND = Path(sys.executable).with_name("modelpm")
SIZES = (1_000, 5_000, 20_000)
LEAST = 10  # of what a home has that stands for the start of the program
ROUNDS = 2
MORE_ROUNDS = 3  # for a command that is quick, where noise counts for more
QUICK = 3.0  # CPU seconds


@dataclass(frozen=True, slots=True)
class Place:
    """Where commands run.

    Attributes:
        home: ``MODELPM_HOME``.
        folder: The working folder.
        count: How many there are of what grows.
    """

    home: Path
    folder: Path
    count: int


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that grows.

    Attributes:
        make: Lays out a home with so many of it.
        verbs: What is measured, by the name in the table; each gets the place and a number that no run had before.
    """

    make: Callable[[Path, int], Place]
    verbs: Mapping[str, Callable[[Place, int], Sequence[str]]]


@contextmanager
def unsynced() -> Iterator[None]:
    """Make homes quickly: what a power cut would lose is made again."""
    with patch.object(system, "fsync", lambda _fd: None), patch.object(system, "fsync_folder", lambda _path: None):
        yield


def models(root: Path, count: int) -> Place:
    """Lay out ``count`` models of one small file each, in the user's environment and in a project."""
    home, project, origin = root / "home", root / "project", root / "origin"
    origin.mkdir(parents=True)
    store = Store(home / "store")
    store.open()
    made = []
    for number in range(count):
        data, path = f"model {number}".encode(), origin / f"m{number:06}.bin"
        spec = path.as_uri()
        file = LockedFile(path.name, len(data), put(store, data), (spec,))
        made.append(LockedModel(f"m{number:06}", Requirement(spec), (file,), upstream=spec))
    text = Lock().changed(put=made).render()
    for lock, view in (
        (home / "env" / "models.lock", home / "env" / "models"),
        (project / "models.lock", project / "models"),
    ):
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.write_text(text)
        View(view, store).place(*made)
    wanted = "".join(f'{m.name} = "{m.requirement.text}"\n' for m in made)
    (project / "models.toml").write_text(f"schema = 1\n[models]\n{wanted}")
    for number in range(100):
        (origin / f"new{number}.bin").write_bytes(f"model {number}, new".encode())
    return Place(home, project, count)


def new(place: Place, number: int) -> str:
    """Return the spec of a model that no run installed before."""
    return (place.folder.parent / "origin" / f"new{number}.bin").as_uri()


def wanting(place: Place, number: int) -> str:
    """Let the manifest name a model that is not locked; return the folder of the project."""
    with (place.folder / "models.toml").open("a") as manifest:
        manifest.write(f'wanted{number} = "{new(place, 50 + number)}"\n')
    return str(place.folder)


def files(root: Path, count: int) -> Place:
    """Lay out a folder of ``count`` small files, to be installed as one model."""
    origin = root / "origin"
    for number in range(count):
        path = origin / f"part-{number // 1000:03}" / f"{number:06}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{{"number": {number}}}')
    (root / "work").mkdir()
    return Place(root / "home", root / "work", count)


def catalog(root: Path, count: int) -> Place:
    """Lay out a catalog of ``count`` models, each as long as a built-in one."""
    import modelpm_catalogs  # its data

    entry = (Path(modelpm_catalogs.__file__).parent / "models" / "qwen3-8b.toml").read_text()
    folder = root / "catalog"
    (folder / "models").mkdir(parents=True)
    (folder / "catalog.toml").write_text('schema = 1\nname = "big"\ntitle = "Big"\n')
    for number in range(count):
        text = entry.replace('id = "qwen3-8b"', f'id = "mod-{number:05}"', 1)
        (folder / "models" / f"mod-{number:05}.toml").write_text(text)
    home = root / "home"
    home.mkdir()
    (home / "config.toml").write_text(f'[catalogs]\nbig = "{folder}"\n')
    return Place(home, root, count)


def audit(root: Path, count: int) -> Place:
    """Lay out an audit log of ``count`` records, in one file."""
    folder = root / "home" / "audit"
    folder.mkdir(parents=True)
    last, details = chain.GENESIS, {"files": [{"path": "model.gguf", "sha256": "0" * 64}]}
    fields = {"user_id": "ada", "resource_type": "model", "resource_id": "tiny", "success": True, "details": details}
    with (folder / "audit.jsonl").open("wb") as log:
        for _ in range(count):
            line, last = chain.line_of(Event(datetime.now(UTC), "r", "install.end", fields), last)
            log.write(line)
    (folder / "head").write_bytes(chain.Head(count, last).encode())
    return Place(root / "home", root, count)


def last(place: Place) -> str:
    """Return the name of a model that is there."""
    return f"m{place.count - 1:06}"


PARTS: Mapping[str, Part] = {
    "models": Part(
        models,
        {
            "list": lambda _p, _n: ["list", "-g"],
            "path": lambda p, _n: ["path", last(p)],
            "verify": lambda _p, _n: ["verify", "-g"],
            "verify --quick": lambda _p, _n: ["verify", "--quick", "-g"],
            "doctor": lambda _p, _n: ["doctor", "--offline"],
            "install one more": lambda p, n: ["install", new(p, n)],
            "install what is there": lambda p, _n: [
                "install",
                (p.folder.parent / "origin" / f"{last(p)}.bin").as_uri(),
            ],
            "sync": lambda _p, _n: ["sync"],
            "lock --check": lambda _p, _n: ["lock", "--check"],
            "prune --dry-run": lambda _p, _n: ["prune", "--dry-run"],
            "uninstall one": lambda _p, n: ["uninstall", f"m{n:06}"],
            "add one more": lambda p, n: ["add", new(p, n)],
            "lock, one added": lambda p, n: ["lock", "-C", wanting(p, n)],
        },
    ),
    "files": Part(
        files,
        {
            "install": lambda p, n: ["install", (p.folder.parent / "origin").as_uri(), "--as", f"all{n}"],
            "verify --quick": lambda _p, _n: ["verify", "--quick"],
            "path": lambda _p, _n: ["path", "all0"],
        },
    ),
    "catalog": Part(catalog, {"search": lambda _p, _n: ["search", "mod-00001"]}),
    "audit": Part(audit, {"audit show": lambda _p, _n: ["audit"], "audit verify": lambda _p, _n: ["audit", "verify"]}),
}


def spent(place: Place, arguments: Sequence[str]) -> tuple[float, int]:
    """Run a command; return its CPU seconds and its peak memory in KiB.

    Raises:
        RuntimeError: It failed.
    """
    environ = {**os.environ, "MODELPM_HOME": str(place.home), "HF_HOME": str(place.home / "hf")}
    process = subprocess.Popen(
        [str(COMMAND), *arguments], cwd=place.folder, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode:
        msg = f"{' '.join(arguments)}: exit {process.returncode}: {said.decode()[-300:]}"
        raise RuntimeError(msg)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def measured(part: Part, work: Path, sizes: Sequence[int]) -> dict[str, list[tuple[float, int]]]:
    """Return, for each verb, the least CPU seconds and the peak memory at each size, the least size first."""
    figures: dict[str, list[tuple[float, int]]] = {verb: [] for verb in part.verbs}
    for size in (LEAST, *sizes):
        root = work / str(size)
        with unsynced():
            place = part.make(root, size)
        for verb, command in part.verbs.items():
            runs = [spent(place, command(place, number)) for number in range(ROUNDS)]
            if min(runs)[0] < QUICK:
                runs += [spent(place, command(place, ROUNDS + number)) for number in range(MORE_ROUNDS)]
            figures[verb].append((min(cpu for cpu, _ in runs), max(peak for _, peak in runs)))
        shutil.rmtree(root)
    return figures


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Return the exponent between the last two sizes, the cost of the least home taken off."""
    base = seconds[0] * 0.95  # some of it grows, too
    before, after = seconds[-2] - base, seconds[-1] - base
    return math.log(after / before) / math.log(sizes[-1] / sizes[-2]) if before > 0 and after > 0 else 0.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.growth", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="all by default")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="how many, two sizes at least")
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    head = " | ".join(f"{size:,}" for size in (LEAST, *sizes))
    sys.stdout.write(f"| verb | {head} | exponent | peak MiB |\n|---|{'---|' * (len(sizes) + 3)}\n")
    for name in options.parts or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            for verb, runs in measured(PARTS[name], Path(folder), sizes).items():
                seconds = [cpu for cpu, _ in runs]
                cells = " | ".join(f"{cpu:.2f}" for cpu in seconds)
                told = f"{exponent(sizes, seconds):.2f} | {runs[-1][1] / 1024:.0f}"
                sys.stdout.write(f"| {name}: `{verb}` | {cells} | {told} |\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
