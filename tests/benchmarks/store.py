"""What the store costs: ``python tests/benchmarks/store.py [MIB] [MODELS]``, by default
128 MiB a file and 1,000 models; works where ``TMPDIR`` says.

* ``verify`` of as many cached files as cores and more, against ``hashlib.sha256`` of the same on all cores: ratio.
* ``verify --repair``: bytes fetched for one flipped bit, and for scattered ones; seconds.
* Eight processes that install one model: bytes that the server sent, in sizes of the model; exit codes.
* ``prune --dry-run`` over ten blobs a model; ``list`` over all models; both beyond the start of the command: seconds.
"""

import hashlib
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import modelpm
from modelpm.lockfile.file import Lock
from modelpm.lockfile.model import LockedFile, LockedModel
from modelpm.lockfile.requirement import Requirement
from modelpm.store import Store
from modelpm.store.blobs.verify import Target, verify
from tests.support.hub import running_hub
from tests.support.models import PIECE, folder_of, manager_in
from tests.support.stores import damage, put

COMMAND = Path(sys.executable).with_name("modelpm")
FILES, RUNS = 8, 5


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def seconds(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def hash_file(path: Path) -> str:
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verifying(folder: Path, size: int) -> None:
    store = Store(folder / "verify")
    wanted = [Target(put(store, os.urandom(size)), size) for _ in range(FILES)]
    paths = [store.blob(target.sha256) for target in wanted]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    def plain() -> None:
        with ThreadPoolExecutor(cores) as pool:
            assert [*pool.map(hash_file, paths)] == [target.sha256 for target in wanted]

    plain()
    pairs = [(seconds(plain), seconds(lambda: verify(store, wanted))) for _ in range(RUNS)]
    base, ours = (statistics.median(times) for times in zip(*pairs, strict=True))
    gib = FILES * size / (1 << 30)
    say(f"verify: {gib / ours:.2f} GiB/s, hashlib on {cores} cores {gib / base:.2f} GiB/s: {ours / base:.3f}x")


def repairing(folder: Path, scattered: int) -> None:
    data = os.urandom(4 * scattered * PIECE + 1)
    with manager_in(folder / "repair") as manager:
        model = manager.install(folder_of(folder / "big", {"big.gguf": data}))
        blob = manager.store.blob(model.files[0].sha256)
        for offsets in ([2 * PIECE + 5], [n * 4 * PIECE + n for n in range(scattered)]):
            for offset in offsets:
                damage(blob, offset)
            begin = time.perf_counter()
            (row,) = manager.verify(repair=True).rows
            took = time.perf_counter() - begin
            assert row.ok
            pieces = row.downloaded / PIECE
            say(f"repair: {len(offsets)} flipped bits in {len(data) >> 20} MiB: {pieces:.2f} pieces, {took:.1f} s")


def together(folder: Path, size: int) -> None:
    data = os.urandom(size // 2)
    with running_hub() as hub:
        hub.add("acme/m", {"m.gguf": data})
        environ = {**os.environ, "HF_ENDPOINT": hub.endpoint, "MODELPM_HOME": str(folder / "crowd")}
        command = [str(COMMAND), "install", "hf://acme/m", "--json"]
        running = [subprocess.Popen(command, env=environ, stdout=subprocess.PIPE) for _ in range(8)]
        answers = [json.loads(process.communicate()[0]) for process in running]
    received = sum(change["downloaded"] for answer in answers for change in answer["changes"])
    codes = [answer["exit_code"] for answer in answers]
    say(f"eight processes: {received / len(data):.3f}x the bytes, exit codes {codes}")


def beyond_start(environ: Mapping[str, str], *arguments: str) -> float:
    def run(*given: str) -> float:
        command = [str(COMMAND), *given]
        return seconds(lambda: subprocess.run(command, env=environ, check=True, capture_output=True))

    run(*arguments)
    pairs = [(run("--version"), run(*arguments)) for _ in range(RUNS)]
    start, whole = (statistics.median(times) for times in zip(*pairs, strict=True))
    return float(whole - start)


def many(folder: Path, count: int) -> None:
    store = Store(folder / "many" / "store")
    store.open()
    models = []
    for index in range(count):
        data = [f"{index} {part}".encode() for part in range(5)]
        files = [LockedFile(f"{n}.json", len(d), put(store, d), ("file:///x",)) for n, d in enumerate(data)]
        models.append(LockedModel(f"model-{index:04}", Requirement(f"file:///{index}"), tuple(files)))
    for index in range(5 * count):
        put(store, f"nobody's {index}".encode())
    lock = folder / "many" / "env" / "models.lock"
    lock.parent.mkdir()
    lock.write_text(Lock().changed(put=models).render())
    environ = {**os.environ, "MODELPM_HOME": str(folder / "many")}
    for verb in (("list",), ("prune", "--dry-run"), ("prune", "--dry-run", "--older-than", "1d"), ("store", "size")):
        took = beyond_start(environ, *verb)
        say(f"{' '.join(verb)}: {took:.3f} s beyond start-up, {count:,} models, {10 * count:,} blobs")


def main() -> None:
    """Measure in a temporary folder."""
    size = (int(sys.argv[1]) if len(sys.argv) > 1 else 128) << 20
    models = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["HF_HOME"] = str(folder / "hf")
        say(f"modelpm {modelpm.__version__}, Python {sys.version.split()[0]}, {os.cpu_count()} processors")
        verifying(folder, size)
        repairing(folder, min(10, models // 5))
        together(folder, size)
        many(folder, models)


if __name__ == "__main__":
    main()
