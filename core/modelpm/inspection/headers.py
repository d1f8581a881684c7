"""Read what headers say of files at their sources: one range of 64 KiB a file, of few files."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from modelpm.api.inspection import Facts
from modelpm.api.types import RemoteFile
from modelpm.errors import Interrupted, ModelpmError
from modelpm.inspection.files import remote_range
from modelpm.inspection.inspectors import Inspectors
from modelpm.plugins.kinds.source import GuardedSource

_PIECE: Final = 64 << 10
_MOST: Final = (16 << 20) // _PIECE


@dataclass(frozen=True, slots=True)
class _Begin:
    """The first bytes of a file; a header that goes beyond them is cut.

    Attributes:
        data: These bytes.
        size: How many bytes the whole file has.
    """

    data: bytes
    size: int

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes from ``offset``, as far as they are here."""
        return self.data[offset : offset + length]


def read_headers(inspectors: Inspectors, source: GuardedSource, files: Sequence[RemoteFile]) -> dict[str, Facts]:
    """Return what the headers of all these files say, by path; nothing where one cannot be read.

    Args:
        inspectors: Know the formats.
        source: Serves the files.
        files: Of its listing. Of more than 16 MiB of headers none is read.
    """
    found: dict[str, Facts] = {}
    for file in files if len(files) <= _MOST else ():
        if (facts := _of(inspectors, source, file)) is None:
            return {}
        found[file.path] = facts
    return found


def _of(inspectors: Inspectors, source: GuardedSource, file: RemoteFile) -> Facts | None:
    length = _PIECE if file.size is None else min(_PIECE, file.size)
    try:
        data = remote_range(source, file, file.locations[0], 0, length)
        return inspectors.read(_Begin(data, file.size or len(data)))
    except Interrupted:
        raise
    except ModelpmError:  # the server refuses, or the header is longer: names must do
        return None
