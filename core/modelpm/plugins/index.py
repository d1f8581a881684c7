"""List the plugins that are installed, without importing any of them.

Reads ``*.dist-info/entry_points.txt`` and ``METADATA`` (both PyPA specifications) with plain file access, because
importing ``importlib.metadata`` alone costs more than all else that ``modelpm --help`` does.
"""

import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

KINDS = ("source", "digest", "audit", "catalog", "listener", "command")
API_VERSION = 1
OURS = "modelpm"
_GROUP = re.compile(r"modelpm\.([a-z]+)\.v(\d+)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry point of some distribution.

    Attributes:
        kind: ``source``, ``digest``, …
        api: Version of the hook it was written for.
        name: The routing key.
        module: What is imported when the name is asked for.
        distribution: Who ships it.
        version: The distribution's version.
    """

    kind: str
    api: int
    name: str
    module: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


def scan(path: Iterable[str] | None = None) -> tuple[Entry, ...]:
    """Return the entries of every distribution on ``path`` (default: ``sys.path``), ours first, then by name."""
    entries: list[Entry] = []
    seen: set[str] = set()
    for folder in sys.path if path is None else path:
        for info in _dist_infos(folder or "."):
            name, version = _name_and_version(os.path.basename(info))  # noqa: PTH119 - pathlib costs start-up
            if name in seen:  # as for imports, the first on the path wins
                continue
            seen.add(name)
            entries.extend(_entries(info, name, version))
    return tuple(sorted(entries, key=lambda e: (e.distribution != OURS, e.distribution, e.kind, e.name)))


def _dist_infos(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as items:
            return sorted(item.path for item in items if item.name.endswith(".dist-info"))
    except OSError:
        return []


def _name_and_version(folder: str) -> tuple[str, str]:
    name, _, version = folder.removesuffix(".dist-info").partition("-")
    return re.sub(r"[-_.]+", "-", name).lower(), version


def _entries(info: str, distribution: str, version: str) -> Iterator[Entry]:
    try:
        with open(os.path.join(info, "entry_points.txt"), encoding="utf-8") as file:  # noqa: PTH118, PTH123 - start-up
            text = file.read()
    except (OSError, UnicodeDecodeError):
        return
    if "modelpm." not in text:
        return
    group: re.Match[str] | None = None
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("["):
            group = _GROUP.fullmatch(line.strip("[] "))
        elif group and "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            yield Entry(group[1], int(group[2]), name.strip(), value.split("[")[0].strip(), distribution, version)
