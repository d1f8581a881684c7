"""The layout of the store's folder: the only module that turns names into paths. Pure.

::

    ROOT/VERSION                        the layout's number
    ROOT/BOOT                           in which boot it was last changed
    ROOT/MOVING                         while it is being moved: the folder it was in
    ROOT/blobs/sha256/ab/<64 hex>       immutable, named by what is in it; nothing else is under blobs/
    ROOT/meta/sha256/ab/<64 hex>.json   what was recorded of the blob when it was committed
    ROOT/partial/<64 hex>/              unfinished downloads
    ROOT/locks/<name>.lock              never deleted
    ROOT/quarantine/<wanted>-<got>      bytes that were not what was promised
    ROOT/projects/<64 hex>.json         roots: who counts on this store, and on which blobs
    ROOT/projects/complete              says that these records are complete
    ROOT/leases/<pid>-<start>-<n>.json  what running installs count on
    ROOT/reserve/<n>                    space for freeing some on a full disk
"""

import os
import re
from pathlib import Path
from typing import NamedTuple

from modelpm.errors import Code, IntegrityError

_SHA256 = re.compile(r"[0-9a-f]{64}")
_HEX = re.compile(r"[0-9a-f]{1,128}")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,199}")
_LONG = 100  # characters of a digest in a name


class Layout(NamedTuple):  # a dataclass takes a millisecond to make, at every start
    """Paths below a root. No name, however hostile, leads out of the folder it belongs to.

    Every method raises ``IntegrityError`` (``hostile_name``) for a name that is not of its alphabet.
    """

    root: Path

    @property
    def version(self) -> Path:
        """The file that says which layout this is."""
        return self.root / "VERSION"

    @property
    def moving(self) -> Path:
        """The file that says from where a store is being moved here."""
        return self.root / "MOVING"

    @property
    def boot(self) -> Path:
        """The file that says in which boot of the machine the store was last changed."""
        return self.root / "BOOT"

    @property
    def blobs(self) -> Path:
        """The folder of the folders of blobs."""
        return self.root / "blobs" / "sha256"

    @property
    def records(self) -> Path:
        """The folder of the folders of records."""
        return self.root / "meta" / "sha256"

    @property
    def partials(self) -> Path:
        """The folder of unfinished downloads."""
        return self.root / "partial"

    @property
    def locks(self) -> Path:
        """The folder of lock files."""
        return self.root / "locks"

    @property
    def quarantine(self) -> Path:
        """The folder of what failed its check."""
        return self.root / "quarantine"

    @property
    def projects(self) -> Path:
        """The folder of the records of roots."""
        return self.root / "projects"

    @property
    def complete(self) -> Path:
        """The file that says that the records of roots are complete."""
        return self.projects / "complete"

    @property
    def leases(self) -> Path:
        """The folder of leases."""
        return self.root / "leases"

    @property
    def reserve(self) -> Path:
        """The folder of the space that is kept for freeing some."""
        return self.root / "reserve"

    def blob(self, sha256: str) -> Path:
        """The path of a blob, present or not."""
        return Path(self.blob_name(sha256))

    def blob_name(self, sha256: str) -> str:
        """The same as text: a path object for each of thousands of blobs takes longer than looking at them."""
        _require(_SHA256, sha256, "a sha256")
        return os.path.join(self.root, "blobs", "sha256", sha256[:2], sha256)  # noqa: PTH118 - see above

    def record(self, sha256: str) -> Path:
        """The path of the record of a blob, present or not."""
        return Path(self.record_name(sha256))

    def record_name(self, sha256: str) -> str:
        """The same as text."""
        _require(_SHA256, sha256, "a sha256")
        return os.path.join(self.root, "meta", "sha256", sha256[:2], f"{sha256}.json")  # noqa: PTH118 - as above

    def partial(self, key: str) -> Path:
        """The folder of one unfinished download, named by 64 hex digits."""
        _require(_SHA256, key, "the key of a download")
        return self.partials / key

    def partial_of(self, key: str, user: int) -> Path:
        """The folder of the same download as another user's own, whose number goes into the name."""
        import hashlib

        return self.partial(hashlib.sha256(f"{key} {user}".encode()).hexdigest())

    def lock(self, name: str) -> Path:
        """The file of a lock."""
        _require(_NAME, name, "the name of a lock")
        return self.locks / f"{name}.lock"

    def project(self, key: str) -> Path:
        """The record of a root, by 64 hex digits that stand for its identity."""
        _require(_SHA256, key, "the key of a root")
        return self.projects / f"{key}.json"

    def lease(self, name: str) -> Path:
        """The file of a lease."""
        _require(_NAME, name, "the name of a lease")
        return self.leases / f"{name}.json"

    def quarantined(self, wanted: str, got: str) -> Path:
        """The path of bytes that should have had one digest and have another (both hexadecimal)."""
        _require(_HEX, wanted, "a digest")
        _require(_HEX, got, "a digest")
        return self.quarantine / f"{wanted[:_LONG]}-{got[:_LONG]}"  # two whole ones of SHA-512 would be too long a name


def is_sha256(name: str) -> bool:
    """Whether a name is one that blobs have."""
    return _SHA256.fullmatch(name) is not None


def _require(alphabet: re.Pattern[str], name: str, what: str) -> None:
    if not alphabet.fullmatch(name):
        raise IntegrityError(f"not {what}: {name[:100]!r}", code=Code.HOSTILE_NAME)
