"""Judges the pickles that follow each other in a file, by what they would do: rebuild data, or run code."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from modelpm.api.inspection import ByteSource, Danger
from modelpm.api.toolkit import BoundError, Cursor, CutError, MalformedError, Memory
from modelpm_formats.budget import Budget
from modelpm_formats.pickle_machine import follow
from modelpm_formats.pickle_names import ALLOWED, WRAPPER
from modelpm_formats.pickle_state import Machine
from modelpm_formats.pickle_tensors import TensorTotal

NAME: Final = "pickle"
MOST_PICKLES: Final = 10_000
_PICKLE: Final = 20  # units of work, besides those of the opcodes
_TORCH_MAGIC: Final = 0x1950A86A20F9469CFC6C
_TORCH_PICKLES: Final = 5
_PROTOCOLS: Final = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_FEW, _MANY = 4, 16  # opcodes without a fault that tell a pickle from text
_LONGEST_FIRST: Final = 256 << 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the pickles of one file do.

    Attributes:
        format: ``pickle``, ``joblib``, or ``torch-legacy``.
        refused: Imported names beyond the allow-list.
        problems: What else makes them code.
        rest: What is wrong behind the last pickle, if anything.
        tensors: The torch tensors that they rebuild, by type.
    """

    format: str
    refused: frozenset[str]
    problems: tuple[str, ...]
    rest: str | None
    tensors: Mapping[str, TensorTotal]

    @property
    def danger(self) -> Danger:
        """Return ``PICKLE`` if the pickles only rebuild data."""
        return Danger.CODE if self.refused or self.problems else Danger.PICKLE


@dataclass(slots=True)
class _Pickles:
    """The pickles of a file, followed one behind the other."""

    cursor: Cursor
    budget: Budget
    joblib: bool
    imports: set[str] = field(default_factory=set)
    problems: set[str] = field(default_factory=set)
    tensors: dict[str, TensorTotal] = field(default_factory=dict)
    rest: str | None = None
    count: int = 0
    is_legacy: bool = False
    is_marked: bool = False

    def follow(self) -> None:
        while self.cursor.position < self.cursor.end and self._one():
            if self.count == MOST_PICKLES:
                self.problems.add(f"it has more than {MOST_PICKLES:,} pickles")
                return

    def _one(self) -> bool:
        """Follow the next pickle; return whether another may follow."""
        machine = Machine(self.cursor, self.budget, self.joblib)
        try:
            self.budget.spend(_PICKLE)
            follow(machine)
        except MalformedError as error:
            storages = self.is_legacy and self.count >= _TORCH_PICKLES
            harmless = not machine.problems and not _imports(machine) and (machine.protocol is None or storages)
            if harmless and not isinstance(error, BoundError):
                self.rest = None if storages else f"the bytes behind the last pickle are not a pickle: {error}"
                return False
            if self.joblib or isinstance(error, BoundError):  # the plain unpickler fails at an array of joblib's
                self.problems.add(f"it cannot be followed to its end: {error}")
        if machine.numbered:
            self.problems.add("it imports by a number of the extension registry")
        self.imports |= machine.imports
        self.problems |= machine.problems
        self.is_marked |= machine.protocol is not None
        for name, total in machine.tensors.items():
            self.tensors[name] = self.tensors.get(name, TensorTotal()) + total
        self.count += machine.stopped
        self.is_legacy |= self.count == 1 and machine.result == _TORCH_MAGIC
        return machine.stopped


def judge(source: ByteSource, budget: Budget, start: int = 0) -> Verdict | None:
    """Follow all pickles of a file.

    Args:
        source: The file.
        budget: What that may cost; a file that costs more counts as code.
        start: Where the first pickle begins.

    Returns:
        ``None`` if the bytes are not a pickle, and could not have run anything before the unpickler says so.
    """
    found = _Pickles(Cursor(source, start), budget, joblib=True)
    found.follow()
    imports, problems = found.imports, found.problems
    if WRAPPER in imports:  # the plain unpickler takes the arrays between the opcodes for opcodes
        plain = _Pickles(Cursor(source, start), budget, joblib=False)
        plain.follow()
        imports |= plain.imports
        problems |= plain.problems
    if not problems and (not found.count or (found.rest and not found.is_marked and not imports)):
        return None  # numbers can look like a few opcodes; what imports nothing runs nothing
    name = "torch-legacy" if found.is_legacy else "joblib" if WRAPPER in imports else NAME
    return Verdict(name, frozenset(imports - ALLOWED), tuple(sorted(problems)), found.rest, found.tensors)


def _imports(machine: Machine) -> bool:
    """Whether names were imported: lines of text such as ``class_1`` read as names of modules that no Python has."""
    known = any(name.partition(".")[0] in sys.stdlib_module_names for name in machine.imports)
    return known or (machine.acted and bool(machine.imports))


def looks_like_pickle(head: bytes) -> bool:
    """Return whether a file's first bytes are a pickle's; protocols 0 and 1 have no magic, so they are followed."""
    if head.startswith(_PROTOCOLS):
        return True
    machine = Machine(Cursor(Memory(head)), Budget())
    try:
        follow(machine)
    except CutError:
        return machine.operations >= _MANY
    except MalformedError:
        return False
    return bool(machine.imports) or machine.operations >= _FEW


def may_be_pickle(head: bytes, budget: Budget) -> bool:
    """Return whether the whole file must be followed to know; text seldom gets past its second letter."""
    machine = Machine(Cursor(Memory(head)), budget)
    try:
        follow(machine)
    except MalformedError as error:
        cut = isinstance(error, CutError) and error.needed <= _LONGEST_FIRST
        told = machine.protocol is not None or bool(machine.imports or machine.problems)
        return cut or told or isinstance(error, BoundError)
    return True


def least_danger(head: bytes) -> Danger:
    """Return the least danger that the first bytes of a pickle prove."""
    if not looks_like_pickle(head):
        return Danger.NONE
    machine = Machine(Cursor(Memory(head)), Budget())
    stopped = False
    try:
        follow(machine)
        stopped = True
    except MalformedError:
        pass
    if machine.imports - ALLOWED or machine.problems or (machine.numbered and stopped):
        return Danger.CODE
    # Numbers can look like a few opcodes: only the whole file tells whether such bytes are a pickle.
    return Danger.PICKLE if machine.imports or machine.protocol is not None else Danger.NONE
