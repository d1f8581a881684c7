"""How fast a project is: ``python tests/benchmarks/projects.py [MODELS]``.

* ``sync`` with nothing to do, 1,000 locked models of 3 files each, against ``list`` of the same: seconds, requests.
* ``lock`` of a tenth of them with one added: requests.
"""

import hashlib
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from modelpm.environment.view import View
from modelpm.lockfile.file import Lock
from modelpm.lockfile.model import LockedFile, LockedModel
from modelpm.lockfile.requirement import Requirement
from modelpm.store import Store
from tests.support.hub import Hub, running_hub

COMMAND = Path(sys.executable).with_name("modelpm")
FILES, RUNS = ("model.safetensors", "config.json", "tokenizer/tokenizer.json"), 7


def put(store: Store, data: bytes) -> str:
    sha256 = hashlib.sha256(data).hexdigest()
    draft = store.layout.partials / sha256
    draft.write_bytes(data)
    store.commit(draft, sha256)
    return sha256


def locked(store: Store, name: str) -> LockedModel:
    upstream = f"hf://acme/{name}@{'a' * 40}"
    files = []
    for path in FILES:
        data = f"{name} {path}".encode()
        files.append(LockedFile(path, len(data), put(store, data), (f"{upstream}/{path}",)))
    requirement = Requirement(f"hf://acme/{name}@main")
    return LockedModel(name, requirement, tuple(files), upstream=upstream, format="safetensors", license="mit")


def lay_out(folder: Path, count: int) -> None:
    """Make a project of many models, and a user's environment of the same, everything in place."""
    store = Store(folder / "home" / "store")
    store.open()
    models = [locked(store, f"model-{i:04}") for i in range(count)]
    text = Lock().changed(put=models).render()
    for lock, view in (
        (folder / "project" / "models.lock", folder / "project" / "models"),
        (folder / "home" / "env" / "models.lock", folder / "home" / "env" / "models"),
    ):
        lock.parent.mkdir(parents=True)
        lock.write_text(text)
        View(view, store).place(*models)
    requirements = "".join(f'{m.name} = "{m.requirement.text}"\n' for m in models)
    (folder / "project" / "models.toml").write_text(f"[models]\n{requirements}")


def seconds(command: Sequence[str], env: dict[str, str], cwd: Path) -> tuple[float, float]:
    """Return the least of some runs: by the clock, and of the processor, which a busy machine does not blur."""
    taken = []
    for _ in range(RUNS):
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([COMMAND, *command], env=env, cwd=cwd, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        taken.append((time.perf_counter() - start, used))
    return min(wall for wall, _ in taken), min(used for _, used in taken)


def idle(folder: Path, hub: Hub, count: int) -> None:
    lay_out(folder, count)
    env = {**os.environ, "MODELPM_HOME": str(folder / "home"), "HF_ENDPOINT": hub.endpoint}
    nothing = folder / "nothing"
    nothing.mkdir()
    runs = {
        "--version": (("--version",), nothing),
        "list (user)": (("list", "--json"), nothing),
        "lock --check": (("lock", "--check"), folder / "project"),
        "sync": (("sync",), folder / "project"),
        "sync --frozen": (("sync", "--frozen"), folder / "project"),
    }
    for name, (command, cwd) in runs.items():
        wall, used = seconds(command, env, cwd)
        print(f"{name:<16} {wall:.3f} s, {used:.3f} s of the processor, {len(hub.seen)} requests")  # noqa: T201 - the result


def added(folder: Path, hub: Hub, before: int) -> None:
    for i in range(before + 1):
        hub.add(f"acme/m{i}", {"model.safetensors": f"weights {i}".encode()})
    env = {**os.environ, "MODELPM_HOME": str(folder / "home"), "HF_ENDPOINT": hub.endpoint}
    folder.mkdir(exist_ok=True)
    requirements = [f'm{i} = "hf://acme/m{i}"\n' for i in range(before + 1)]
    for count in (before, before + 1):
        (folder / "models.toml").write_text("[models]\n" + "".join(requirements[:count]))
        hub.seen.clear()
        taken = time.perf_counter()
        subprocess.run([COMMAND, "lock"], env=env, cwd=folder, check=True, capture_output=True)
        taken = time.perf_counter() - taken
        asked = {seen.path.split("/")[4] for seen in hub.seen}
        print(f"lock of {count:<8} {taken:.3f} s, {len(hub.seen)} requests for {len(asked)} models")  # noqa: T201


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    models = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    with tempfile.TemporaryDirectory() as temporary, running_hub() as running:
        idle(Path(temporary) / "idle", running, models)
        added(Path(temporary) / "added", running, models // 10)
