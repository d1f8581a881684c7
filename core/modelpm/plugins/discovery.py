"""List the plugins that are installed, without importing any of them.

Reads ``*.dist-info/entry_points.txt`` and the name of its folder (both PyPA specifications) with plain file access,
because importing ``importlib.metadata`` alone costs more than all else that a start does. Where that is not enough
(zip files, ``*.egg-info``, import finders of other programs) :func:`scan_all` asks ``importlib.metadata`` as well.
"""

import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

API_VERSION = 1
OURS = "modelpm"
_GROUP = re.compile(r"\[modelpm\.([a-z]+)\.v([0-9]{1,4})\]")
_DIST_INFO = re.compile(r"([A-Za-z0-9][A-Za-z0-9._]*)-([^-]+)\.dist-info")  # not `~x-1.0.dist-info`, a broken removal
_MAX_BYTES = 1 << 20


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


def normalized(distribution: str) -> str:
    """Return the name of a distribution as all spellings of it are compared (PyPA: name normalization)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def scan(path: Iterable[str] | None = None) -> tuple[Entry, ...]:
    """Return the entries of every distribution on ``path`` (default: ``sys.path``), ours first, then by name."""
    entries: list[Entry] = []
    seen: set[str] = set()
    for folder in sys.path if path is None else path:
        for info, distribution, version in _dist_infos(folder or "."):
            if distribution in seen:  # as for imports, the first on the path wins
                continue
            seen.add(distribution)
            for kind, api, name, module in parse(_read(info)):
                entries.append(Entry(kind, api, name, module, distribution, version))
    return _in_order(entries)


def scan_all(path: Iterable[str] | None = None) -> tuple[Entry, ...]:
    """Return what :func:`scan` does, and the entries of distributions that only ``importlib.metadata`` finds."""
    from importlib.metadata import distributions

    entries = list(scan(path))
    seen = {entry.distribution for entry in entries}
    for found in distributions() if path is None else distributions(path=list(path)):
        try:
            ours = list(parse(_of_ours(found.read_text("entry_points.txt") or "")))
            name, version = (found.metadata["Name"], found.version) if ours else ("", "")
        except Exception:  # noqa: BLE001, S112 - a damaged archive, or the code of another program's finder
            continue
        if name and normalized(name) not in seen:
            seen.add(normalized(name))
            entries += [Entry(*entry, normalized(name), version) for entry in ours]
    return _in_order(entries)


def is_claimed(kind: str, name: str) -> bool:
    """Return whether some distribution has an entry of that kind and name."""
    return any((entry.kind, entry.name) == (kind, name) for look in (scan, scan_all) for entry in look())


def parse(text: str) -> Iterator[tuple[str, int, str, str]]:
    """Yield kind, API version, name and module of each of our entries in an ``entry_points.txt``."""
    group: re.Match[str] | None = None
    for raw in text.split("\n"):
        line = raw.strip()
        if line.startswith("["):
            group = _GROUP.fullmatch(line)
        elif group and not line.startswith(("#", ";")):
            name, equals, value = line.partition("=")
            module = value.partition("[")[0].strip()  # the part in brackets names extras
            if equals and name.strip() and module:
                yield group[1], int(group[2]), name.strip(), module


def _dist_infos(folder: str) -> list[tuple[str, str, str]]:
    try:
        with os.scandir(folder) as items:
            found = [(item.path, match) for item in items if (match := _DIST_INFO.fullmatch(item.name))]
    except OSError:
        return []
    return sorted((path, normalized(match[1]), match[2]) for path, match in found)


def _in_order(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=lambda e: (e.distribution != OURS, e.distribution, e.kind, e.name, e.api)))


def _read(info: str) -> str:
    try:
        with open(os.path.join(info, "entry_points.txt"), encoding="utf-8") as file:  # noqa: PTH118, PTH123 - start-up
            text = file.read(_MAX_BYTES)
    except (OSError, UnicodeDecodeError):
        return ""
    return _of_ours(text)


def _of_ours(text: str) -> str:
    """Return nothing for a text that cannot name an entry point for modelpm: most distributions have none."""
    return text if "modelpm." in text else ""
