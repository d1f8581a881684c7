"""Send one blob to a bucket: at once, or in parts, which a later run continues.

S3 itself remembers the parts of an upload that was stopped: no note is kept here, so another machine can continue.
"""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from modelpm.api import NotFound, Unavailable
from modelpm.api.oci import Content, Descriptor
from modelpm.http import PermanentError
from modelpm_s3.documents import MalformedXmlError, failure_of, rows_of, text_of
from modelpm_s3.grammar import Place
from modelpm_s3.objects import Objects, question

AT_ONCE = 64 << 20  # bytes that are sent in one request
PART = 16 << 20
_MOST_PARTS = 10_000


@dataclass(frozen=True, slots=True)
class Upload:
    """One blob on its way.

    Attributes:
        objects: Sends requests.
        place: Where to.
        blob: What is sent.
        content: Its bytes.
    """

    objects: Objects
    place: Place
    blob: Descriptor
    content: Content

    def run(self) -> int:
        """Send it, and return how many bytes that took.

        Raises:
            ModelpmError: It cannot be sent; a later run continues.
        """
        if self.blob.size <= AT_ONCE:
            checksum = b64encode(bytes.fromhex(self.blob.hex)).decode()
            body = self.content.part(0, self.blob.size)
            self.objects.put_at(self.place, body, self.blob.hex, headers={"x-amz-checksum-sha256": checksum})
            return self.blob.size
        sent = 0
        try:
            upload = self._begun() or self._begin()
            there, tags = self._parts(upload), list[str]()
            for number, start in enumerate(range(0, self.blob.size, self._part_size), 1):
                size = min(self._part_size, self.blob.size - start)
                tag = there.get((number, size), "")
                if not tag:
                    tag = self._send(upload, number, start, size)
                    sent += size
                tags.append(tag)
            self._complete(upload, tags)
        except (NotFound, Unavailable):  # another push may have completed the same upload
            if not self._is_there():
                raise
        return sent

    def _is_there(self) -> bool:
        try:
            head = self.objects.head_at(self.place)
        except NotFound:
            return False
        return head.headers.get("Content-Length") == str(self.blob.size)

    @property
    def _part_size(self) -> int:
        """Bytes of a part: 16 MiB, or as many of these as an upload may not have too many parts of."""
        return PART * -(-self.blob.size // (PART * _MOST_PARTS))

    def _begun(self) -> str:
        """Return the upload that an earlier run began; empty if there is none."""
        bucket = Place(self.place.bucket, "")
        answer = self.objects.at(bucket, f"uploads&{question({'prefix': self.place.key})}")
        uploads = self._rows(answer.body, "Upload")
        return next((row.get("UploadId", "") for row in uploads if row.get("Key") == self.place.key), "")

    def _begin(self) -> str:
        nothing = sha256(b"").hexdigest()
        answer = self.objects.put_at(self.place, b"", nothing, "uploads", method="POST")
        try:
            return text_of(answer.body, "UploadId")
        except MalformedXmlError as error:
            raise self.objects.malformed(self.place, f"it began no upload: {error}") from error

    def _parts(self, upload: str) -> Mapping[tuple[int, int], str]:
        """Return the tags of the parts that are there, by number and size."""
        found, marker = dict[tuple[int, int], str](), ""
        while True:
            asked = question({"uploadId": upload, "part-number-marker": marker})
            body = self.objects.at(self.place, asked).body
            rows = self._rows(body, "Part")
            for row in rows:
                number, size = row.get("PartNumber", ""), row.get("Size", "")
                if number.isdecimal() and size.isdecimal():
                    found[int(number), int(size)] = row.get("ETag", "")
            following = text_of(body, "NextPartNumberMarker") if text_of(body, "IsTruncated") == "true" else ""
            if not rows or not following or following == marker:
                return found
            marker = following

    def _send(self, upload: str, number: int, start: int, size: int) -> str:
        hasher = sha256()
        for chunk in Content(self.content.origin).part(start, start + size):
            hasher.update(chunk)
        part = self.content.part(start, start + size)
        asked = question({"partNumber": str(number), "uploadId": upload})
        return self.objects.put_at(self.place, part, hasher.hexdigest(), asked).headers.get("ETag", "")

    def _complete(self, upload: str, tags: list[str]) -> None:
        """Make the object of its parts."""
        rows = (f"<Part><PartNumber>{n}</PartNumber><ETag>{tag}</ETag></Part>" for n, tag in enumerate(tags, 1))
        body = f"<CompleteMultipartUpload>{''.join(rows)}</CompleteMultipartUpload>".encode()
        asked = question({"uploadId": upload})
        answer = self.objects.put_at(self.place, body, sha256(body).hexdigest(), asked, method="POST")
        failure = failure_of(answer.body)  # of an answer that began as a success
        if failure.code:
            raise PermanentError(f"s3://{self.place.bucket} does not complete an upload: {failure.code}")

    def _rows(self, body: bytes, row: str) -> list[dict[str, str]]:
        try:
            return rows_of(body, row)
        except MalformedXmlError as error:
            raise self.objects.malformed(self.place, str(error)) from error
