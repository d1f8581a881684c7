"""Search and show over 10,000 models, in a folder and in a published catalog: ``python -m tests.benchmarks.catalogs``.

Prints seconds beyond start-up, as the command takes them, and what building the search index takes once.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from modelpm.api import FolderCatalog
from modelpm.catalog.index import published
from tests.support.catalogs import file, model, release, variant, write_catalog

MODELS = 10_000
RUNS = 7
FAMILIES = ("qwen", "llama", "gemma", "mistral", "phi", "granite", "whisper", "bge", "flux", "kokoro")
TASKS = ("chat", "embedding", "code", "text-to-speech", "text-to-image")


def catalog(folder: Path, models: int = MODELS) -> Path:
    """Write a catalog of many models."""

    def one(number: int) -> dict[str, object]:
        family, size = FAMILIES[number % len(FAMILIES)], number % 97 + 1
        variants = [
            variant(name, file=[file(f"{family}-{number}-{name}.gguf", size=size * 100_000_000)], **{"min-memory": "6 GiB"})
            for name in ("q4_k_m", "q5_k_m", "q8_0")
        ]
        return model(
            f"{family}-{number}-{size}b",
            title=f"{family.title()} {number} {size}B",
            description=f"A model of the {family} family with {size} billion parameters, for tests of catalogs.",
            license="apache-2.0",
            tasks=[TASKS[number % len(TASKS)]],
            tags=["multilingual", f"{size}b"],
            release=[release(variant=variants, **{"default-variant": "q4_k_m"})],
        )

    return write_catalog(folder, map(one, range(models)), {"aliases": {f"old-{n}": f"qwen-{n}-{n % 97 + 1}b" for n in range(0, 1000, 10)}})


def seconds(home: Path, *arguments: str) -> float:
    """Return the median time of the command."""
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        subprocess.run(
            [str(Path(sys.executable).with_name("modelpm")), *arguments],
            env={"MODELPM_HOME": str(home), "PATH": "/usr/bin:/bin"},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def main() -> None:
    """Measure, and print a table."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = catalog(Path(scratch, "many"))
        began = time.perf_counter()
        data = published(FolderCatalog(folder))
        print(f"build of the index: {time.perf_counter() - began:.1f} s, {len(data) / 1e6:.1f} MB")
        (folder / "index.json").write_bytes(data)
        handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
        handler.log_message = lambda *_: None  # type: ignore[attr-defined]
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        Thread(target=server.serve_forever, daemon=True).start()
        empty, places = Path(scratch, "empty"), {"folder": str(folder), "web": f"http://127.0.0.1:{server.server_port}"}
        floor = seconds(empty, "search", "tiny")
        print(f"search over the built-in catalog alone: {floor:.3f} s")
        for name, place in places.items():
            home = Path(scratch, f"home-{name}")
            first = time.perf_counter()
            seconds_of_add = seconds_once(home, "catalog", "add", "many", place)
            seconds_once(home, "search", "tiny")
            print(f"{name}: added in {seconds_of_add:.2f} s, first search after {time.perf_counter() - first:.2f} s")
            for words in (("search", "llama", "41b"), ("search", "lama", "kokro"), ("search", "--fits", "gemma"), ("show", "many/qwen-10-11b")):
                print(f"  {' '.join(words):28} {seconds(home, *words) - floor:+.3f} s beyond the search of the built-in one")
        server.shutdown()


def seconds_once(home: Path, *arguments: str) -> float:
    """Return the time of one run."""
    began = time.perf_counter()
    subprocess.run(
        [str(Path(sys.executable).with_name("modelpm")), *arguments],
        env={"MODELPM_HOME": str(home), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
