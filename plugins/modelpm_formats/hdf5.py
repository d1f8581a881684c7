"""HDF5, as Keras and others write it: the superblock, and what a Keras model in it would run.

Keras reads the configuration of a whole model from an attribute of the file's root. modelpm reads it there, too.
"""

from typing import TYPE_CHECKING, Final

from modelpm.api.inspection import ByteSource, Danger, Findings
from modelpm.api.toolkit import MalformedError, dangerous, structural

if TYPE_CHECKING:  # start-up: few files are HDF5
    from modelpm_formats.hdf5_attributes import Superblock

NAME: Final = "hdf5"
MAGIC: Final = b"\x89HDF\r\n\x1a\n"
_FIRST_BLOCK: Final = 512
_PIECE: Final = 4 << 20
_CONFIGURATIONS: Final = (b"model_config", b"training_config")


def recognizes(head: bytes) -> bool:
    """Return whether the first bytes are those of an HDF5 file."""
    return head.startswith(MAGIC)


def begins_later(source: ByteSource) -> bool:
    """Return whether a file is HDF5 behind another program's block, at 512 bytes or a power of two times that."""
    return bool(_start(source))


def _start(source: ByteSource) -> int | None:
    if source.read(0, len(MAGIC)) == MAGIC:
        return 0
    start = _FIRST_BLOCK
    while start < source.size:
        if source.read(start, len(MAGIC)) == MAGIC:
            return start
        start *= 2
    return None


def inspect(source: ByteSource) -> Findings:
    """Check the superblock, and what the configuration of a Keras model would run."""
    from modelpm_formats.hdf5_attributes import Superblock

    start = _start(source)
    if start is None:
        return Findings(None)
    try:
        block = Superblock.read(source, start)
    except MalformedError as error:
        return Findings(NAME, problems=structural([str(error)]))
    if why := _code_in(source, block):
        return Findings(NAME, danger=Danger.CODE, problems=dangerous([why]))
    return Findings(NAME)


def _code_in(source: ByteSource, block: "Superblock") -> str | None:
    from modelpm_formats import keras
    from modelpm_formats.hdf5_attributes import attributes

    try:
        found = attributes(source, block, _CONFIGURATIONS)
    except MalformedError as error:
        if _mentions(source):
            return f"it holds a Keras model whose configuration modelpm cannot read: {error}"
        return None
    return next((code for text in found if (code := keras.code_in(text))), None)


def _mentions(source: ByteSource) -> bool:
    """Return whether the name of a configuration stands anywhere in a file."""
    tail = b""
    for offset in range(0, source.size, _PIECE):
        piece = tail + source.read(offset, _PIECE)
        if any(name in piece for name in _CONFIGURATIONS):
            return True
        tail = piece[-len(_CONFIGURATIONS[-1]) :]
    return False
