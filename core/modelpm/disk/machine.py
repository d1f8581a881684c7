"""What this machine offers a model: memory, within the limits of its cgroups, and the memory of its GPUs."""

import sys
from pathlib import Path
from typing import Final

_LARGEST_FILE: Final = 64 << 10
_KIB: Final = 1024


def memory(root: Path = Path("/")) -> int | None:
    """Return the bytes of memory that this process may use; None if the system does not say.

    Args:
        root: Where ``/proc`` and ``/sys`` are.
    """
    if sys.platform != "linux":
        import psutil

        return int(psutil.virtual_memory().total)
    total = _total(root)
    return min([total, *_limits(root)]) if total is not None else None


def gpu_memory() -> int | None:
    """Return the bytes of memory that the NVIDIA GPUs have together; None if that is unknown.

    The library is an extra, talks to a driver that may be missing or broken, and must stop nothing.
    """
    try:
        import pynvml

        pynvml.nvmlInit()
        try:
            handles = [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())]
            return sum(int(pynvml.nvmlDeviceGetMemoryInfo(handle).total) for handle in handles)
        finally:
            pynvml.nvmlShutdown()
    except Exception:  # noqa: BLE001 - whatever a GPU library raises means that nothing is known
        return None


def _total(root: Path) -> int | None:
    for line in _read(root / "proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == "MemTotal" and (number := value.split()[:1]) and number[0].isdigit():
            return int(number[0]) * _KIB
    return None


def _limits(root: Path) -> list[int]:
    """Return the limits of this process's cgroups and of those above them."""
    found = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if number == "0" and not controllers:
            folder, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            folder, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        parts = [part for part in group.split("/") if part not in ("", "..", ".")]
        for depth in range(len(parts) + 1):
            text = _read(folder.joinpath(*parts[:depth], name)).strip()
            found += [int(text)] if text.isdigit() else []  # `max` means unlimited
    return found


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_FILE).decode("ascii", "replace")
    except OSError:
        return ""
