"""The standard streams of a run: all three open, a stderr that stops nothing, a stdout for what was asked for alone."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EPIPE
from io import BufferedWriter, FileIO, TextIOWrapper
from typing import Any, NoReturn, TextIO

from modelpm.errors import StoreError
from modelpm.text.untrusted import printable

_PATIENCE = 3.0  # seconds for what threads of plugins have begun
CLOSED = 141  # the exit code a shell shows for a writer whose reader closed the pipe: 128 + SIGPIPE


class UnwritableError(OSError):
    """stdout does not take what was asked for."""


def lost_code(error: OSError) -> int:
    """Return the exit code of a run whose stdout took nothing more."""
    return CLOSED if error.errno == EPIPE else StoreError.exit_code


class _Data(BufferedWriter):
    """stdout: it says once that it takes nothing; what comes after that is lost in silence, at exit too."""

    lost = False

    def write(self, data: Any, /) -> int:
        with self._said_once():
            super().write(data)
        return len(data)

    def flush(self) -> None:
        with self._said_once():
            super().flush()

    @contextmanager
    def _said_once(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self.lost:
                self.lost = True
                raise UnwritableError(error.errno, error.strerror) from error


class _Talk(BufferedWriter):
    """stderr: a write that fails is dropped, since no stream is left that could report it."""

    def write(self, data: Any, /) -> int:
        with suppress(OSError):
            super().write(data)
        return len(data)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def claim() -> None:
    """Replace the interpreter's streams; the process of the command line calls this once."""
    for descriptor, stream, flags in (
        (0, sys.stdin, os.O_RDONLY),
        (1, sys.stdout, os.O_RDONLY),  # not writable: a run that has output fails, and tells the user who closed it
        (2, sys.stderr, os.O_WRONLY),
    ):
        if stream is None:  # closed by the caller; no file that is opened later may get its number
            os.dup2(os.open(os.devnull, flags), descriptor)
    sys.stdin = sys.stdin or open(0, closefd=False, encoding="utf-8")  # noqa: SIM115 - a descriptor, for good
    if os.name != "nt":  # a console of Windows is not a file
        sys.stdout = _stream(_Data(FileIO(1, "wb", closefd=False)), sys.stdout)
        sys.stderr = _stream(_Talk(FileIO(2, "wb", closefd=False)), sys.stderr)


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


def end(code: int) -> NoReturn:
    """Exit; without the threads that a plugin left behind and that would keep the process."""
    deadline = time.monotonic() + _PATIENCE
    for thread in [t for t in threading.enumerate() if not t.daemon and t is not threading.main_thread()]:
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            sys.stdout.flush()
            sys.stderr.write(f"warning: a thread of a plugin still runs, and is ended: {printable(thread.name[:80])}\n")
            sys.stderr.flush()
            os._exit(code)
    sys.exit(code)


def _stream(writer: BufferedWriter, before: TextIO | None) -> TextIO:
    encoding = before.encoding if before is not None else "utf-8"
    # A terminal that cannot show a character gets it escaped.
    return TextIOWrapper(writer, encoding, "backslashreplace", line_buffering=True)
