"""Models that were pushed to a prefix: an OCI image layout of objects.

``oci-layout`` marks it, ``index.json`` names manifests and indexes, ``blobs/sha256/…`` holds everything. The one that
the prefix stands for is annotated as ``latest``; those that were before stay listed, for their digests pin them.
"""

import random
import time
from dataclasses import replace
from hashlib import sha256

from modelpm.api import Code, IntegrityError, ModelpmError, NotFound, Reference, Unavailable, UsageError, printable
from modelpm.api.oci import (
    INDEX,
    MANIFEST,
    MAX_DOCUMENT,
    REF_NAME,
    TITLE,
    Content,
    Descriptor,
    Document,
    Index,
    Manifest,
    digest_of,
    is_digest,
    read_document,
)
from modelpm_s3.grammar import Place, below, place
from modelpm_s3.objects import Objects
from modelpm_s3.uploads import Upload

MARK_FILE, INDEX_FILE = "oci-layout", "index.json"
_MARK = b'{"imageLayoutVersion":"1.0.0"}'
_LATEST = "latest"
_MAX_BLOB = 64 << 20  # bytes of a config or a lock
_TRIES = 12  # to replace an index that others replace at the same time
_REPLACED = frozenset({409, 412})
_FEW = 12  # names in a hint


class Layout:
    """The layouts of one S3. Thread-safe.

    Args:
        objects: Where they are.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def key(self, where: Place, digest: str) -> Place:
        """Return the object that holds a blob, a manifest or an index."""
        return below(where, f"blobs/{digest.replace(':', '/', 1)}")

    def model(self, reference: Reference) -> tuple[str, Manifest]:
        """Return the manifest of the one model that a reference names, and its digest.

        Raises:
            UsageError: There are several models, or none.
        """
        document = self.document(reference, "")
        found = read_document(document.content, str(reference))
        if isinstance(found, Index):
            document = self.document(reference, _only(found, reference).digest)
            found = read_document(document.content, str(reference))
        if not isinstance(found, Manifest):
            raise IntegrityError(f"{reference} is an index in an index, and that is not a model", code=Code.MALFORMED)
        return document.digest, found

    def document(self, reference: Reference, digest: str) -> Document:
        """As :meth:`modelpm.api.Pushable.document`."""
        wanted = digest or (reference.revision or "")
        if not is_digest(wanted):
            wanted = self._latest(reference)
        content = self._objects.at(self.key(place(reference), wanted), cap=MAX_DOCUMENT).body
        if digest_of(content) != wanted:
            raise IntegrityError(
                f"{reference.scheme}://{reference.path} has another manifest under {wanted} than that says",
                code=Code.DIGEST_MISMATCH,
                hints=["nothing was installed; push the model again"],
            )
        kind = MANIFEST if isinstance(read_document(content, str(reference)), Manifest) else INDEX
        return Document(kind, content)

    def blob(self, reference: Reference, blob: Descriptor) -> bytes:
        """As :meth:`modelpm.api.Pushable.blob`."""
        return self._objects.at(self.key(place(reference), blob.digest), cap=min(blob.size, _MAX_BLOB)).body

    def has(self, reference: Reference, blob: Descriptor) -> bool:
        """As :meth:`modelpm.api.Pushable.has`."""
        try:
            answer = self._objects.head_at(self.key(place(reference), blob.digest))
        except NotFound:
            return False
        return answer.headers.get("Content-Length", "") == str(blob.size)

    def send(self, reference: Reference, blob: Descriptor, content: Content) -> int:
        """As :meth:`modelpm.api.Pushable.send`."""
        return Upload(self._objects, self.key(place(reference), blob.digest), blob, content).run()

    def seal(self, reference: Reference, document: Document, *, named: bool) -> None:
        """As :meth:`modelpm.api.Pushable.seal`; where others replace the index at the same time, all are in it."""
        where = place(reference)
        self._put(self.key(where, document.digest), document.content)
        if not named:
            return None
        self._put(below(where, MARK_FILE), _MARK)
        for attempt in range(_TRIES):
            try:
                return self._name(where, document)
            except ModelpmError as error:
                if error.details.get("status") not in _REPLACED:
                    raise
            time.sleep(random.uniform(0, 0.05 * (attempt + 1)))  # noqa: S311 - no cryptography
        raise Unavailable(
            f"s3://{reference.path}/{INDEX_FILE} is replaced by others all the time",
            hints=["run the same command again: what was sent is not sent again"],
            code=Code.CHANGED,
        )

    def _name(self, where: Place, document: Document) -> None:
        """Put a document into the index, if that is what it was when it was read."""
        index, tag = self._index(where)
        said = index.manifests if index is not None else ()
        others = [_without_name(each) for each in said if each.digest != document.digest]
        entries = [document.descriptor({REF_NAME: _LATEST}), *others]
        made = Document.of(INDEX, {"manifests": [entry.as_json() for entry in entries]})
        condition = {"If-Match": tag} if index is not None else {"If-None-Match": "*"}
        self._put(below(where, INDEX_FILE), made.content, condition)

    def _put(self, where: Place, content: bytes, condition: dict[str, str] | None = None) -> None:
        headers = {"Content-Type": "application/json", **(condition or {})}
        self._objects.put_at(where, content, sha256(content).hexdigest(), headers=headers)

    def _index(self, where: Place) -> tuple[Index | None, str]:
        """Return the index and its entity tag; None if there is none."""
        try:
            answer = self._objects.at(below(where, INDEX_FILE), cap=MAX_DOCUMENT)
        except NotFound:
            return None, ""
        found = read_document(answer.body, f"s3://{where.bucket}/{where.key}/{INDEX_FILE}")
        if not isinstance(found, Index):
            raise IntegrityError(f"s3://{where.bucket}/{where.key}/{INDEX_FILE} is not an index", code=Code.MALFORMED)
        return found, answer.headers.get("ETag", "")

    def _latest(self, reference: Reference) -> str:
        index, _ = self._index(place(reference))
        found = None if index is None else next(filter(_is_latest, index.manifests), None)
        if found is None:
            raise NotFound(
                f"s3://{reference.path} has no model that was pushed there",
                hints=[f"push one: modelpm push s3://{reference.path} NAME"],
                code=Code.REVISION_NOT_FOUND,
            )
        return found.digest


def _is_latest(entry: Descriptor) -> bool:
    return entry.annotations.get(REF_NAME) == _LATEST


def _without_name(entry: Descriptor) -> Descriptor:
    kept = {name: text for name, text in entry.annotations.items() if name != REF_NAME}
    return replace(entry, annotations=kept)


def _only(index: Index, reference: Reference) -> Descriptor:
    """Return the one model of an index.

    Raises:
        UsageError: It has none, or several.
    """
    if len(index.models) == 1:
        return index.models[0]
    where = f"{reference.scheme}://{reference.path}"
    if not index.models:
        raise UsageError(f"{where} is an index without a model in it")
    names = [printable(each.annotations.get(TITLE, "")[:100]) or each.digest[:19] for each in index.models]
    each = [f"{name}: {where}@{model.digest}" for name, model in zip(names, index.models, strict=True)]
    raise UsageError(
        f"{where} has {len(names)} models: {', '.join(names[:_FEW])}",
        code=Code.CHOOSE_VARIANT,
        hints=[
            *each[:_FEW],
            *([f"to take all of them into a folder: modelpm sync --from {where}"] if index.lock else []),
        ],
    )
