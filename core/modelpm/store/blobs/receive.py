"""Store a stream as a blob: write a draft, hash it on the way, commit it if the digest is right."""

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
    """Store a stream as a blob.

    Args:
        known: The facts of files that were hashed once.
        layout: The store's.
        chunks: The bytes.
        sha256: The wanted digest; empty accepts any bytes.

    Returns:
        The SHA-256 and the number of bytes.

    Raises:
        IntegrityError: The digest differs; nothing is kept.
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
