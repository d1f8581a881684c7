"""The standard streams of a run: all three open, a stderr that stops nothing, a stdout for what was asked for alone."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedWriter, FileIO, TextIOWrapper
from typing import Any, TextIO


class UnwritableError(OSError):
    """stdout does not take what was asked for."""


class _Data(FileIO):
    """stdout: it says once that it takes nothing; what comes after that is lost in silence, at exit too."""

    lost = False

    def write(self, data: Any, /) -> int:
        if self.lost:
            return len(data)
        try:
            return super().write(data)
        except OSError as error:
            self.lost = True
            raise UnwritableError(error.errno, error.strerror) from error


class _Talk(FileIO):
    """stderr: what it does not take is lost, for there is nobody left to be told."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


def claim() -> None:
    """Take the streams over from the interpreter; for the process that is the command line, once."""
    for descriptor, stream, flags in (
        (0, sys.stdin, os.O_RDONLY),
        (1, sys.stdout, os.O_RDONLY),  # cannot be written: whoever closed it is told, if anything was asked for
        (2, sys.stderr, os.O_WRONLY),
    ):
        if stream is None:  # closed by the caller; no file that is opened later may get its number
            os.dup2(os.open(os.devnull, flags), descriptor)
    sys.stdin = sys.stdin or open(0, closefd=False, encoding="utf-8")  # noqa: SIM115 - a descriptor, for good
    if os.name != "nt":  # a console of Windows is no file
        sys.stdout = _stream(_Data(1, "wb", closefd=False), sys.stdout)
        sys.stderr = _stream(_Talk(2, "wb", closefd=False), sys.stderr)


@contextmanager
def reserved() -> Iterator[None]:
    """Keep stdout for what was asked for: whatever is printed inside, by a plugin say, goes to stderr."""
    stdout = sys.stdout
    stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdout = stdout
        os.dup2(kept, 1)
        os.close(kept)


def _stream(raw: FileIO, before: TextIO | None) -> TextIO:
    encoding = before.encoding if before is not None else "utf-8"
    # A terminal that cannot show a character gets it escaped.
    return TextIOWrapper(BufferedWriter(raw), encoding, "backslashreplace", line_buffering=True)
