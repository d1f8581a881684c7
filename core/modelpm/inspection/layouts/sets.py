"""How names say that files belong together: shards, numbered files, parts to join, pairs and external data."""

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

_LONGEST = 255  # characters of a base name in which a number is looked for
_SHARD = re.compile(r"[-_.](\d{1,6})-of-(\d{1,6})(?=[._-]|$)", re.IGNORECASE)
_CHUNK = re.compile(r"-chunk-(\d{1,4})-of-(\d{1,4})(?=\.gguf$)", re.IGNORECASE)
_PART = re.compile(r"(?<=\.gguf)\.part(\d{1,4})of(\d{1,4})$", re.IGNORECASE)
_SPLIT = re.compile(r"(?<=\.gguf)-split-([a-z])$", re.IGNORECASE)
_NUMBERED = re.compile(r"^(consolidated)\.(\d{2})(?=\.)|^(params_shard)_(\d+)(?=\.bin$)", re.IGNORECASE)
_COUNTED = re.compile(r"(?<=[-_.])(\d{3,6})(?=\.(?:safetensors|bin|pt|pth)$)", re.IGNORECASE)
_DATA = re.compile(r"(\.onnx)[._]data(?:[._-]\d+)?$", re.IGNORECASE)
_INDEX = re.compile(r"^(.*?)(\.safetensors|\.bin)((?:\.\w+)?)\.index((?:\.\w+)?)\.json$", re.IGNORECASE)
_FOLDER = re.compile(r"^(.*?\.(?:mlpackage|mlmodelc))/", re.IGNORECASE)
_TF_DATA = re.compile(r"^(.*\.ckpt(?:-\d+)?)\.(?:data-\d+-of-\d+|index|meta)$", re.IGNORECASE)
_PAIRED = (("xml", "bin"), ("param", "bin"), ("pdmodel", "pdiparams"))
_DEEPEST = 16  # folders above a path that the rules look at
_LEAST_COUNTED = 3  # files that are numbered from zero without a gap; epochs of a training are numbered from one
_SHOWN = 20  # missing names that are listed; the count comes from a name, and a name can say anything


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file belongs.

    Attributes:
        name: The path that the whole set would have as one file.
        total: How many files the set has, by its names; 0 if they do not say.
        number: This file's place in it, or None.
        join: Whether the files only become readable when they are joined.
    """

    name: str
    total: int = 0
    number: int | None = None
    join: bool = False


class Known:
    """The paths of a listing, to find a file's partners in constant time."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = frozenset(paths)
        self.onnx: dict[str, list[str]] = {}
        counted: dict[str, set[int]] = {}
        for path in self.paths:
            if path.lower().endswith(".onnx"):
                self.onnx.setdefault(posixpath.dirname(path), []).append(path)
            elif found := _COUNTED.search(path[-_LONGEST:]):
                counted.setdefault(_without(path, found), set()).add(int(found[1]))
        self._counted = {
            whole
            for whole, numbers in counted.items()
            if len(numbers) >= _LEAST_COUNTED and numbers == set(range(len(numbers)))
        }

    def place(self, path: str) -> Place:
        """Return the set to which a path belongs; a file that stands alone is its own set."""
        folder, base = posixpath.split(path)
        at = f"{folder}/" if folder else ""
        if partner := _folder_of(path) or self._partner(path, folder, base):
            return Place(partner)
        name = base[-_LONGEST:]
        lead = at + base[:-_LONGEST]
        for pattern, join in ((_CHUNK, True), (_PART, True), (_SHARD, False)):
            if found := pattern.search(name):
                whole = name[: found.start()] + name[found.end() :]
                return Place(lead + whole, int(found[2]), int(found[1]), join)
        if found := _SPLIT.search(name):
            return Place(lead + name[: found.start()], 0, ord(found[1].lower()) - ord("a"), join=True)
        if found := _NUMBERED.search(name):
            stem, number = (found[1], found[2]) if found[1] else (found[3], found[4])
            return Place(lead + stem + name[found.end() :], 0, int(number))
        if (found := _COUNTED.search(path[-_LONGEST:])) and (whole := _without(path, found)) in self._counted:
            return Place(whole, 0, int(found[1]))
        return Place(path)

    def index_of(self, path: str) -> str | None:
        """Return the set that an index file such as ``model.safetensors.index.json`` describes."""
        folder, base = posixpath.split(path)
        if not (found := _INDEX.match(base[-_LONGEST:])):
            return None
        return posixpath.join(folder, f"{found[1]}{found[3]}{found[4]}{found[2]}")

    def _partner(self, path: str, folder: str, base: str) -> str | None:
        if found := _DATA.search(base[-_LONGEST:]):
            return path[: len(path) - len(found[0])] + found[1]
        if found := _TF_DATA.match(base[-_LONGEST:]):
            return posixpath.join(folder, found[1])
        return self._pair(path) or self._external(folder, base)

    def _pair(self, path: str) -> str | None:
        """Return the file to which a second file of the same name belongs: ``.xml`` for ``.bin``, and the like."""
        stem, _, ending = path.rpartition(".")
        for first, second in _PAIRED:
            if ending.lower() == second and f"{stem}.{first}" in self.paths:
                return f"{stem}.{first}"
        if posixpath.basename(path).lower().startswith("openvino_") and ending.lower() == "bin":
            return f"{stem}.xml"
        return stem if ending == "json" and stem.lower().endswith(".onnx") and stem in self.paths else None

    def _external(self, folder: str, base: str) -> str | None:
        """Return the file beside which a folder holds tensors under names of its own."""
        parent, _, last = folder.rpartition("/")
        if last == "variables" and (saved := posixpath.join(parent, "saved_model.pb")) in self.paths:
            return saved
        here = self.onnx.get(folder, ())
        external = base == "weights.pb" or "." not in base or base.startswith("onnx__")
        return here[0] if len(here) == 1 and external and not _named_document(base) else None


def _without(path: str, found: re.Match[str]) -> str:
    """Return a path without the number that was found in its end, and with one digit that keeps its width apart."""
    cut = len(path) - len(found.string)
    return f"{path[: cut + found.start()]}{len(found[1])}{path[cut + found.end() :]}"


def missing(places: Iterable[Place]) -> Iterator[str]:
    """Yield what a set lacks by the numbers in its names, e.g. ``shard 2 of 3``."""
    members = [p for p in places if p.number is not None]
    numbers = {p.number for p in members if p.number is not None}
    if not numbers:
        return
    total, word = members[0].total, "part" if members[0].join else "shard"
    if not total:
        first, last = 0, max(numbers)
    elif 0 in numbers:  # some publishers count from 0 and write the last number as the total
        first, last = 0, max(total - 1, min(max(numbers), total))
    else:
        first, last = 1, total
    lacking = last - first + 1 - len([n for n in numbers if first <= n <= last])
    wanted = (n for n in range(first, last + 1) if n not in numbers)
    for number in islice(wanted, min(lacking, _SHOWN)):
        yield f"{word} {number} of {total or last + 1}"
    if lacking > _SHOWN:
        yield f"{lacking - _SHOWN} more {word}s"


def _folder_of(path: str) -> str | None:
    found = _FOLDER.match(path)
    return found[1] if found else None


def _named_document(base: str) -> bool:
    return base.startswith(".") or base.upper() == base or base.upper().startswith(("README", "LICEN", "MODEL_CARD"))


def folders_of(path: str) -> Iterator[str]:
    """Yield the folders above a path, the nearest first; deeper than 16, the nearest 16."""
    for _ in range(_DEEPEST):
        path = path.rpartition("/")[0]
        if not path:
            return
        yield path
