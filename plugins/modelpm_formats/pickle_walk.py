"""Judge pickles in every wrapping by what they would do: rebuild data, or run code."""

import re
import zipfile
from dataclasses import dataclass, field
from typing import Final

from modelpm.api.inspection import ByteSource, Danger, Facts, Findings, TensorSummary
from modelpm.api.toolkit import BoundError, Cursor, MalformedError, Part, dangerous, structural, worst
from modelpm_formats import archives, executables, keras, numpy_files
from modelpm_formats.budget import Budget
from modelpm_formats.packed import Forward, Packed, is_compressed
from modelpm_formats.pickle_judge import NAME, judge, looks_like_pickle, may_be_pickle
from modelpm_formats.pickle_tensors import TensorTotal
from modelpm_formats.pickles import HEAD, is_mobile, is_wrapping

_DEPTH: Final = 4
_NAMED: Final = 3
_MOST_REFUSED: Final = 1_000
_CODE: Final = re.compile(r"(?:.*/)?code/.*|(?:.*/)?bytecode\.pkl|MAR-INF/.*|(?:.*/)?\.data/extern_modules")
_KERAS_CONFIGURATION: Final = "config.json"
_LARGEST_CONFIG: Final = 16 << 20
_JSON: Final = 16  # bytes that a unit of work parses
_STORAGE: Final = 10  # units that the head of one costs


def walked(source: ByteSource, budget: Budget) -> Findings:
    """Judge every pickle of a file; see :func:`modelpm_formats.pickles.inspect`."""
    walk = _Walk(budget)
    found = walk.visit("", source, _DEPTH)
    if not archives.is_zip(source.read(0, HEAD)) and not walk.knows(archives.zip_end(source)):
        inside = walk.zip("", source, _DEPTH)
        found = found or inside
    return Findings(
        found,
        walk.facts(),
        danger=worst(walk.dangers),
        problems=(*dangerous(walk.problems), *structural(walk.structure)),
        refused=tuple(sorted(walk.refused)),
    )


