"""What else this machine has: stores of others, which are only read, and blobs in another program's cache.

A blob of a tier is used where it is. A file of a cache, which its program may remove at any time, is taken over into
our own store: as a clone, as a second name of the same file, or as a copy; it is never moved and never changed.
"""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelpm.store import blobs, meta
from modelpm.store.layout import Layout


@dataclass(frozen=True, slots=True)
class Tiers:
    """The stores of others, in order of preference.

    Attributes:
        own: Ours; what is found out about a blob of a tier is recorded there.
        layouts: Theirs.
    """

    own: Layout
    layouts: tuple[Layout, ...] = ()

    def find(self, sha256: str, size: int) -> Path | None:
        """Return a blob of that size that looks untouched since it was checked; reads none of its bytes."""
        for layout, path, facts in self._standing(sha256):
            if facts.st_size == size and self._is_known(layout, sha256, facts):
                return path
        return None

    def locate(self, sha256: str) -> Path | None:
        """Return the first blob of that name, however it looks."""
        return next((path for _, path, _ in self._standing(sha256)), None)

    def check(
        self, sha256: str, size: int, *, quick: bool = False, step: Callable[[int], None] | None = None
    ) -> str | None:
        """Say what is wrong with the first blob of that name, as :func:`modelpm.store.blobs.check`."""
        for layout, path, facts in self._standing(sha256):
            if not quick:
                problem = blobs.check(self.own, sha256, size, path=path, step=step)
            elif facts.st_size != size:
                problem = f"size {facts.st_size}, expected {size}"
            else:
                problem = None if self._is_known(layout, sha256, facts) else "replaced, or never checked"
            return f"{path}: {problem}" if problem else None
        return "missing"

    def _standing(self, sha256: str) -> Iterator[tuple[Layout, Path, os.stat_result]]:
        for layout in self.layouts:
            path = layout.blob(sha256)
            try:
                facts = path.lstat()
            except OSError:
                continue
            if stat.S_ISREG(facts.st_mode):
                yield layout, path, facts

    def _is_known(self, layout: Layout, sha256: str, facts: os.stat_result) -> bool:
        """Whether we, or else the store's owner, found exactly this file good."""
        known = meta.read(self.own.record(sha256)) or meta.read(layout.record(sha256))
        return known is not None and known.fits(facts)


def in_caches(folders: Sequence[Path], sha256: str, size: int) -> Iterator[Path]:
    """Yield the files of Hugging Face caches whose name promises the wanted bytes, symlinks resolved.

    Args:
        folders: The caches: each has a folder a repository, and that has one of blobs named by their digests.
        sha256: Wanted.
        size: Bytes it must have.
    """
    for folder in folders:
        try:
            with os.scandir(folder) as entries:
                repositories = sorted(entry.path for entry in entries if "--" in entry.name)
        except OSError:
            continue
        for repository in repositories:
            path = Path(repository, "blobs", sha256)
            try:
                facts = path.stat()  # follows the link into the cache's own shared store
                if stat.S_ISREG(facts.st_mode) and facts.st_size == size:
                    yield path.resolve(strict=True)
            except OSError:
                continue
