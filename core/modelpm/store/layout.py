"""Where things are in the store's folder: pure, and the only place that turns names into paths.

::

    ROOT/VERSION                        the layout's number
    ROOT/blobs/sha256/ab/<64 hex>       immutable, named by what is in it; nothing else is under blobs/
    ROOT/meta/sha256/ab/<64 hex>.json   what was recorded of the blob when it was committed
    ROOT/partial/<64 hex>/              unfinished downloads
    ROOT/locks/<name>.lock              never deleted
    ROOT/quarantine/<wanted>-<got>      bytes that were not what was promised
"""

import re
from dataclasses import dataclass
from pathlib import Path

from modelpm.errors import IntegrityError

_SHA256 = re.compile(r"[0-9a-f]{64}")
_HEX = re.compile(r"[0-9a-f]{1,128}")
_LOCK = re.compile(r"[a-z0-9][a-z0-9._-]{0,199}")


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths below a root. No name, however hostile, leads out of the folder it belongs to.

    Every method raises ``IntegrityError`` (``hostile_name``) for a name that is not of its alphabet.
    """

    root: Path

    @property
    def version(self) -> Path:
        """The file that says which layout this is."""
        return self.root / "VERSION"

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

    def blob(self, sha256: str) -> Path:
        """Where a blob is or would be."""
        _require(_SHA256, sha256, "a sha256")
        return self.blobs / sha256[:2] / sha256

    def record(self, sha256: str) -> Path:
        """Where the record of a blob is or would be."""
        _require(_SHA256, sha256, "a sha256")
        return self.records / sha256[:2] / f"{sha256}.json"

    def partial(self, key: str) -> Path:
        """The folder of one unfinished download, named by 64 hex digits."""
        _require(_SHA256, key, "the key of a download")
        return self.partials / key

    def lock(self, name: str) -> Path:
        """The file of a lock."""
        _require(_LOCK, name, "the name of a lock")
        return self.locks / f"{name}.lock"

    def quarantined(self, wanted: str, got: str) -> Path:
        """Where bytes go that should have had one digest and have another (both hexadecimal)."""
        _require(_HEX, wanted, "a digest")
        _require(_HEX, got, "a digest")
        return self.quarantine / f"{wanted}-{got}"


def is_sha256(name: str) -> bool:
    """Whether a name is one that blobs have."""
    return _SHA256.fullmatch(name) is not None


def _require(alphabet: re.Pattern[str], name: str, what: str) -> None:
    if not alphabet.fullmatch(name):
        raise IntegrityError(f"not {what}: {name[:100]!r}", code="hostile_name")
