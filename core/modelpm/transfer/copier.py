"""Copy what older files seem to have into a partial, on a thread of its own, while the rest is fetched and hashed."""

import os
import threading
from pathlib import Path

from modelpm.disk import system
from modelpm.transfer.comparison import Comparison
from modelpm.transfer.context import RunContext
from modelpm.transfer.file_state import FileState
from modelpm.transfer.likeness import Span
from modelpm.transfer.recovery import Recovery

_PIECE = 1 << 20  # as many files may be under way as there are connections: this is the memory of each
_BACKLOG_PAUSE = 0.005  # seconds between two looks whether the digest has caught up


class Copier:
    """Copies the spans of one file, in file order; what differs after all, or cannot be read, is fetched."""

    def __init__(self, file: FileState, comparison: Comparison, recovery: Recovery, context: RunContext) -> None:
        """Begin to copy."""
        self._file, self._comparison, self._recovery, self._context = file, comparison, recovery, context
        self._path: Path | None = None
        self._fd = -1
        self._buffer = memoryview(bytearray(_PIECE))
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="modelpm-copy", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Copy nothing more; return when nothing is being written."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            for span in self._comparison.spans:
                self._copy(span)
        except BaseException as error:  # noqa: BLE001 - the file's own thread raises it
            self._recovery.fail(self._file, error)
        finally:
            self._close()

    def _copy(self, span: Span) -> None:
        partial = self._file.partial
        while (missing := partial.gaps(span.start, span.stop)) and not self._stopped.is_set():
            start, stop = missing[0]
            differs = span in self._comparison.differing()
            count = 0 if differs else self._read(span, start, min(stop - start, _PIECE))
            if not count:
                for gap in missing:
                    self._context.scheduler.refetch(self._file, *gap)
                return
            partial.write(start, self._buffer[:count], copied=True)
            while self._file.hash_is_behind() and not self._stopped.wait(_BACKLOG_PAUSE):
                pass

    def _read(self, span: Span, start: int, count: int) -> int:
        """Fill the buffer; return how many bytes came, none if the disk fails."""
        try:
            if span.path != self._path:
                self._close()
                self._fd, self._path = system.open_file(span.path, os.O_RDONLY), span.path
            return system.pread_into(self._fd, self._buffer[:count], span.offset + start - span.start)
        except OSError:
            return 0

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._path = -1, None
