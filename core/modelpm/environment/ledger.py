"""The ledger of a view: which entries modelpm made, and how to tell them from files the user put in their place.

Its folder can come from anywhere (a clone, an archive), so its keys are hostile until they are checked.
"""

import os
import stat
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from modelpm.disk.reading import read_bytes
from modelpm.errors import Code, IntegrityError, too_new
from modelpm.store.layout import is_sha256
from modelpm.text.untrusted import MODEL_ID, check_path, shortened

NAME = ".modelpm.json"
VERSION = 1
MAX_BYTES = 128 << 20  # twice the cap of a lock, which has more per file


class Entry(NamedTuple):
    """One line of the ledger.

    Attributes:
        sha256: The blob that it shows.
        kind: ``hardlink``, ``symlink``, ``reflink`` or ``copy``; in a folder of another program also ``alias``, a
            relative symlink, and ``folder``; empty until it is made.
        mtime_ns: Modification time of the bytes when it was made.
        inode: Of the bytes when it was made.
    """

    sha256: str
    kind: str = ""
    mtime_ns: int = 0
    inode: int = 0

    def stands_at(self, path: Path) -> bool:
        """Whether the file there is the one that modelpm made, by its inode: only that may be replaced or removed.

        A copy that was edited in place counts as the user's; a hard link always shows the store's bytes.
        """
        try:
            found = path.lstat()
        except OSError:
            return False
        if self.kind == "folder":
            return stat.S_ISDIR(found.st_mode) and found.st_ino == self.inode
        if self.kind == "alias":  # by its time, too: systems reuse the inode of a deleted file
            return stat.S_ISLNK(found.st_mode) and (found.st_ino, found.st_mtime_ns) == (self.inode, self.mtime_ns)
        if stat.S_ISLNK(found.st_mode):
            # To any blob of a store: a killed run may have left the link that it was about to replace.
            *_, blobs, algorithm, _, name = ("", "", "", *path.readlink().parts)
            return bool(self.kind) and (blobs, algorithm) == ("blobs", "sha256") and is_sha256(name)
        if self.kind == "hardlink":
            return found.st_ino == self.inode
        return self.kind in {"reflink", "copy"} and (found.st_ino, found.st_mtime_ns) == (self.inode, self.mtime_ns)

    def is_stale(self, path: Path, blob: Path) -> bool:
        """Whether the entry that modelpm made shows a file that differs from the blob."""
        try:
            found, now = path.lstat(), blob.stat()
            if self.kind == "symlink":
                return stat.S_ISLNK(found.st_mode) and path.readlink() != blob
        except OSError:
            return False
        as_made = found.st_ino == self.inode
        if self.kind == "hardlink":
            return as_made and not os.path.samestat(found, now)
        # A clone shares blocks with the file that was replaced; a copy shares nothing.
        return self.kind == "reflink" and as_made and found.st_mtime_ns == self.mtime_ns


def read_ledger(root: Path) -> dict[str, Entry]:
    """Return the entries by key, ``model/path``; none if the ledger is missing or damaged.

    Raises:
        UsageError: A newer modelpm wrote it.
        IntegrityError: One of its keys leads out of the view.
    """
    path = root / NAME
    try:
        data = read_bytes(path, MAX_BYTES)
    except OSError:
        return {}
    return dict(_parsed(data, path))


@lru_cache(maxsize=2)  # many models in one call: each reads it
def _parsed(data: bytes, path: Path) -> Mapping[str, Entry]:
    import json

    try:
        table = json.loads(data)
        version, values = table["version"], table["entries"]
        entries = {key: Entry(*map(_of_type, value, (str, str, int, int))) for key, value in values.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}  # modelpm then compares the files of the view byte by byte before it treats them as its own
    if not isinstance(version, int) or version > VERSION:
        raise too_new(path, "version", shortened(str(version), 20), VERSION, Code.LEDGER_TOO_NEW)
    for key in entries:
        name, _, rest = key.partition("/")
        try:
            check_path(rest)
        except IntegrityError as error:
            raise IntegrityError(
                f"{path} is not of modelpm's making: {error.message}", code=Code.HOSTILE_NAME
            ) from error
        if not MODEL_ID.fullmatch(name):
            text = f"{path} is not of modelpm's making: `{shortened(name)}` cannot be a model's name"
            raise IntegrityError(text, code=Code.HOSTILE_NAME)
    return entries


def ledger_text(entries: Mapping[str, Entry]) -> bytes:
    """Return the file's content."""
    import json

    rows = {key: list(entry) for key, entry in sorted(entries.items())}
    return json.dumps({"version": VERSION, "entries": rows}).encode()  # one line: the fast encoder writes no others


def _of_type(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(kind)
    return value
