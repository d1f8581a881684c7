"""Pickles in every wrapping, judged by what they would do: rebuild data, or run code."""

import ast
import re
import sys
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from modelpm.api.inspection import ByteSource, Danger, Facts, Findings, TensorSummary
from modelpm.api.toolkit import BoundError, Cursor, CutError, MalformedError, Memory, dangerous, structural, worst
from modelpm_formats import archives, executables, keras
from modelpm_formats.pickle_machine import MOST_OPERATIONS, Machine
from modelpm_formats.pickle_names import ALLOWED, JOBLIB_ARRAY
from modelpm_formats.pickle_tensors import TensorTotal

NAME: Final = "pickle"
NUMPY_MAGIC: Final = b"\x93NUMPY"
HEAD: Final = 4096
MOST_PICKLES: Final = 10_000
_DEPTH: Final = 4
_NAMED: Final = 3
_TORCH_MAGIC: Final = 0x1950A86A20F9469CFC6C
_TORCH_PICKLES: Final = 5
_PROTOCOLS: Final = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_FEW, _MANY = 4, 16  # opcodes without a fault that tell a pickle from text
_CODE: Final = re.compile(r"(.*/)?code/.*|MAR-INF/.*")
_KERAS: Final = frozenset({"metadata.json", "model.weights.h5"})
_LARGEST_CONFIG: Final = 16 << 20
_LONGEST_NUMPY_HEADER: Final = 64 << 10
_PYTHON_2_LONG: Final = re.compile(rb"(?<=[0-9])L(?=[,)])")
_PLAIN_TYPE: Final = re.compile(r"[<>|=]?[biufcSUVmM?][0-9]*(\[[0-9a-zA-Z]+\])?")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the pickles of one file do.

    Attributes:
        format: ``pickle``, ``joblib``, or ``torch-legacy``.
        refused: Imported names beyond the allow-list.
        problems: What else makes them code.
        rest: What is wrong behind the last pickle, if anything.
        operations: How many opcodes were followed.
        tensors: The torch tensors that they rebuild, by type.
    """

    format: str
    refused: frozenset[str]
    problems: tuple[str, ...]
    rest: str | None
    operations: int
    tensors: Mapping[str, TensorTotal]

    @property
    def danger(self) -> Danger:
        """Return ``PICKLE`` if the pickles only rebuild data."""
        return Danger.CODE if self.refused or self.problems else Danger.PICKLE


def judge(source: ByteSource, start: int = 0, most: int = MOST_OPERATIONS) -> Verdict | None:
    """Follow all pickles of a file.

    Args:
        source: The file.
        start: Where the first pickle begins.
        most: How many opcodes are followed before the file counts as code.

    Returns:
        ``None`` if the bytes are not a pickle, and could not have run anything before the unpickler says so.
    """
    cursor, left, count = Cursor(source, start), most, 0
    imports: set[str] = set()
    problems: set[str] = set()
    types: dict[str, TensorTotal] = {}
    rest, legacy, marked = None, False, False
    while cursor.position < cursor.end:
        machine = Machine(cursor, left)
        storages = legacy and count >= _TORCH_PICKLES
        try:
            machine.run()
        except MalformedError as error:
            harmless = not machine.problems and not _imports(machine) and (machine.protocol is None or storages)
            if harmless and not isinstance(error, BoundError):
                rest = None if storages else f"the bytes behind the last pickle are not a pickle: {error}"
                break
            problems.add(f"it cannot be followed to its end: {error}")
        if machine.numbered:
            problems.add("it imports by a number of the extension registry")
        left -= machine.operations
        imports |= machine.imports
        marked |= machine.protocol is not None
        problems |= machine.problems
        for name, total in machine.tensors.items():
            types[name] = types.get(name, TensorTotal()) + total
        if not machine.stopped:
            break
        count += 1
        legacy |= count == 1 and machine.result == _TORCH_MAGIC
        if count == MOST_PICKLES:
            problems.add(f"it has more than {MOST_PICKLES:,} pickles")
            break
    if not problems and (not count or (rest and not marked and not imports)):
        return None  # numbers can look like a few opcodes; what imports nothing runs nothing
    name = "torch-legacy" if legacy else "joblib" if JOBLIB_ARRAY in imports else NAME
    return Verdict(name, frozenset(imports - ALLOWED), tuple(sorted(problems)), rest, most - left, types)


def _imports(machine: Machine) -> bool:
    """Whether names were imported: lines of text such as ``class_1`` read as names of modules that no Python has."""
    known = any(name.partition(".")[0] in sys.stdlib_module_names for name in machine.imports)
    return known or (machine.acted and bool(machine.imports))


def looks_like_pickle(head: bytes) -> bool:
    """Return whether a file's first bytes are a pickle's; protocols 0 and 1 have no magic, so they are followed."""
    if head.startswith(_PROTOCOLS):
        return True
    machine = Machine(Cursor(Memory(head)))
    try:
        machine.run()
    except CutError:
        return machine.operations >= _MANY
    except MalformedError:
        return False
    return bool(machine.imports) or machine.operations >= _FEW


def may_be_pickle(head: bytes) -> bool:
    """Return whether the whole file must be followed to know; text seldom gets past its second letter."""
    machine = Machine(Cursor(Memory(head)))
    try:
        machine.run()
    except MalformedError as error:
        cut = isinstance(error, CutError) and error.needed <= archives.MOST_UNPACKED
        return cut or machine.protocol is not None or bool(machine.imports or machine.problems)
    return True


def is_wrapping(head: bytes) -> bool:
    """Return whether the first bytes are those of an archive, a compressed file or a numpy array."""
    archive = archives.is_zip(head) or archives.is_tar(head) or archives.is_compressed(head)
    return archive or archives.unreadable(head) is not None or head.startswith(NUMPY_MAGIC)


def recognizes(head: bytes) -> bool:
    """Return whether the first bytes are those of a pickle, or of a wrapping that may hold one."""
    return is_wrapping(head) or looks_like_pickle(head)


def glance(head: bytes) -> Danger:
    """Return the least danger that the first bytes prove; what is inside an archive shows later."""
    if is_wrapping(head) or not looks_like_pickle(head):
        return Danger.PICKLE if archives.is_zip(head) and b"data.pkl" in head else Danger.NONE
    machine = Machine(Cursor(Memory(head)))
    with suppress(MalformedError):
        machine.run()
    if machine.imports - ALLOWED or machine.problems or (machine.numbered and machine.stopped):
        return Danger.CODE
    # Numbers can look like a few opcodes: only the whole file tells whether such bytes are a pickle.
    return Danger.PICKLE if machine.imports or machine.protocol is not None else Danger.NONE


def inspect(source: ByteSource) -> Findings:
    """Judge every pickle of a file, also inside archives; bytes that are not a pickle have no format."""
    walk = _Walk()
    found = walk.visit("", source, _DEPTH)
    return Findings(
        found,
        walk.facts(),
        danger=worst(walk.dangers),
        problems=(*dangerous(walk.problems), *structural(walk.structure)),
        refused=tuple(sorted(walk.refused)),
    )


@dataclass(slots=True)
class _Walk:
    refused: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    structure: list[str] = field(default_factory=list)
    dangers: list[Danger] = field(default_factory=list)
    tensors: dict[str, TensorTotal] = field(default_factory=dict)
    left: int = archives.MOST_UNPACKED

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

    def _visit(self, name: str, source: ByteSource, depth: int) -> str | None:
        head = source.read(0, HEAD)
        if not depth:
            raise BoundError("the archives are nested too deeply")
        if packed := archives.unreadable(head):
            raise BoundError(f"modelpm does not read {packed}, so that a pickle in it cannot be judged")
        if archives.is_zip(head):
            return self._zip(name, source, depth)
        if archives.is_tar(head):
            for member, part in archives.tar_members(source):
                self._member(member, part, depth - 1)
            return "tar"
        if archives.is_compressed(head):
            return self._compressed(name, source, depth)
        if head.startswith(NUMPY_MAGIC):
            return self._numpy(name, source)
        return self._pickle(name, source, 0)

    def _compressed(self, name: str, source: ByteSource, depth: int) -> str:
        head = archives.unpacked_head(source, HEAD)
        if not is_wrapping(head) and not may_be_pickle(head):
            return "compressed"
        memory = archives.unpacked(source, self.left)
        self.left -= memory.size
        inner = self.visit(name, memory, depth - 1)
        return inner if inner == "joblib" else "compressed"

    def _member(self, name: str, source: ByteSource, depth: int) -> None:
        head = source.read(0, HEAD)
        if program := executables.kind(head):
            self.code(name, f"it is a program ({program})")
        elif is_wrapping(head) or may_be_pickle(head):
            self.visit(name, source, depth)

    def _pickle(self, name: str, source: ByteSource, start: int) -> str | None:
        verdict = judge(source, start)
        if verdict is None:
            return None
        self.dangers.append(verdict.danger)
        self.refused |= verdict.refused
        for kind, total in verdict.tensors.items():
            self.tensors[kind] = self.tensors.get(kind, TensorTotal()) + total
        prefix = f"{name[:120]}: " if name else ""
        self.problems += [f"{prefix}{problem}" for problem in verdict.problems]
        if named := sorted(verdict.refused)[:_NAMED]:
            self.problems.append(f"{prefix}it imports {', '.join(each[:80] for each in named)}, which can run code")
        self.structure += [f"{prefix}{verdict.rest}"] if verdict.rest else []
        return verdict.format

    def _zip(self, name: str, source: ByteSource, depth: int) -> str:
        if isinstance(source, archives.Member):  # a directory is at the end, so that its bytes are read twice
            source = Memory(source.read(0, source.size))
        archive = archives.zip_archive(source)
        names = frozenset(archive.namelist())
        if any(_CODE.fullmatch(member) for member in names):
            self.code(name, "it holds TorchScript or a server's handler, which is code")
        is_keras = "config.json" in names and bool(names & _KERAS)
        for info in archive.infolist():
            if is_keras and info.filename == "config.json":
                self._keras(archive, info)
            if not info.is_dir() and not archives.is_storage(info.filename, names):
                self._zip_member(archive, info, depth)
        if any(member.rpartition("/")[2] == "data.pkl" for member in names):
            return "torch"
        return "npz" if names and all(member.endswith(".npy") for member in names) else "zip"

    def _keras(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
        try:
            text = archives.Member(archive, info, _LARGEST_CONFIG).read(0, info.file_size)
        except MalformedError as error:
            self.code(info.filename, str(error))
            return
        if found := keras.code_in(text):
            self.code(info.filename, found)

    def _zip_member(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, depth: int) -> None:
        try:
            member = archives.Member(archive, info, self.left)
            self._member(info.filename, member, depth - 1)
            self.left -= member.unpacked
        except MalformedError as error:
            self.code(info.filename, str(error))

    def _numpy(self, name: str, source: ByteSource) -> str:
        cursor = Cursor(source)
        major = cursor.take(len(NUMPY_MAGIC) + 2)[len(NUMPY_MAGIC)]
        length = cursor.number(2 if major == 1 else 4)
        if length > _LONGEST_NUMPY_HEADER:
            raise BoundError("the header of the array is larger than modelpm reads")
        if not _plain_array(cursor.take(length)) and self._pickle(name, source, cursor.position) is None:
            self.code(name, "it holds an array of objects, whose pickle cannot be followed")
        return "numpy"


def _plain_array(header: bytes) -> bool:
    """Return whether an array holds numbers and texts only; objects are a pickle."""
    try:
        plain = _PYTHON_2_LONG.sub(b"", header).decode("latin-1").strip()
        table = None if "\\" in plain else ast.literal_eval(plain)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise MalformedError("the header of the array cannot be read") from error
    return isinstance(table, dict) and _plain_type(table.get("descr"), _DEPTH)


def _plain_type(kind: object, depth: int) -> bool:
    if isinstance(kind, str):
        return bool(_PLAIN_TYPE.fullmatch(kind))
    rows = kind if isinstance(kind, list) and depth else [None]
    return all(isinstance(row, tuple) and len(row) > 1 and _plain_type(row[1], depth - 1) for row in rows)
