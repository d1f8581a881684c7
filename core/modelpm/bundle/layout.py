"""The small files that make a bundle an OCI image layout, which skopeo and oras read; and the lock in such a layout."""

import json
import re
from pathlib import Path
from typing import Final

from modelpm.api import oci
from modelpm.api.oci import Document, Index, Manifest
from modelpm.bundle.artifact import of_lock, of_model
from modelpm.disk.reading import read_bytes
from modelpm.errors import IntegrityError
from modelpm.lockfile.file import MAX_CARRIED_BYTES, Lock

MARK: Final = "oci-layout"
ROOT: Final = "index.json"
_BLOB = re.compile(r"blobs/sha256/(?:[0-9a-f]{2}/)?([0-9a-f]{64})")


def member_of(sha256: str) -> str:
    """Return a blob's name in a layout."""
    return f"blobs/sha256/{sha256}"


def older_member_of(sha256: str) -> str:
    """Return a blob's name in a bundle of modelpm 0.1, which was not yet a layout."""
    return f"blobs/sha256/{sha256[:2]}/{sha256}"


def is_text(name: str, size: int) -> bool:
    """Whether a member of a bundle may be one of those that say how it hangs together, and that only others read."""
    return name in {MARK, ROOT} or (_BLOB.fullmatch(name) is not None and size <= oci.MAX_DOCUMENT)


def texts_of(lock: Lock, text: bytes) -> list[tuple[str, bytes]]:
    """Return name and content of the files that a layout has besides the blobs of models.

    Args:
        lock: What is in the bundle.
        text: The lock as it stands in its file.
    """
    made = of_lock(lock, [of_model(model, {}) for model in lock.models], text)
    root = Document.of(oci.INDEX, {"manifests": [made.root.descriptor().as_json()]})
    small = {blob.hex: content for blob, content in made.texts}
    small |= {document.digest.partition(":")[2]: document.content for document in made.documents}
    for file in (file for model in lock.models for file in model.files):
        small.pop(file.sha256, None)  # it stands among the blobs of models
    return [
        (MARK, json.dumps({"imageLayoutVersion": "1.0.0"}).encode()),
        (ROOT, root.content),
        *((member_of(sha256), content) for sha256, content in sorted(small.items())),
    ]


def lock_in(folder: Path) -> str:
    """Return the lock in the layout of a folder that another program wrote; empty if there is none.

    Raises:
        IntegrityError: A document is damaged.
    """
    index: Index | Manifest | None = None
    try:
        index = oci.read_document(read_bytes(folder / ROOT, oci.MAX_DOCUMENT), str(folder / ROOT))
        if isinstance(index, Index) and index.lock is None and len(index.manifests) == 1:
            index = _document(folder, index.manifests[0])
        entry = index.lock if isinstance(index, Index) else None
        manifest = _document(folder, entry) if entry is not None else None
        if not isinstance(manifest, Manifest) or len(manifest.layers) != 1:
            return ""
        return _blob(folder, manifest.layers[0], MAX_CARRIED_BYTES).decode(errors="replace")
    except OSError:
        return ""


def _document(folder: Path, named: oci.Descriptor) -> Index | Manifest:
    return oci.read_document(_blob(folder, named, oci.MAX_DOCUMENT), str(folder))


def _blob(folder: Path, named: oci.Descriptor, most: int) -> bytes:
    content = read_bytes(folder / member_of(named.hex), most)
    if oci.digest_of(content) != named.digest:
        raise IntegrityError(f"{folder / member_of(named.hex)} is damaged", hints=["copy the folder again"])
    return content
