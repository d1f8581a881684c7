"""The digests sha256 and git-sha1 (the object id that git gives a file's bytes)."""

import hashlib

from modelpm.api import Hasher, UsageError, hookimpl


@hookimpl
def modelpm_digest(name: str, size: int | None) -> Hasher | None:
    """Begin a digest.

    Raises:
        UsageError: git-sha1 of an unknown size: git hashes the size before the bytes.
    """
    if name == "sha256":
        return hashlib.sha256()
    if name == "git-sha1":
        if size is None:
            raise UsageError("the git-sha1 digest needs the size of the file, and the source does not know it")
        return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    return None
