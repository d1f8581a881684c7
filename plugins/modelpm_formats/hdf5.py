"""HDF5, as Keras and others write it: the superblock, and Lambda layers, which are code."""

import re
from typing import Final

from modelpm.api.inspection import ByteSource, Danger, Findings
from modelpm.api.toolkit import dangerous, structural

NAME: Final = "hdf5"
MAGIC: Final = b"\x89HDF\r\n\x1a\n"
_WIDTHS: Final = (2, 4, 8)
_NEWER: Final = 2  # the superblock whose fields moved
_NEWEST: Final = 3
_PIECE: Final = 4 << 20
_OVERLAP: Final = 64
_WHOLE_MODEL: Final = b"model_config"
_LAMBDA: Final = re.compile(rb'"Lambda"|\\u00[2-7][0-9a-fA-F]')  # an escaped letter could spell it, too


def recognizes(head: bytes) -> bool:
    """Return whether the first bytes are those of an HDF5 file."""
    return head.startswith(MAGIC)


def inspect(source: ByteSource) -> Findings:
    """Check the superblock, and look for Lambda layers where the file holds a whole Keras model."""
    head = source.read(0, 64)
    problems = structural([wrong] if (wrong := _wrong(head, source.size)) else [])
    if not problems and _holds_lambda(source):
        why = "its Keras model has a Lambda layer, which is code"
        return Findings(NAME, danger=Danger.CODE, problems=dangerous([why]))
    return Findings(NAME, problems=problems)


def _wrong(head: bytes, size: int) -> str | None:
    version = head[8] if len(head) > len(MAGIC) else -1
    newer = version >= _NEWER
    at, end = (9, 12) if newer else (13, 24 if version == 0 else 28)
    width = head[at] if len(head) > at else 0
    if not 0 <= version <= _NEWEST or width not in _WIDTHS:
        return f"the HDF5 superblock cannot be read: its version is {version}"
    place = end + 2 * width  # base, extension or free space, end of the file
    declared = int.from_bytes(head[place : place + width], "little")
    if len(head) < place + width or declared > size:
        return f"the HDF5 file is declared to have {declared:,} bytes, and it has {size:,}"
    return None


def _holds_lambda(source: ByteSource) -> bool:
    whole, found, tail = False, False, b""
    for offset in range(0, source.size, _PIECE):
        piece = tail + source.read(offset, _PIECE)
        whole = whole or _WHOLE_MODEL in piece
        found = found or _LAMBDA.search(piece) is not None
        if whole and found:
            return True
        tail = piece[-_OVERLAP:]
    return False
