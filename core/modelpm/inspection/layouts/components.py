"""The components of a listing: files that only work together, with role, variant, entry point and what is missing."""

import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from modelpm.api.types import RemoteFile
from modelpm.inspection.layouts.quantization import label_of
from modelpm.inspection.layouts.roles import Role, format_of, role_of
from modelpm.inspection.layouts.sets import Known, Place, missing

_INFIX = re.compile(r"\.(fp16|bf16|fp32|fp8|int8|non_ema|ema)$", re.IGNORECASE)
_ONNX = re.compile(
    r"[-_](fp16|fp32|int8|uint8f16|uint8|q[248]f16|q4|q8|bnb4|quantized|int4|q?u?int8_\w+|qdq|half|opt|o[1-4])$",
    re.IGNORECASE,
)
_OPENVINO = re.compile(r"_(?:(q?u?int[48](?:_quantized)?|fp16|fp32))$", re.IGNORECASE)


_Key = tuple[str, int, bool]  # a set's name, how many files it has, and whether they must be joined
_NAME = 255  # characters of a stem that may carry a precision: what file systems hold


@dataclass(frozen=True, slots=True)
class Component:
    """Files that only work together.

    Attributes:
        role: What they are for.
        files: All of them, in the listing's order.
        name: The path that they would have as one file, without shard numbers.
        format: The format that their ending names; empty if they hold no weights.
        variant: The quantization or precision in their names; empty if there is none.
        entry_point: The file that a program opens; of parts, the file that joining them makes.
        missing: What the set lacks, by the numbers and pairs in its names.
        join: Whether the files only become readable when they are joined.
    """

    role: Role
    files: tuple[RemoteFile, ...]
    name: str
    format: str = ""
    variant: str = ""
    entry_point: str = ""
    missing: tuple[str, ...] = ()
    join: bool = False

    @property
    def folder(self) -> str:
        """The folder of the set; empty for the top of the listing."""
        return posixpath.dirname(self.name)

    @property
    def stem(self) -> str:
        """The base name without ending and without the variant that stands in it as ``.fp16`` or ``_q4``."""
        base = bare_stem(self.name)
        found = _infix(base, self.format)
        return base[: found.start()] if found else base

    @property
    def size(self) -> int | None:
        """Bytes of all files, or None if one is unknown."""
        return total_size(self.files)


def components(files: Iterable[RemoteFile]) -> tuple[Component, ...]:
    """Return the components of a listing, in its order. Linear in the number of files.

    Args:
        files: The listing; names may be hostile, they are only compared.
    """
    listing = tuple(files)
    known = Known(f.path for f in listing)
    groups: dict[_Key, list[tuple[RemoteFile, Place]]] = {}
    by_name: dict[str, _Key] = {}
    indexes: list[tuple[str, RemoteFile]] = []
    for file in listing:
        if describes := known.index_of(file.path):
            indexes.append((describes, file))
            continue
        place = known.place(file.path)
        key = (place.name, place.total, place.join)
        groups.setdefault(key, []).append((file, place))
        if place.total:
            by_name[place.name] = key
    for describes, file in indexes:
        key = by_name.get(describes, (file.path, 0, False))
        groups.setdefault(key, []).append((file, Place(key[0])))
    return tuple(_component(name, members) for (name, *_), members in groups.items())


def total_size(files: Iterable[RemoteFile]) -> int | None:
    """Return the bytes of all files, or None if one is unknown."""
    total = 0
    for file in files:
        if file.size is None:
            return None
        total += file.size
    return total


def bare_stem(path: str) -> str:
    """Return a base name without the ending of its weights."""
    base = posixpath.basename(path)
    lower = base.lower()
    for ending in (".mlmodelc.zip", ".pt.tar"):
        if lower.endswith(ending):
            return base[: -len(ending)]
    return posixpath.splitext(base)[0]


def _component(name: str, members: Sequence[tuple[RemoteFile, Place]]) -> Component:
    files = tuple(file for file, _ in members)
    paths = [f.path for f in files]
    numbered = [place for _, place in members if place.number is not None]
    join = any(place.join for place in numbered)
    first = min((p for p, (_, place) in zip(paths, members, strict=True) if place.number is not None), default=name)
    format_ = _format(name, paths)
    alone = len(files) == 1 and not numbered
    lacks = list(missing(numbered))
    if not join and not numbered and name not in paths and format_ in {"onnx", "openvino"}:
        lacks.append(name)
    if format_ == "openvino" and name in paths and alone:
        lacks.append(posixpath.splitext(name)[0] + ".bin")
    return Component(
        role=role_of(next((p for p in (name, *paths) if format_of(p)), paths[0])),
        files=files,
        name=name,
        format=format_,
        variant=_variant(name, format_),
        entry_point=_entry(name, first, join=join),
        missing=tuple(lacks),
        join=join,
    )


def _entry(name: str, first: str, *, join: bool) -> str:
    """Return what a program opens: a TensorFlow model by its folder, everything else by its first file."""
    if posixpath.basename(name) == "saved_model.pb":
        return posixpath.dirname(name) or "."
    return name if join else first


def _format(name: str, paths: Sequence[str]) -> str:
    lower = name.lower()
    if len(paths) > 1 and lower.endswith(".xml"):
        return "openvino"
    if len(paths) > 1 and lower.endswith(".param"):
        return "ncnn"
    return format_of(name) or format_of(paths[0])


def _variant(name: str, format_: str) -> str:
    stem = bare_stem(name)
    if format_ == "gguf":
        folder = posixpath.basename(posixpath.dirname(name))
        return label_of(stem) or label_of(folder)
    found = _infix(stem, format_)
    return found[1].lower() if found else ""


def _infix(stem: str, format_: str) -> re.Match[str] | None:
    if format_ == "onnx":
        return _ONNX.search(stem[-_NAME:]) if len(stem) <= _NAME else None
    if format_ == "openvino":
        return _OPENVINO.search(stem) if len(stem) <= _NAME else None
    return _INFIX.search(stem) if format_ else None
