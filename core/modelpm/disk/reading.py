"""The one way in which a file that is parsed is read: a regular file, and never more than a cap."""

import os
from pathlib import Path

from modelpm import disk
from modelpm.disk import system
from modelpm.errors import UsageError

_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_PIECE = 1 << 20


def read_bytes(path: Path | str, limit: int, *, follow: bool = False) -> bytes:
    """Return the bytes of a regular file; a pipe or a device is refused at once and never read.

    Args:
        path: The file.
        limit: The most bytes it may have.
        follow: Whether it may be a symlink.

    Raises:
        OSError: As :func:`modelpm.disk.system.open_file`; ``UnfitError`` where it has more than ``limit`` bytes.
    """
    fd = system.open_file(path, os.O_RDONLY, follow=follow)
    try:
        pieces, left = [], limit + 1  # one more than allowed tells a file that is too large, without trusting its size
        while left and (piece := os.read(fd, min(left, _PIECE))):
            pieces.append(piece)
            left -= len(piece)
    finally:
        os.close(fd)
    if not left:
        raise system.UnfitError(f"it is larger than {limit} bytes", path)
    return b"".join(pieces)


def read_text(path: Path, limit: int, *, code: str) -> str | None:
    """Return the text of a file that people edit, as it stands; None without a file.

    It may be a symlink, as settings often are.

    Args:
        path: The file.
        limit: The most bytes it may have.
        code: Of the error of a file that cannot be used.

    Raises:
        UsageError: It is not a regular file, it is too large, or it is not UTF-8.
        StoreError: The system refuses.
    """
    try:
        data = read_bytes(path, limit, follow=True)
    except FileNotFoundError:
        return None
    except system.UnfitError as error:
        raise unusable(path, error.strerror, code) from None
    except OSError as error:
        raise disk.failure(error, path, "read") from error
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        if data.startswith(_UTF16):
            raise unusable(path, "it is not UTF-8 but UTF-16: save it as UTF-8", code) from None
        line = data.count(b"\n", 0, error.start) + 1
        raise unusable(path, f"it is not UTF-8 (at line {line})", code) from None


def unusable(path: Path, why: str, code: str) -> UsageError:
    """Return the error of a file that cannot be used."""
    return UsageError(f"{path} cannot be used: {why}", code=code, hints=["the file was left as it is"])
