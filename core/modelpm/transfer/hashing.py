"""The digests of a file that is still growing: its bytes are hashed in file order, up to the lowest missing offset."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from modelpm import disk
from modelpm.api.kinds import Hasher
from modelpm.api.types import Digest
from modelpm.disk import system
from modelpm.errors import ModelpmError, PluginError
from modelpm.store.blobs.records import PIECE

BLOCK = 1 << 17  # bytes to hash at once: they fit the processor's cache, and a larger block is slower


class Digests:
    """SHA-256 of a file, its prefix digests, and the promised digest where that is another one.

    Attributes:
        position: Bytes hashed so far.
        prefixes: SHA-256 (hexadecimal) of the bytes before each multiple of ``PIECE``.
    """

    def __init__(self, promised: Digest | None, other: Hasher | None) -> None:
        """Start with no bytes.

        Args:
            promised: The promised digest, if any.
            other: Its running digest, where its algorithm is not SHA-256.
        """
        self.position = 0
        self.prefixes: list[str] = []
        self._promised = promised
        self._other = other
        self._sha256 = hashlib.sha256()
        self._kept = 0  # prefixes at the state to rewind to
        self._kept_state = self._sha256.copy()

    def room(self) -> int:
        """Return how many bytes :meth:`feed` takes at most now: up to the next multiple of ``PIECE``."""
        return PIECE - self.position % PIECE

    def feed(self, block: memoryview) -> None:
        """Hash the bytes at ``position``, up to the next multiple of ``PIECE`` at most."""
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

    def feed_file(self, path: Path) -> Iterator[None]:
        """Hash a whole file, and yield before each block.

        Raises:
            StoreError: It cannot be read.
        """
        buffer = memoryview(bytearray(BLOCK))
        with disk.explained(path, "read"):
            fd = system.open_file(path, os.O_RDONLY)
            try:
                while count := system.pread_into(fd, buffer[: self.room()], self.position):
                    yield
                    self.feed(buffer[:count])
            finally:
                os.close(fd)

    def keep(self) -> None:
        """Remember this state, at a multiple of ``PIECE``, as one to rewind to."""
        self._kept, self._kept_state = len(self.prefixes), self._sha256.copy()

    def rewind(self, other: Hasher | None) -> None:
        """Go back to the last multiple of ``PIECE`` that was kept, or to the first byte.

        Args:
            other: A fresh running digest, where the promised one is not SHA-256: it cannot go back, and starts over.
        """
        if other is not None:
            self._other, self._kept, self._kept_state = other, 0, hashlib.sha256()
        self._sha256 = self._kept_state.copy()
        del self.prefixes[self._kept :]
        self.position = len(self.prefixes) * PIECE

    def sha256(self) -> str:
        """Return the SHA-256 of the bytes so far, in hexadecimal."""
        return self._sha256.hexdigest()

    def promised(self) -> str:
        """Return the digest of the bytes so far, by the promised algorithm."""
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
