"""Programs: whatever a system runs when it is opened, by its first bytes."""

import re
from typing import Final

from modelpm.api.inspection import ByteSource, Danger, Findings
from modelpm.api.toolkit import dangerous

NAME: Final = "executable"
HEAD: Final = 4096
_MAGICS: Final = {
    b"MZqFpD='": "llamafile",
    b"jartsr='": "llamafile",
    b"\x7fELF": "ELF",
    b"\xfe\xed\xfa\xce": "Mach-O",
    b"\xfe\xed\xfa\xcf": "Mach-O",
    b"\xce\xfa\xed\xfe": "Mach-O",
    b"\xcf\xfa\xed\xfe": "Mach-O",
    b"\xca\xfe\xba\xbe": "Mach-O or Java",
    b"\xca\xfe\xba\xbf": "Mach-O",
    b"\x00asm": "WebAssembly",
}
_SCRIPT: Final = re.compile(rb"(?:\xef\xbb\xbf)?#![ \t]{0,9}/")  # `#!version` begins a tokenizer's merges
_PYTHON: Final = re.compile(rb".[\x0b-\x0f]\r\n[\0-\x03]\0\0\0", re.DOTALL)  # a version of bytecode, and flags
_DOS: Final = b"MZ"
_DOS_HEADER: Final = 64


def kind(head: bytes) -> str | None:
    """Return what kind of program the first bytes begin: ELF, PE, Mach-O, script, bytecode, llamafile."""
    for magic, name in _MAGICS.items():
        if head.startswith(magic):
            return name
    if _SCRIPT.match(head) or _PYTHON.match(head):
        return "script" if _SCRIPT.match(head) else "Python bytecode"
    binary = len(head) >= _DOS_HEADER and b"\0" in head[:_DOS_HEADER]
    return "PE" if head.startswith(_DOS) and binary else None


def recognizes(head: bytes) -> bool:
    """Return whether the first bytes are those of a program."""
    return kind(head) is not None


def glance(head: bytes) -> Danger:
    """Return that a program is code."""
    return Danger.CODE if recognizes(head) else Danger.NONE


def inspect(source: ByteSource) -> Findings:
    """Return that the file is code."""
    name = kind(source.read(0, HEAD))
    if name is None:
        return Findings(None)
    return Findings(NAME, danger=Danger.CODE, problems=dangerous([f"the file is a program ({name})"]))
