"""The digests of a file that is still growing, taken in file order behind the lowest offset that is missing."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from modelpm import disk
from modelpm.api.kinds import Hasher
from modelpm.api.types import Digest
from modelpm.disk import system
from modelpm.errors import ModelpmError, PluginError
from modelpm.store.blobs.records import PIECE

BLOCK = 1 << 17  # bytes to take in at once: fits the processor's cache; a larger one is slower


class Digests:
    """SHA-256 of a file, its prefix digests, and the digest that was promised where it is another.

    Attributes:
        position: Bytes taken in so far.
        prefixes: SHA-256 (hexadecimal) of the bytes before each multiple of ``PIECE``.
    """

    def __init__(self, promised: Digest | None, size: int | None, hasher: Callable[[str, int | None], Hasher]) -> None:
        self.position = 0
        self.prefixes: list[str] = []
        self._promised = promised
        self._size = size
        self._make = hasher
        self._begin()

    def _begin(self) -> None:
        self.position = 0
        self.prefixes = []
        self._sha256 = hashlib.sha256()
        self._kept = 0  # prefixes at the state to rewind to
        self._good = self._sha256.copy()
        self._other: Hasher | None = None
        if self._promised is not None and self._promised.algorithm != "sha256":
            self._other = self._make(self._promised.algorithm, self._size)

    def room(self) -> int:
        """Return how many bytes :meth:`feed` takes at most now: up to the next multiple of ``PIECE``."""
        return PIECE - self.position % PIECE

    def feed(self, block: memoryview) -> None:
        """Take in the bytes at ``position``, at most ``room()`` of them."""
        self._sha256.update(block)
        if self._other is not None:
            try:
                self._other.update(block)
            except ModelpmError:
                raise
            except Exception as error:
                raise self._blame(error) from error
        self.position += len(block)
        if block and self.position % PIECE == 0:
            self.prefixes.append(self._sha256.copy().hexdigest())

    def feed_file(self, path: Path, step: Callable[[], None]) -> None:
        """Take in a whole file; ``step`` is called before each block, and may raise to stop.

        Raises:
            StoreError: It cannot be read.
        """
        buffer = memoryview(bytearray(BLOCK))
        with disk.explained(path, "read"):
            fd = system.open_file(path, os.O_RDONLY)
            try:
                while count := system.pread_into(fd, buffer[: self.room()], self.position):
                    step()
                    self.feed(buffer[:count])
            finally:
                os.close(fd)

    def keep(self) -> None:
        """Remember this state, at a multiple of ``PIECE``, as one to rewind to."""
        self._kept, self._good = len(self.prefixes), self._sha256.copy()

    def rewind(self) -> None:
        """Go back to the last multiple of ``PIECE`` that was kept; a digest that can't go back begins anew."""
        if self._other is not None:
            self._begin()
            return
        self._sha256 = self._good.copy()
        del self.prefixes[self._kept :]
        self.position = len(self.prefixes) * PIECE

    def sha256(self) -> str:
        """Return the SHA-256 of what was taken in, in hexadecimal."""
        return self._sha256.hexdigest()

    def promised(self) -> str:
        """Return the digest of what was taken in by the algorithm that was promised."""
        if self._other is None:
            return self.sha256()
        try:
            return self._other.hexdigest()
        except ModelpmError:
            raise
        except Exception as error:
            raise self._blame(error) from error

    def _blame(self, error: Exception) -> PluginError:
        algorithm = self._promised.algorithm if self._promised else "sha256"
        return PluginError(f"the digest plugin for `{algorithm}` failed: {type(error).__name__}: {error}")
