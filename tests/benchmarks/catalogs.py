"""Search and show over 10,000 models, in a folder and in a published catalog: ``python -m tests.benchmarks.catalogs``.

Prints seconds beyond start-up, as the command takes them, and what building the search index takes once.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from modelpm.api import FolderCatalog
from modelpm.catalog.index import published
from tests.support.catalogs import file, model, release, variant, write_catalog
from tests.support.published import serving

MODELS = 10_000
RUNS = 7
FAMILIES = ("qwen", "llama", "gemma", "mistral", "phi", "granite", "whisper", "bge", "flux", "kokoro")
TASKS = ("chat", "embedding", "code", "text-to-speech", "text-to-image")


def catalog(folder: Path, models: int = MODELS) -> Path:
    """Write a catalog of many models."""

    def one(number: int) -> dict[str, object]:
        family, size = FAMILIES[number % len(FAMILIES)], number % 97 + 1
        variants = [
            variant(name, file=[file(f"{family}-{name}.gguf", size=size * 100_000_000)], **{"min-memory": "6 GiB"})
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

    return write_catalog(folder, map(one, range(models)))


def run(home: Path, *arguments: str) -> float:
    """Return the seconds that the command takes."""
    began = time.perf_counter()
    subprocess.run(
        [str(Path(sys.executable).with_name("modelpm")), *arguments],
        env={"MODELPM_HOME": str(home), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - began


def least(home: Path, *arguments: str) -> float:
    """Return the seconds of the fastest of several runs: what other work on the machine adds is left out."""
    return min(run(home, *arguments) for _ in range(RUNS))


def main() -> None:
    """Measure, and print what came out."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = catalog(Path(scratch, "many"))
        began = time.perf_counter()
        data = published(FolderCatalog(folder))
        say(f"index of {MODELS:,} models: built in {time.perf_counter() - began:.1f} s, {len(data) / 1e6:.1f} MB")
        (folder / "index.json").write_bytes(data)
        floor = least(Path(scratch, "empty"), "search", "tiny")
        say(f"search of the built-in catalog alone: {floor:.3f} s")
        with serving(folder) as site:
            for name, place in {"folder": str(folder), "web": site.url}.items():
                home = Path(scratch, name)
                say(f"{name}: added in {run(home, 'catalog', 'add', 'many', place):.2f} s")
                say(f"  first search: {run(home, 'search', 'tiny'):.2f} s")
                for words in (("llama", "41b"), ("gema", "41b"), ("--fits", "kokoro")):
                    say(f"  search {' '.join(words)}: {least(home, 'search', *words) - floor:+.3f} s beyond that")
                say(f"  show: {least(home, 'show', 'many/qwen-10-11b'):.3f} s")
            site.seen.clear()
            run(Path(scratch, "web"), "catalog", "update")
            say(f"update unchanged: {site.requests()}")


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
