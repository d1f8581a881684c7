"""The opcodes of ``pickletools``, and a reader of their arguments that passes over what the machine does not follow."""

import pickletools
import re
from typing import Final

from modelpm.api.toolkit import BoundError, Cursor, MalformedError
from modelpm_formats.pickle_values import BYTES

TABLE: Final = {ord(op.code): op for op in pickletools.opcodes}
_LONGEST_TEXT: Final = 4096
_LONGEST_NUMBER: Final = 16
_DECIMAL: Final = re.compile(
    rb"-?(?:0|[1-9][0-9]{0,18})|0[01]"
)  # what every unpickler reads alike; 00 and 01 are bools
_LENGTHS: Final = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
_BYTES: Final = {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
_TEXTS: Final = {"BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING"}
_NUMBERS: Final = {"BININT", "BININT1", "BININT2", "PROTO", "FRAME", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET"}


def argument(cursor: Cursor, op: pickletools.OpcodeInfo) -> object:
    """Read an opcode's argument; return it where the machine follows it (texts, numbers, bytes), else ``None``."""
    kind = op.arg.n if op.arg else 0
    if kind >= 0:
        raw = cursor.take(kind)
        return int.from_bytes(raw, "little", signed=op.name == "BININT") if op.name in _NUMBERS else None
    if kind == pickletools.UP_TO_NEWLINE:
        return _line(cursor, op.name)
    length = cursor.number(_LENGTHS[kind])
    if op.name in _TEXTS and length <= _LONGEST_TEXT:
        return cursor.take(length).decode("utf-8", "replace")
    if op.name in {"LONG1", "LONG4"} and length <= _LONGEST_NUMBER:
        return int.from_bytes(cursor.take(length), "little", signed=True)
    cursor.skip(length)
    return BYTES if op.name in _BYTES else None


def _index(line: bytes, position: int) -> int:
    """Read a memo index as unpicklers do: with signs, spaces, underscores and any number of zeros."""
    if len(line) > _LONGEST_TEXT:
        raise BoundError(f"the memo index at byte {position:,} has more than {_LONGEST_TEXT:,} characters")
    try:
        return int(line)
    except ValueError:
        raise MalformedError(f"the memo index at byte {position:,} is not a number") from None


def _line(cursor: Cursor, name: str) -> object:
    line = cursor.line(_LONGEST_TEXT + 1)
    if name in {"GLOBAL", "INST"}:
        return f"{line.decode('utf-8', 'replace')}.{cursor.line(_LONGEST_TEXT).decode('utf-8', 'replace')}"
    if name in {"PUT", "GET"}:
        return _index(line, cursor.position)
    if name == "INT":
        return int(line) if _DECIMAL.fullmatch(line) else None
    if len(line) > _LONGEST_TEXT or b"\\" in line:
        return None
    if name == "STRING":
        return line[1:-1].decode("utf-8", "replace")
    return line.decode("latin-1") if name == "UNICODE" else None
