"""The standard streams of a run: all three open, a stderr that never fails, a stdout for results only."""

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

_PATIENCE = 3.0  # seconds for threads of plugins to end
CLOSED = 141  # the exit code a shell shows for a writer whose reader closed the pipe: 128 + SIGPIPE


class UnwritableError(OSError):
    """stdout cannot be written."""


def lost_code(error: OSError) -> int:
    """Return the exit code of a run whose stdout could not be written."""
    return CLOSED if error.errno == EPIPE else StoreError.exit_code


class _Data(BufferedWriter):
    """stdout: it raises once if it cannot be written; later writes are dropped, at exit, too."""

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
    """stderr: a failed write is dropped, because no stream could report it."""

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
        (1, sys.stdout, os.O_RDONLY),  # not writable: a run with output fails, and says so
        (2, sys.stderr, os.O_WRONLY),
    ):
        if stream is None:  # closed by the caller; no later file may get its number
            os.dup2(os.open(os.devnull, flags), descriptor)
    sys.stdin = sys.stdin or open(0, closefd=False, encoding="utf-8")  # noqa: SIM115 - a descriptor, for good
    if os.name != "nt":  # a console of Windows is not a file
        sys.stdout = _stream(_Data(FileIO(1, "wb", closefd=False)), sys.stdout)
        sys.stderr = _stream(_Talk(FileIO(2, "wb", closefd=False)), sys.stderr)


@contextmanager
def reserved() -> Iterator[None]:
    """Keep stdout for results: what the block prints, such as a plugin, goes to stderr."""
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
    """Exit without waiting for threads that a plugin left behind."""
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
    # Escape characters that the terminal cannot show.
    return TextIOWrapper(writer, encoding, "backslashreplace", line_buffering=True)
