"""Whether a model fits: what the machine offers is read from real files, the judgment is pure."""

import subprocess
import sys
from pathlib import Path

import pytest

from modelpm.disk import machine
from modelpm.inspection.fit import Machine, fits
from modelpm.results.details import Fits

GIB = 1 << 30
linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc and cgroups")


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in {"proc/meminfo": "MemTotal:       16777216 kB\nMemFree: 1 kB\n", **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@linux
@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 16 * GIB),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 16 * GIB),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": f"{2 * GIB}\n"}, 2 * GIB),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/memory.max": f"{GIB}\n"}, GIB),
        (
            {
                "proc/self/cgroup": "5:cpu:/\n4:memory:/docker/x\n0::/\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
                "sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes": f"{3 * GIB}\n",
            },
            3 * GIB,
        ),
        ({"proc/self/cgroup": "0::/../../x\n", "sys/fs/cgroup/memory.max": f"{GIB}\n"}, GIB),
        ({"proc/self/cgroup": "no cgroup\n::\n"}, 16 * GIB),
        ({"proc/meminfo": "MemTotal: much\n"}, None),
    ],
)
def test_the_lowest_limit_of_the_cgroups_counts(tmp_path: Path, files: dict[str, str], expected: int | None) -> None:
    assert machine.memory(tree(tmp_path, files)) == expected


@linux
def test_a_system_that_says_nothing_is_unknown(tmp_path: Path) -> None:
    assert machine.memory(tmp_path) is None
    assert (machine.memory() or 0) > 1 << 20


LIBRARIES = {
    "raises at import": "raise KeyError('no such library')",
    "raises at its first call": "def nvmlInit(): raise OSError('no driver')",
    "has no such call": "",
}


@pytest.mark.process
@pytest.mark.parametrize("source", LIBRARIES.values(), ids=LIBRARIES)
def test_a_gpu_library_that_fails_means_unknown(tmp_path: Path, source: str) -> None:
    (tmp_path / "pynvml.py").write_text(source + "\n")
    asked = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nfrom modelpm.disk import machine\n"
    command = [sys.executable, "-c", asked + "print(machine.gpu_memory())"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "None\n"


@pytest.mark.process
def test_the_memory_of_all_gpus_counts_together(tmp_path: Path) -> None:
    (tmp_path / "pynvml.py").write_text(
        "from types import SimpleNamespace\n"
        "nvmlInit = nvmlShutdown = lambda: None\n"
        "nvmlDeviceGetCount = lambda: 2\n"
        "nvmlDeviceGetHandleByIndex = lambda number: number\n"
        "nvmlDeviceGetMemoryInfo = lambda handle: SimpleNamespace(total=(handle + 1) << 30)\n"
    )
    asked = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nfrom modelpm.disk import machine\n"
    command = [sys.executable, "-c", asked + "print(machine.gpu_memory())"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == f"{3 * GIB}\n"


def test_fits_is_true_false_or_unknown() -> None:
    here = Machine(ram=10 * GIB, vram=None, disk=5 * GIB)
    assert fits(here, 9 * GIB, 5 * GIB) == Fits(ram=True, vram=None, disk=True)
    assert fits(here, 9 * GIB + 1, 5 * GIB + 1) == Fits(ram=False, vram=None, disk=False)
    assert fits(here, None, None) == Fits()
    assert fits(Machine(vram=0), 1, 0) == Fits(ram=None, vram=False, disk=None)