@dataclass(slots=True)
class _Walk:
    budget: Budget
    refused: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    structure: list[str] = field(default_factory=list)
    dangers: list[Danger] = field(default_factory=list)
    tensors: dict[str, TensorTotal] = field(default_factory=dict)
    zips: list[Part] = field(default_factory=list)

    def knows(self, end: int | None) -> bool:
        """Return whether a zip archive that ends there was found in a tar archive, or there is none."""
        return end is None or any(part.start <= end < part.start + part.size for part in self.zips)

    def code(self, name: str, message: str) -> None:
        self.dangers.append(Danger.CODE)
        self.problems.append(f"{name[:120]}: {message}" if name else message)

    def facts(self) -> Facts | None:
        """Return the tensors of all pickles together."""
        if not self.tensors:
            return None
        sizes = {name: total.nbytes for name, total in self.tensors.items()}
        summary = TensorSummary(sum(total.count for total in self.tensors.values()), sum(sizes.values()), sizes)
        elements = sum(total.elements for total in self.tensors.values())
        return Facts(parameters=elements, quantization=summary.main_type, tensors=summary)

    def visit(self, name: str, source: ByteSource, depth: int) -> str | None:
        """Judge one file or member; return its format."""
        try:
            return self._visit(name, source, depth)
        except MalformedError as error:
            self.code(name, str(error))
            return NAME

    def zip(self, name: str, source: ByteSource, depth: int) -> str:
        """Judge a zip archive, whatever stands before it; return its format."""
        try:
            return self._zip(name, source, depth)
        except MalformedError as error:
            self.code(name, str(error))
            return "zip"

    def _visit(self, name: str, source: ByteSource, depth: int) -> str | None:
        head = source.read(0, HEAD)
        if not depth:
            raise BoundError("the archives are nested too deeply")
        if packed := archives.unreadable(head):
            raise BoundError(f"modelpm does not read {packed}, so that a pickle in it cannot be judged")
        if is_mobile(head):
            self.code(name, "it is TorchScript for phones (a flatbuffer), whose bytecode is code")
            return "torch"
        if archives.is_zip(head):
            return self._zip(name, source, depth)
        if archives.is_tar(head):
            for member, part in archives.tar_members(source, self.budget):
                if depth == _DEPTH and archives.is_zip(part.read(0, HEAD)):
                    self.zips.append(part)
                self._member(member, part, depth - 1)
            return "tar"
        if numpy_files.is_array(head):
            return self._numpy(name, source)
        packed = self._compressed(name, source, depth) if is_compressed(head) else None
        return packed or self._pickle(name, source, 0)  # `(S` begins a pickle, and a zlib stream as well

    def _compressed(self, name: str, source: ByteSource, depth: int) -> str | None:
        packed = Packed(source, self.budget)
        head = packed.head(HEAD)
        if not head:
            return None
        if looks_like_pickle(source.read(0, HEAD)):
            self._pickle(name, source, 0)
        if not is_wrapping(head) and not may_be_pickle(head, self.budget):
            return "compressed"
        packed.measure()
        inner = self.visit(name, packed, depth - 1)
        return inner if inner == "joblib" else "compressed"

    def _member(self, name: str, source: ByteSource, depth: int) -> None:
        head = source.read(0, HEAD)
        if program := executables.kind(head):
            self.code(name, f"it is a program ({program})")
        elif is_wrapping(head) or is_mobile(head) or may_be_pickle(head, self.budget):
            self.visit(name, source, depth)
        elif not isinstance(source, Forward) and archives.zip_end(source) is not None:
            self.zip(name, source, depth)

    def _pickle(self, name: str, source: ByteSource, start: int) -> str | None:
        verdict = judge(source, self.budget, start)
        if verdict is None:
            return None
        self.dangers.append(verdict.danger)
        self.refused.update(sorted(verdict.refused)[: _MOST_REFUSED - len(self.refused)])
        for kind, total in verdict.tensors.items():
            self.tensors[kind] = self.tensors.get(kind, TensorTotal()) + total
        prefix = f"{name[:120]}: " if name else ""
        self.problems += [f"{prefix}{problem}" for problem in verdict.problems]
        if named := sorted(verdict.refused)[:_NAMED]:
            self.problems.append(f"{prefix}it imports {', '.join(each[:80] for each in named)}, which can run code")
        self.structure += [f"{prefix}{verdict.rest}"] if verdict.rest else []
        return verdict.format

    def _zip(self, name: str, source: ByteSource, depth: int) -> str:
        archive = archives.zip_archive(source)
        names = frozenset(archive.namelist())
        if any(_CODE.fullmatch(member) for member in names):
            self.code(name, "it holds TorchScript, a torch package or a server's handler, which is code")
        for info in archive.infolist():
            if self.budget.left < 0:
                break  # that is said, and the rest would say it again
            is_storage = archives.is_storage(info.filename, names) and not self._is_array(source, info)
            if not info.is_dir() and not is_storage:
                self._zip_member(archive, source, info, depth)
        if any(member.rpartition("/")[2] == "data.pkl" for member in names):
            return "torch"
        return "npz" if names and all(member.endswith(".npy") for member in names) else "zip"

    def _is_array(self, source: ByteSource, info: zipfile.ZipInfo) -> bool:
        """Whether a storage of torch is an array to numpy, which reads any member of a zip archive."""
        self.budget.spend(_STORAGE)
        if info.compress_type != zipfile.ZIP_STORED:
            return True  # torch stores them as they are
        return numpy_files.is_array(archives.stored(source, info).read(0, numpy_files.HEAD))

    def _zip_member(self, archive: zipfile.ZipFile, source: ByteSource, info: zipfile.ZipInfo, depth: int) -> None:
        try:
            member = archives.zip_member(archive, source, info, self.budget)
            if info.filename == _KERAS_CONFIGURATION:
                self._keras(member)
            self._member(info.filename, member, depth - 1)
        except MalformedError as error:
            self.code(info.filename, str(error))

    def _keras(self, member: ByteSource) -> None:
        if member.size > _LARGEST_CONFIG:
            raise BoundError("its configuration is larger than modelpm reads")
        self.budget.spend(member.size // _JSON)
        if found := keras.code_in(member.read(0, member.size)):
            self.code(_KERAS_CONFIGURATION, found)

    def _numpy(self, name: str, source: ByteSource) -> str:
        """Judge the arrays of a file, which a program may have written one behind the other."""
        cursor = Cursor(source)
        while cursor.position < cursor.end:
            start = cursor.position
            if not numpy_files.is_array(source.read(start, numpy_files.HEAD)):
                self._pickle(name, source, start)
                break
            size = numpy_files.plain_size(cursor, self.budget)
            if size is None:
                if self._pickle(name, source, cursor.position) is None:
                    self.code(name, "it holds an array of objects, whose pickle cannot be followed")
                break
            cursor.skip(min(size, cursor.end - cursor.position))
        return "numpy"
