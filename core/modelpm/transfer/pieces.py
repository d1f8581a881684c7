"""Find the pieces of a new file in older ones by their digests, where the source has written them down."""

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from modelpm.api.oci import PIECE
from modelpm.errors import ModelpmError
from modelpm.inspection.files import LocalFile
from modelpm.transfer.likeness import Span

_AT_ONCE = 4 << 20


def equal_pieces(
    pieces: Sequence[str], size: int, older: Mapping[Path, LocalFile], stopped: threading.Event
) -> list[Span]:
    """Return the spans that the first older file has that has any; each piece is looked for where it stands.

    Args:
        pieces: SHA-256 of each 16 MiB of the new file.
        size: Its bytes.
        older: The files here, the likeliest first.
        stopped: Ends the search.
    """
    for path, file in older.items():
        try:
            found = list(_joined(_equal(pieces, size, path, file, stopped)))
        except ModelpmError:  # the disk fails there
            continue
        if found:
            return found
    return []


def _equal(pieces: Sequence[str], size: int, path: Path, file: LocalFile, stopped: threading.Event) -> Iterator[Span]:
    for number, wanted in enumerate(pieces):
        start, stop = number * PIECE, min((number + 1) * PIECE, size)
        if stopped.is_set() or stop > file.size:
            return
        hasher = hashlib.sha256()
        for at in range(start, stop, _AT_ONCE):
            hasher.update(file.read(at, min(_AT_ONCE, stop - at)))
        if hasher.hexdigest() == wanted:
            yield Span(start, stop, path, start)


def _joined(spans: Iterator[Span]) -> Iterator[Span]:
    """Yield spans that follow each other as one."""
    last: Span | None = None
    for span in spans:
        if last is not None and last.stop == span.start:
            last = Span(last.start, span.stop, span.path, last.offset)
            continue
        if last is not None:
            yield last
        last = span
    if last is not None:
        yield last
