"""S3 as a source: an object, or all objects below a prefix; requests are signed one by one, so no location runs out."""

import hashlib
from base64 import b64decode
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple
from urllib.parse import quote

from modelpm.api import (
    MAX_FILES,
    Code,
    Context,
    Denied,
    Digest,
    ModelpmError,
    NotFound,
    Reference,
    RemoteFile,
    Snapshot,
    Unavailable,
    too_many,
)
from modelpm.http import Answer, HttpSource, PermanentError, host, origin, strong_validator
from modelpm_s3 import grammar
from modelpm_s3.account import Account
from modelpm_s3.documents import Entry, MalformedXmlError, page_of
from modelpm_s3.grammar import Place
from modelpm_s3.refusals import ElsewhereError, Refusal
from modelpm_s3.signing import signature

_MOST_PAGES = 1000
_PROMISED = 256  # files of a prefix that are asked for their digests
_AT_ONCE = 8
_ASK_DIGEST = {"x-amz-checksum-mode": "ENABLED"}
_SHA256_BYTES = 32


class Head(NamedTuple):
    """The facts that the headers of an object tell; the version is empty where the bucket keeps none."""

    size: int | None
    tag: str
    digest: Digest | None
    version: str


class S3(HttpSource):
    """Serves ``s3://``. Keys go into signatures, and no key leaves the process."""

    precondition = "If-Match"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._account = Account.of(context)
        self._service = self._account.service()
        self.base = self._service.base
        self._first_region = self._account.region()
        self._regions: dict[str, str] = {}  # of buckets that are in another one

    def parse(self, rest: str) -> Reference:
        """As :meth:`modelpm.api.Parser.parse`."""
        return grammar.parse(rest)

    def resolve(self, reference: Reference) -> Snapshot:
        """List an object of that key, or all that lie below it.

        Raises:
            NotFound: There is neither.
            Denied: The keys may not read it, or there are none.
            Unavailable: The server did not answer, or not with what it should.
        """
        place, refused = grammar.place(reference), None
        region = self._region(place.bucket)
        if place.key:
            try:
                return self._one(place, reference.revision or "")
            except (NotFound, Denied, PermanentError) as error:
                if reference.revision:
                    raise
                refused = error  # without words, for a HEAD has no body: the listing says more
        entries = self._entries(place)
        if not entries and region != self._region(place.bucket):
            return self.resolve(reference)  # a HEAD that is refused for its region does not say so
        if not entries:
            raise refused or NotFound(f"the bucket {place.bucket} is empty", code=Code.FILE_NOT_FOUND)
        return self._all(place, entries)

    def locate(self, reference: Reference, path: str) -> tuple[str, ...]:  # noqa: ARG002 - a reference of a lock is whole
        """As :meth:`modelpm.api.Locator.locate`: the reference of a file has its whole key."""
        place = grammar.place(reference)
        if reference.file:
            place = Place(place.bucket, f"{place.key}/{reference.file}".lstrip("/"))
        return (self._url(place, _of_version(reference.revision or "")),) if place.key else ()

    def authorization(self, url: str) -> Mapping[str, str] | None:  # noqa: ARG002 - none is right for any
        """Return nothing: no secret is sent, see :meth:`signature`."""
        return None

    def signature(self, method: str, url: str, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Sign what is asked of this S3, also where it redirects to; nothing else."""
        found = self._service.place(url)
        if found is None:
            return {}
        place, region = found
        keys = self._account.keys(place.bucket, self.base and origin(self.base))
        region = region or self._region(place.bucket)
        return {} if keys is None else signature(keys, region, method, url, headers, datetime.now(UTC))

    def is_own(self, answer: Answer) -> bool:
        """Whether it is of this S3."""
        return self._service.place(answer.url) is not None

    def error_for(self, answer: Answer) -> ModelpmError:
        """Return what S3 means by a refusal; remember the region of a bucket that is elsewhere."""
        found = self._service.place(answer.url)
        if found is None:
            return super().error_for(answer)
        place, region = found
        keys = self._account.keys(place.bucket, self.base and origin(self.base))
        refusal = Refusal(answer, place, "" if keys is None else keys.found)
        if refusal.region and refusal.region != (region or self._region(place.bucket)):
            self._regions[place.bucket] = refusal.region
            return ElsewhereError(f"the bucket {place.bucket} is in the region {refusal.region}")
        return refusal.error()

    def _region(self, bucket: str) -> str:
        return self._regions.get(bucket, self._first_region)

    def _url(self, place: Place, query: str = "") -> str:
        return self._service.url(place, self._region(place.bucket), query)

    def _one(self, place: Place, version: str) -> Snapshot:
        head = self._head(place, version)
        reference = Reference("s3", grammar.written(*place), head.version or None)
        name = place.key.rpartition("/")[2]
        location = self._url(place, _of_version(head.version))
        file = RemoteFile(name, head.size, head.digest, (location,), reference)
        return Snapshot(reference, head.version or (head.digest.hex if head.digest else head.tag), (file,))

    def _head(self, place: Place, version: str) -> Head:
        with suppress(ElsewhereError):
            return _facts(self.head(self._url(place, _of_version(version)), headers=_ASK_DIGEST))
        return _facts(self.head(self._url(place, _of_version(version)), headers=_ASK_DIGEST))

    def _all(self, place: Place, entries: list[Entry]) -> Snapshot:
        reference = Reference("s3", grammar.written(*place))
        promised = [entry.key for entry in entries if entry.has_sha256][:_PROMISED]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            asked = pool.map(lambda key: self._head(Place(place.bucket, key), ""), promised)
            heads = dict(zip(promised, asked, strict=True))
        files = tuple(self._file(place, entry, heads.get(entry.key)) for entry in entries)
        lines = "".join(f"{entry.key}\0{entry.size}\0{entry.tag}\n" for entry in entries)
        return Snapshot(reference, hashlib.sha256(lines.encode()).hexdigest(), files)

    def _file(self, place: Place, entry: Entry, head: Head | None) -> RemoteFile:
        version = head.version if head else ""
        own = Place(place.bucket, entry.key)
        reference = Reference("s3", grammar.written(*own), version or None)
        path = entry.key.removeprefix(f"{place.key}/") if place.key else entry.key
        location = self._url(own, _of_version(version))
        return RemoteFile(path, entry.size, head.digest if head else None, (location,), reference)

    def _entries(self, place: Place) -> list[Entry]:
        """Return the objects below a prefix; folders that a console made are none."""
        found = (entry for entry in self._listed(place) if not entry.key.endswith("/"))
        entries = list(islice(found, MAX_FILES + 1))
        if len(entries) > MAX_FILES:
            raise too_many(f"s3://{grammar.written(*place)}")
        return entries

    def _listed(self, place: Place) -> Iterator[Entry]:
        prefix = f"{place.key}/" if place.key else ""
        bucket, token = Place(place.bucket, ""), ""
        for _ in range(_MOST_PAGES):
            asked = {"list-type": "2", "encoding-type": "url", "prefix": prefix, "continuation-token": token}
            query = "&".join(f"{name}={quote(value, safe='')}" for name, value in asked.items() if value)
            answer = self._get(bucket, query)
            try:
                page = page_of(answer.body)
            except MalformedXmlError as error:
                raise self._malformed(place, str(error)) from error
            if any(not entry.key.startswith(prefix) for entry in page.entries):
                raise self._malformed(place, "it holds objects of another prefix")
            yield from page.entries
            if not page.following:
                return
            if page.following == token:
                raise self._malformed(place, "its pages do not end")
            token = page.following
        raise self._malformed(place, f"it has more than {_MOST_PAGES} pages")

    def _get(self, place: Place, query: str) -> Answer:
        with suppress(ElsewhereError):
            return self.get(self._url(place, query))
        return self.get(self._url(place, query))

    def _malformed(self, place: Place, why: str) -> Unavailable:
        where = host(self._url(place))
        return Unavailable(
            f"{where} does not answer like S3: the listing of s3://{grammar.written(*place)}: {why}",
            hints=["check AWS_ENDPOINT_URL; a proxy or a captive portal may stand in between"],
            code=Code.BAD_ANSWER,
        )


def _of_version(version: str) -> str:
    return f"versionId={quote(version, safe='')}" if version else ""


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
