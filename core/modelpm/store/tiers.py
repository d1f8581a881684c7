"""Other places on this machine that have bytes: read-only stores, and the caches of other programs.

A blob of a tier is used where it is. A file of a cache, which its program may remove at any time, is taken into our
own store: as a clone, or as a copy; it is never moved and never changed.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from modelpm.api.local_source import cache_roots
from modelpm.store.blobs.known import Place
from modelpm.store.layout import Layout


def in_tiers(layouts: Sequence[Layout], sha256: str) -> Iterator[tuple[Place, os.stat_result]]:
    """Yield the files that have a blob's name in the stores of others, and what the system says of them."""
    for layout in layouts:
        place = Place(sha256, layout.blob_name(sha256), layout.record_name(sha256))
        try:
            facts = os.lstat(place.path)
        except OSError:
            continue
        if stat.S_ISREG(facts.st_mode):
            yield place, facts


def in_caches(folders: Sequence[Path], sha256: str, size: int, path: str = "") -> Iterator[Path]:
    """Yield the files of Hugging Face caches that may be the wanted bytes, symlinks resolved; nothing is hashed.

    Args:
        folders: The caches: each has a folder a repository. That has blobs named by their digests, and snapshots whose
            files are links to them; or, on a disk without symlinks, the files themselves.
        sha256: Wanted.
        size: Bytes it must have.
        path: The file's path in its repository; empty if that is unknown.
    """
    for folder in folders:
        for repository in _folders(folder):
            if "--" not in os.path.basename(repository):  # noqa: PTH119 - as text
                continue
            names = [os.path.join(repository, "blobs", sha256)]  # noqa: PTH118 - as text
            if path:
                names += [os.path.join(s, path) for s in _folders(os.path.join(repository, "snapshots"))]  # noqa: PTH118
            roots = cache_roots(Path(repository))
            for name in names:
                if (found := _within(name, size, roots)) is not None:
                    yield found


def _within(name: str, size: int, roots: Sequence[Path]) -> Path | None:
    """Return the real path of a regular file of a size, if it is below one of the roots."""
    try:
        facts = os.stat(name)  # noqa: PTH116 - as text
        if not stat.S_ISREG(facts.st_mode) or facts.st_size != size:
            return None
        real = Path(name).resolve(strict=True)
    except (OSError, ValueError):
        return None
    return real if any(real.is_relative_to(root) for root in roots) else None


def _folders(folder: Path | str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.path for entry in entries if entry.is_dir())
    except OSError:
        return []
