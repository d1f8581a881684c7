"""The processes that run jobs: one is alive while it holds the lock on its file, which the kernel frees with it."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from modelpm import disk
from modelpm.errors import Code, StoreError
from modelpm.store import locks


class Runners:
    """The files of the runners, in a folder beside the queue.

    Attributes:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def registered(self) -> Iterator[str]:
        """Be alive while the block runs, under a name that no other runner ever has."""
        disk.make_folder(self.folder, below=self.folder.parent, mode=0o700)
        name = secrets.token_hex(8)
        with locks.hold(self._file(name), timeout=0):
            yield name
        self._file(name).unlink(missing_ok=True)

    @contextmanager
    def dead(self, name: str) -> Iterator[bool]:
        """Tell the block whether a runner is dead; while it runs, no other process is told so."""
        disk.make_folder(self.folder, below=self.folder.parent, mode=0o700)
        try:
            with locks.hold(self._file(name), timeout=0):
                yield True
        except StoreError as error:
            if error.code != Code.LOCK_TIMEOUT:
                raise
            yield False
            return
        with suppress(OSError):
            self._file(name).unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.lock"
