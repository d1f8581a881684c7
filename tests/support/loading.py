"""Load a model in llama.cpp, in a process of its own: ``python -m tests.support.loading FILE CONTEXT [plain]``."""

import json
import sys
from pathlib import Path


def resident() -> dict[str, int]:
    """Return the bytes of this process's memory: its own, and those of files that are mapped."""
    rows = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {name: int(rows[name].split()[0]) * 1024 for name in ("RssAnon", "RssFile")}


def main(file: str, context: str, *words: str) -> None:
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = file
    parameters.n_ctx, parameters.n_parallel, parameters.cpuparams.n_threads = int(context), 1, 2
    parameters.warmup = True
    parameters.cache_ram_mib = 0
    parameters.no_extra_bufts = "plain" in words  # else some types are repacked: a second copy of the weights
    before = resident()
    server = xllamacpp.Server(parameters)
    server.handle_completions({"prompt": "hello " * min(600, int(context) - 8), "max_tokens": 2})
    print(json.dumps({name: size - before[name] for name, size in resident().items()}))  # noqa: T201 - its answer


if __name__ == "__main__":
    main(*sys.argv[1:])
