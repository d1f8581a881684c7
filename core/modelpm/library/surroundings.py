"""Faults of the surroundings, not of modelpm or a plugin: the disk, the current folder, the locale."""

import os
from errno import EACCES, EDQUOT, EIO, ELOOP, ENAMETOOLONG, ENOSPC, ENOTDIR, EPERM, EROFS, ESTALE
from pathlib import Path

from modelpm.disk import failure, unnameable
from modelpm.errors import Code, ModelpmError, UsageError

_OF_THE_DISK = frozenset({EACCES, EDQUOT, EIO, ELOOP, ENAMETOOLONG, ENOSPC, ENOTDIR, EPERM, EROFS, ESTALE})


def of_the_surroundings(error: BaseException) -> ModelpmError | None:
    """Return what is wrong with where and how modelpm was started; None if that is not the reason."""
    if isinstance(error, UnicodeEncodeError):
        return unnameable(error)
    if isinstance(error, OSError) and isinstance(error.filename, str) and error.errno in _OF_THE_DISK:
        return failure(error, Path(error.filename), "use")
    if isinstance(error, FileNotFoundError) and error.filename is None and _is_homeless():
        return UsageError(
            "the current folder is gone",
            hints=["change to an existing folder, or use absolute paths only"],
            code=Code.NO_FOLDER,
        )
    return None


def _is_homeless() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 - the call itself is what fails
    except FileNotFoundError:
        return True
    return False
