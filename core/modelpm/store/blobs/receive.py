"""Make a stream of bytes a blob: written aside, hashed on the way, committed where its digest is the promised one."""

import contextlib
import hashlib
import os
from collections.abc import Iterable

from modelpm import disk
from modelpm.disk import atomic, system
from modelpm.errors import Code, IntegrityError
from modelpm.store.blobs import blobs, records
from modelpm.store.blobs.known import Known
from modelpm.store.layout import Layout


def receive(known: Known, layout: Layout, chunks: Iterable[bytes], sha256: str = "") -> tuple[str, int]:
    """Make a stream a blob.

    Args:
        known: What is known of files.
        layout: The store's.
        chunks: The bytes.
        sha256: What they should have; empty if any bytes are right.

    Returns:
        The sha256 of the bytes, and how many they are.

    Raises:
        IntegrityError: The bytes are not what the name says; nothing is kept.
    """
    draft = atomic.temporary(layout.partials)
    hasher, offset, prefixes = hashlib.sha256(), 0, list[str]()
    with disk.explained(draft, "write"):
        fd = system.open_file(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        try:
            for chunk in chunks:
                view = memoryview(chunk)
                while view:
                    piece = view[: records.PIECE - offset % records.PIECE]
                    with disk.explained(draft, "write", needed=len(piece)):
                        system.pwrite(fd, piece, offset)
                    hasher.update(piece)
                    offset, view = offset + len(piece), view[len(piece) :]
                    if offset % records.PIECE == 0:
                        prefixes.append(hasher.copy().hexdigest())
        finally:
            os.close(fd)
        found = hasher.hexdigest()
        if sha256 and found != sha256:
            raise IntegrityError(
                f"the bundle's {sha256[:12]}… is damaged: its bytes have another digest",
                code=Code.DIGEST_MISMATCH,
                expected=sha256,
                actual=found,
                hints=["copy the bundle again"],
            )
        blobs.commit(known, layout, draft, found, prefixes)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
    return found, offset
