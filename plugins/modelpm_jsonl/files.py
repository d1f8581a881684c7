"""The files of one log: ``audit.jsonl``, and its archives ``audit-000001.jsonl`` and so on.

An archive is never written again. The chain runs through all files, so one that is missing shows.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from modelpm.api.toolkit import open_file
from modelpm_jsonl import chain
from modelpm_jsonl.chain import MAX_LINE

CURRENT = "audit.jsonl"
_ARCHIVE = re.compile(r"audit-([0-9]{6,12})\.jsonl")
_BLOCK = 1 << 18  # bytes read at once from the end


def archives(folder: Path) -> list[Path]:
    """Return the archives of a log, oldest first."""
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    numbered = sorted((int(match[1]), name) for name in names if (match := _ARCHIVE.fullmatch(name)))
    return [folder / name for _, name in numbered]


def next_archive(folder: Path) -> Path:
    """Return the name under which the current file is archived next."""
    known = archives(folder)
    number = int(_ARCHIVE.fullmatch(known[-1].name)[1]) if known else 0  # type: ignore[index]
    return folder / f"audit-{number + 1:06d}.jsonl"


@dataclass(frozen=True, slots=True)
class _Part:
    path: Path
    file: BinaryIO
    size: int


class LogFiles:
    """Every file of a log, open as they stood at one moment; what is appended later is not seen.

    Args:
        folder: Holds the log.

    Raises:
        OSError: One of the files cannot be opened.
    """

    def __init__(self, folder: Path) -> None:
        self._parts: list[_Part] = []
        with ExitStack() as stack:
            for path in (*archives(folder), folder / CURRENT):
                try:
                    file = stack.enter_context(os.fdopen(open_file(path, os.O_RDONLY), "rb"))
                except FileNotFoundError:
                    continue
                self._parts.append(_Part(path, file, os.fstat(file.fileno()).st_size))
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def lines(self) -> Iterator[bytes]:
        """Yield all lines with their line feeds, oldest first; one too long to be a record comes in pieces."""
        for part in self._parts:
            yield from _lines(part)

    def records(self) -> Iterator[Mapping[str, Any]]:
        """Yield the records, oldest first; lines that are none are passed over."""
        for line in self.lines():
            if record := chain.read(line):
                yield record

    def tail(self, limit: int) -> list[Mapping[str, Any]]:
        """Return the last ``limit`` records, oldest first; reads no more than they need."""
        found: list[Mapping[str, Any]] = [*islice(filter(None, map(chain.read, self._backwards())), limit)]
        return found[::-1]

    def end(self, limit: int) -> list[bytes]:
        """Return the last ``limit`` finished lines, oldest first; one too long to be a record is empty."""
        return [*islice(self._backwards(), limit)][::-1]

    def place(self, number: int) -> tuple[Path, int] | None:
        """Return the file and the line in it of a line counted over all files, from 1; None behind the last."""
        for part in self._parts:
            count = sum(1 for _ in _lines(part))
            if number <= count:
                return part.path, number
            number -= count
        return None

    def _backwards(self) -> Iterator[bytes]:
        for part in reversed(self._parts):
            yield from _backwards(part)


def _lines(part: _Part) -> Iterator[bytes]:
    part.file.seek(0)
    left = part.size
    while left > 0 and (line := part.file.readline(min(left, MAX_LINE + 1))):
        left -= len(line)
        yield line


def _backwards(part: _Part) -> Iterator[bytes]:
    """Yield the finished lines, the last first; one too long to be a record is empty."""
    end, rest = part.size, b""  # rest: the end of a line whose beginning stands further ahead
    while end > 0:
        begin = max(0, end - _BLOCK)
        part.file.seek(begin)
        first, *others = (part.file.read(end - begin) + rest[-MAX_LINE - 1 :]).split(b"\n")
        for line in reversed(others[:-1]):
            yield line + b"\n" if len(line) < MAX_LINE else b""
        rest = first + b"\n" if others else first
        end = begin
    if rest.endswith(b"\n"):
        yield rest if len(rest) <= MAX_LINE else b""
