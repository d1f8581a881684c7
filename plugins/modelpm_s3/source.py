"""S3 as a source: an object, all objects below a prefix, or a model that was pushed there."""

import hashlib
from base64 import b64decode
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from modelpm.api import MAX_FILES, Code, Context, Denied, Digest, NotFound, Reference, RemoteFile, Snapshot, too_many
from modelpm.api.oci import LICENSES, Content, Descriptor, Document, files_of, is_digest
from modelpm.http import Answer, PermanentError, strong_validator
from modelpm_s3 import grammar
from modelpm_s3.documents import Entry
from modelpm_s3.grammar import Place
from modelpm_s3.layout import INDEX_FILE, MARK_FILE, Layout
from modelpm_s3.objects import Objects, question

_PROMISED = 256  # files of a prefix that are asked for their digests
_AT_ONCE = 8
_ASK_DIGEST = {"x-amz-checksum-mode": "ENABLED"}
_SHA256_BYTES = 32


class Head(NamedTuple):
    """The facts that the headers of an object tell; the version is empty if the bucket keeps none."""

    size: int | None
    tag: str
    digest: Digest | None
    version: str


class S3(Objects):
    """Serves ``s3://``; each model that was pushed to a prefix is an OCI layout of objects."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._layout = Layout(self)

    def parse(self, rest: str) -> Reference:
        """As :meth:`modelpm.api.Parser.parse`."""
        return grammar.parse(rest)

    def resolve(self, reference: Reference) -> Snapshot:
        """List an object of that key, or all that lie below it; of a pushed model, its files.

        Raises:
            NotFound: There is neither.
            Denied: The keys may not read it, or there are none.
            Unavailable: The server did not answer, or not with what it should.
        """
        place, refused = grammar.place(reference), None
        region = self.region(place.bucket)
        if is_digest(reference.revision or ""):
            return self._pushed(reference)
        if place.key:
            try:
                return self._one(place, reference.revision or "")
            except (NotFound, Denied, PermanentError) as error:
                if reference.revision:
                    raise
                refused = error  # without words, for a HEAD has no body: the listing says more
        entries = self._entries(place)
        if not entries and region != self.region(place.bucket):
            return self.resolve(reference)  # a HEAD that is refused for its region does not say so
        if not entries:
            raise refused or NotFound(f"the bucket {place.bucket} is empty", code=Code.FILE_NOT_FOUND)
        marks = {grammar.below(place, name).key for name in (MARK_FILE, INDEX_FILE)}
        if marks <= {entry.key for entry in entries}:
            return self._pushed(reference)
        return self._all(place, entries)

    def locate(self, reference: Reference, path: str) -> tuple[str, ...]:  # noqa: ARG002 - that of a lock is whole
        """As :meth:`modelpm.api.Locator.locate`: the reference of a file has its whole key."""
        place = grammar.place(reference)
        if not place.key or is_digest(reference.revision or ""):
            return ()
        place = grammar.below(place, reference.file) if reference.file else place
        return (self.url(place, _of_version(reference.revision or "")),)

    def document(self, reference: Reference, digest: str = "") -> Document:
        """As :meth:`modelpm.api.Pushable.document`."""
        return self._layout.document(reference, digest)

    def blob(self, reference: Reference, blob: Descriptor) -> bytes:
        """As :meth:`modelpm.api.Pushable.blob`."""
        return self._layout.blob(reference, blob)

    def has(self, reference: Reference, blob: Descriptor) -> bool:
        """As :meth:`modelpm.api.Pushable.has`."""
        return self._layout.has(reference, blob)

    def send(self, reference: Reference, blob: Descriptor, content: Content) -> int:
        """As :meth:`modelpm.api.Pushable.send`."""
        return self._layout.send(reference, blob, content)

    def seal(self, reference: Reference, document: Document, *, named: bool) -> None:
        """As :meth:`modelpm.api.Pushable.seal`."""
        self._layout.seal(reference, document, named=named)

    def _pushed(self, reference: Reference) -> Snapshot:
        digest, manifest = self._layout.model(reference)
        place = grammar.place(reference)
        files = tuple(
            replace(file, locations=(self.url(self._layout.key(place, str(file.digest))),))
            for file in files_of(manifest)
        )
        pinned = replace(reference, revision=digest, file="", quantization="")
        return Snapshot(pinned, digest, files, manifest.annotations.get(LICENSES, ""))

    def _one(self, place: Place, version: str) -> Snapshot:
        head = self._head(place, version)
        reference = Reference("s3", grammar.written(*place), head.version or None)
        name = place.key.rpartition("/")[2]
        location = self.url(place, _of_version(head.version))
        file = RemoteFile(name, head.size, head.digest, (location,), reference)
        return Snapshot(reference, head.version or (head.digest.hex if head.digest else head.tag), (file,))

    def _head(self, place: Place, version: str) -> Head:
        return _facts(self.head_at(place, _of_version(version), _ASK_DIGEST))

    def _promise(self, place: Place) -> Head | None:
        """Return the facts about an object of a listing; None if this one object is not for these keys."""
        try:
            return self._head(place, "")
        except (Denied, NotFound):
            return None

    def _all(self, place: Place, entries: list[Entry]) -> Snapshot:
        reference = Reference("s3", grammar.written(*place))
        promised = [entry.key for entry in entries if entry.has_sha256][:_PROMISED]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            asked = pool.map(lambda key: self._promise(Place(place.bucket, key)), promised)
            heads = dict(zip(promised, asked, strict=True))
        files = tuple(self._file(place, entry, heads.get(entry.key)) for entry in entries)
        lines = "".join(f"{entry.key}\0{entry.size}\0{entry.tag}\n" for entry in entries)
        return Snapshot(reference, hashlib.sha256(lines.encode()).hexdigest(), files)

    def _file(self, place: Place, entry: Entry, head: Head | None) -> RemoteFile:
        version = head.version if head else ""
        own = Place(place.bucket, entry.key)
        reference = Reference("s3", grammar.written(*own), version or None)
        path = entry.key.removeprefix(f"{place.key}/") if place.key else entry.key
        location = self.url(own, _of_version(version))
        return RemoteFile(path, entry.size, head.digest if head else None, (location,), reference)

    def _entries(self, place: Place) -> list[Entry]:
        """Return the objects below a prefix; folders that a console made are none."""
        found = (entry for entry in self.listed(place) if not entry.key.endswith("/"))
        entries = list(islice(found, MAX_FILES + 1))
        if len(entries) > MAX_FILES:
            raise too_many(f"s3://{grammar.written(*place)}")
        return entries


def _of_version(version: str) -> str:
    return question({"versionId": version})


def _facts(answer: Answer) -> Head:
    headers = answer.headers
    size = headers.get("Content-Length", "")
    version = headers.get("x-amz-version-id", "")
    return Head(
        int(size) if size.isascii() and size.isdigit() else None,
        strong_validator(headers) or "",
        _digest(headers),
        "" if version == "null" else version,
    )


def _digest(headers: Mapping[str, str]) -> Digest | None:
    """Return the SHA-256 of the whole object; what is kept of one that came in parts is a digest of digests."""
    said = headers.get("x-amz-checksum-sha256", "")
    if headers.get("x-amz-checksum-type", "FULL_OBJECT").upper() != "FULL_OBJECT":
        return None
    try:
        raw = b64decode(said, validate=True)
    except ValueError:
        return None
    return Digest("sha256", raw.hex()) if len(raw) == _SHA256_BYTES else None
