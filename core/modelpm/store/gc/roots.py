"""Roots: what needs blobs of a store, and how one root is told from another.

A root is a random id that is kept in its view, the real path, the device and inode of the folder, and the host name. So
a copied folder, an image or a second container at the same path is a root of its own, and none of them can replace or
shrink the record of another.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from modelpm.disk import system
from modelpm.disk.reading import read_bytes
from modelpm.errors import ModelpmError

_DIGEST = re.compile(rb"(?<![0-9A-Za-z])[0-9a-f]{64}(?![0-9A-Za-z])")  # whatever stands for it: too many do no harm
APP_LOCK = ".modelpm.app-"  # begins what stands for a lock in a program's folder
_LARGEST = 192 << 20  # bytes of a lock with both sides of a conflict, and of a record


class Root(NamedTuple):
    """A root: what needs blobs.

    Attributes:
        kind: ``user`` or ``project``: an environment; ``dir``: a folder of the user's with links into the store;
            ``app``: such a folder of another program; ``unknown``: the roots of a store whose records were lost.
        lock: Absolute path of the ``models.lock``; of a folder a file that never exists, and names the program.
        view: The folder in which its files appear.
    """

    kind: str
    lock: Path
    view: Path

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder with links into the store, and no environment."""
        return self.kind in {"dir", "app"}

    @property
    def app(self) -> str:
        """The program whose folder it is; empty if it is none."""
        return self.lock.name.removeprefix(APP_LOCK) if self.kind == "app" else ""

    @property
    def name(self) -> str:
        """The name of the root for people."""
        if self.kind == "app":
            return f"{self.app} ({self.view})"
        return str(self.view if self.kind == "dir" else self.lock)


class Place(NamedTuple):
    """The place of a root: device and inode of the lock's folder, and the host name."""

    device: int
    inode: int
    host: str

    @classmethod
    def of(cls, root: Root) -> "Place":
        """Look at a root's place.

        Raises:
            OSError: The folder is not there, or closed to us.
        """
        facts = root.lock.parent.stat()
        return cls(facts.st_dev, facts.st_ino, system.host_name())


@dataclass(frozen=True, slots=True)
class RootRecord:
    """A root, as it was remembered.

    Attributes:
        root: The root; the folder of its lock is a real path.
        digests: What it counted on when it was last seen.
        text: SHA-256 of the lock as it was then.
        seen: Seconds since 1970; None if an earlier version wrote the record: it noted when a root was changed.
        id: The random id; empty if none could be written.
        place: Where it stood; None if an earlier version wrote the record.
        owner: Of a folder: the lock of the environment whose models it shows.
        entries: Of a folder: ``MODEL/PATH`` of each file, with sha256, kind of link, time and inode; of a folder that
            was made there, too, without a sha256.
    """

    root: Root
    digests: frozenset[str]
    text: str = ""
    seen: int | None = None
    id: str = ""
    place: Place | None = None
    owner: str = ""
    entries: Mapping[str, tuple[str, str, int, int]] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The name of its file, without the ending."""
        lock = os.fspath(self.root.lock)
        if self.place is None:
            return digest_of(os.fsencode(lock))
        facts = (self.id, lock, str(self.place.device), str(self.place.inode), self.place.host)
        return digest_of(os.fsencode("\n".join(facts)))

    @property
    def is_earlier(self) -> bool:
        """Whether an earlier version wrote it, and this one has not looked at it yet."""
        return self.place is None and self.seen is None

    def age(self, now: float) -> float:
        """Return the seconds since it was seen; a time to come is a clock that was set back."""
        return max(0.0, now - self.seen) if self.seen is not None else 0.0


def real(root: Root) -> Root:
    """Return a root by the real path of its lock's folder."""
    folder = Path(os.path.realpath(root.lock.parent))
    above = Path(os.path.realpath(root.view.parent))  # the view itself must not be a symlink
    return root._replace(lock=folder / root.lock.name, view=above / root.view.name)


def digests_in(text: bytes) -> frozenset[str]:
    """Return everything in a lock that could be the digest of a blob."""
    return frozenset(match.decode() for match in _DIGEST.findall(text))


def read_lock(path: Path) -> bytes | None:
    """Return the bytes of a lock; None if there is none.

    Raises:
        OSError: It cannot be read, or is too large to be one.
    """
    try:
        return read_bytes(Path(os.path.realpath(path)), _LARGEST)
    except (FileNotFoundError, NotADirectoryError):
        return None


def is_sound(text: bytes, path: Path) -> bool:
    """Whether a lock says all that counts: one in the middle of a merge, cut short or of a newer version may not."""
    from modelpm.lockfile.file import parse_lock

    try:
        parse_lock(text.decode(), str(path))
    except (ModelpmError, UnicodeDecodeError):
        return False
    return True


def is_written_by(record: RootRecord, text: bytes) -> bool:
    """Whether a lock still is what it was when it was remembered."""
    return record.text == digest_of(text)


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of a text."""
    import hashlib  # start-up

    return hashlib.sha256(data).hexdigest()
