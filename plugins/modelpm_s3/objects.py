"""Objects by key: requests that are signed one by one, of a bucket in whatever region it is."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from urllib.parse import quote

from modelpm.api import Code, Context, ModelpmError, Unavailable
from modelpm.api.oci import Part
from modelpm.http import Answer, HttpSource, host, origin
from modelpm_s3.account import Account
from modelpm_s3.documents import Entry, MalformedXmlError, page_of
from modelpm_s3.grammar import Place, written
from modelpm_s3.refusals import ElsewhereError, Refusal
from modelpm_s3.signing import Keys, signature

_MOST_PAGES = 1000
_DOCUMENT_CAP = 1 << 26


class Objects(HttpSource):
    """What is asked of one S3. Keys go into signatures, and no key leaves the process."""

    precondition = "If-Match"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._account = Account.of(context)
        self._service = self._account.service()
        self.base = self._service.base
        self._first_region = self._account.region()
        self._regions: dict[str, str] = {}  # of buckets that are in another one

    def region(self, bucket: str) -> str:
        """Return the region of a bucket, as far as it is known."""
        return self._regions.get(bucket, self._first_region)

    def url(self, place: Place, query: str = "") -> str:
        """Return the URL of an object, or of a bucket."""
        return self._service.url(place, self.region(place.bucket), query)

    def at(self, place: Place, query: str = "", *, cap: int = _DOCUMENT_CAP) -> Answer:
        """Return a small object, or what a bucket answers to a question."""
        with suppress(ElsewhereError):
            return self.get(self.url(place, query), cap=cap)
        return self.get(self.url(place, query), cap=cap)

    def head_at(self, place: Place, query: str = "", headers: Mapping[str, str] | None = None) -> Answer:
        """Return the headers of an object."""
        with suppress(ElsewhereError):
            return self.head(self.url(place, query), headers=headers)
        return self.head(self.url(place, query), headers=headers)

    def put_at(
        self,
        place: Place,
        body: bytes | Part,
        sha256: str,
        query: str = "",
        *,
        method: str = "PUT",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send what may be sent twice.

        Args:
            place: Where to.
            body: What is sent.
            sha256: Of the body: S3 refuses other bytes.
            query: What is asked beside.
            method: ``PUT`` or ``POST``.
            headers: Sent besides.
        """
        sent = {"x-amz-content-sha256": sha256, **(headers or {})}
        url = self.url(place, query)
        with suppress(ElsewhereError):
            return self.retrying(lambda: self.put(url, body, method=method, headers=sent), origin(url))
        return self.retrying(lambda: self.put(self.url(place, query), body, method=method, headers=sent), origin(url))

    def listed(self, place: Place) -> Iterator[Entry]:
        """Yield the objects below a prefix."""
        prefix = f"{place.key}/" if place.key else ""
        bucket, token = Place(place.bucket, ""), ""
        for _ in range(_MOST_PAGES):
            asked = {"list-type": "2", "encoding-type": "url", "prefix": prefix, "continuation-token": token}
            answer = self.at(bucket, question(asked))
            try:
                page = page_of(answer.body)
            except MalformedXmlError as error:
                raise self.malformed(place, f"the listing of it: {error}") from error
            if any(not entry.key.startswith(prefix) for entry in page.entries):
                raise self.malformed(place, "the listing of it holds objects of another prefix")
            yield from page.entries
            if not page.following:
                return
            if page.following == token:
                raise self.malformed(place, "the pages of its listing do not end")
            token = page.following
        raise self.malformed(place, f"its listing has more than {_MOST_PAGES} pages")

    def malformed(self, place: Place, why: str) -> Unavailable:
        """Return the error of a server that does not speak the protocol."""
        return Unavailable(
            f"{host(self.url(place))} does not answer like S3: s3://{written(*place)}: {why}",
            hints=["check AWS_ENDPOINT_URL; a proxy or a captive portal may stand in between"],
            code=Code.BAD_ANSWER,
        )

    def authorization(self, url: str) -> Mapping[str, str] | None:  # noqa: ARG002 - none is right for any
        """Return nothing: no secret is sent, see :meth:`signature`."""
        return None

    def signature(self, method: str, url: str, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Sign what is asked of this S3, also where it redirects to; nothing else."""
        found = self._service.place(url)
        if found is None:
            return {}
        place, region = found
        keys, region = self._keys(place.bucket), region or self.region(place.bucket)
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
        keys = self._keys(place.bucket)
        refusal = Refusal(answer, place, "" if keys is None else keys.found)
        if refusal.region and refusal.region != (region or self.region(place.bucket)):
            self._regions[place.bucket] = refusal.region
            return ElsewhereError(f"the bucket {place.bucket} is in the region {refusal.region}")
        return refusal.error()

    def _keys(self, bucket: str) -> Keys | None:
        return self._account.keys(bucket, self.base and origin(self.base))


def question(asked: Mapping[str, str]) -> str:
    """Return the query that asks for something; what is empty is not asked."""
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in asked.items() if value)
