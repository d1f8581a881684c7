"""What servers of S3 answer beside objects: regions, versions that changed, pages, refusals; from servers of ours."""

import re
from urllib.parse import parse_qs

import pytest
from werkzeug import Request, Response

from modelpm.api import Context, Denied, ModelpmError, NotFound, Unavailable
from modelpm_s3.source import S3
from tests.support.buckets import KEYS, answering
from tests.support.cdn import ranged

DATA = bytes(range(256)) * 40
EMPTY = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"


def s3(url: str, **environ: str) -> S3:
    return S3(Context(environ={"AWS_ENDPOINT_URL": url, **KEYS, **environ}))


def region_of(request: Request) -> str:
    found = re.search(r"Credential=[^/]+/\d+/([^/]+)/s3", request.headers.get("Authorization", ""))
    return found[1] if found else ""


def refusal(code: str, status: int, *, region: str = "", message: str = "no") -> Response:
    named = f"<Region>{region}</Region>" if region else ""
    return Response(f"<Error><Code>{code}</Code><Message>{message}</Message>{named}</Error>", status)


MALFORMED = "a malformed signature"
REGIONS = {
    "a redirect that leads nowhere": Response(b"", 301, {"x-amz-bucket-region": "eu-west-1"}),
    MALFORMED: refusal("AuthorizationHeaderMalformed", 400, region="eu-west-1"),
    "a refused HEAD": Response(b"", 400, {"x-amz-bucket-region": "eu-west-1"}),
}


@pytest.mark.parametrize("kind", REGIONS)
def test_a_bucket_of_another_region_is_asked_again_there(kind: str) -> None:
    def route(request: Request) -> Response:
        if region_of(request) != "eu-west-1":
            return Response(b"", 400) if request.method == "HEAD" and kind == MALFORMED else REGIONS[kind]
        return Response(EMPTY) if "list-type" in request.args else ranged(request, DATA, '"v1"')

    with answering(route) as server:
        source = s3(server.url)
        (file,) = source.resolve(source.parse("weights/x.bin")).files
        with source.open(file, file.locations[0], start=5) as stream:
            assert b"".join(stream.chunks) == DATA[5:]
        assert len([seen for seen in server.seen if seen.status >= 300]) <= 2


def test_a_location_of_a_lock_finds_the_region_too() -> None:
    def route(request: Request) -> Response:
        if region_of(request) != "eu-west-1":
            return Response(b"", 301, {"x-amz-bucket-region": "eu-west-1"})
        return ranged(request, DATA, '"v1"')

    with answering(route) as server:
        source = s3(server.url)
        reference = source.parse("weights/x.bin")
        (file,) = s3(server.url).resolve(reference).files
        with pytest.raises(ModelpmError, match="region eu-west-1") as caught, source.open(file, file.locations[0]):
            pass
        assert caught.value.code == "expired"
        with source.open(file, source.locate(reference, "")[0]) as stream:
            assert b"".join(stream.chunks) == DATA


def test_a_redirect_to_another_server_gets_no_signature() -> None:
    with answering(lambda request: ranged(request, DATA, '"v1"')) as other:
        with answering(lambda _: Response(b"", 307, {"Location": f"{other.url}/weights/x.bin"})) as server:
            source = s3(server.url, AWS_SESSION_TOKEN="session-token")  # noqa: S106 - none
            assert source.resolve(source.parse("weights/x.bin")).files[0].size == len(DATA)
        assert other.seen
        assert not any(name.lower().startswith(("authorization", "x-amz-sec")) for name in other.seen[0].headers)
        assert "session-token" in str(server.seen[0].headers)


def test_an_object_that_changed_is_refused_by_its_tag_and_asked_again_without() -> None:
    def route(request: Request) -> Response:
        if request.headers.get("If-Match", '"v2"') != '"v2"':
            return refusal("PreconditionFailed", 412)
        return ranged(request, DATA, '"v2"')

    with answering(route) as server:
        source = s3(server.url)
        (file,) = source.resolve(source.parse("weights/x.bin")).files
        with source.open(file, file.locations[0], start=9, validator='"v1"') as stream:
            assert (stream.validator, stream.start, b"".join(stream.chunks)) == ('"v2"', 9, DATA[9:])
        conditions = [seen.headers.get("If-Match") for seen in server.seen]
        assert conditions == [None, '"v1"', None]
        assert not any("If-Range" in seen.headers for seen in server.seen)


def test_a_part_that_is_called_a_whole_is_read_as_the_part() -> None:
    def route(request: Request) -> Response:
        answer = ranged(request, DATA, '"v1"')
        answer.status_code = 200
        return answer

    with answering(route) as server:
        source = s3(server.url)
        (file,) = source.resolve(source.parse("weights/x.bin")).files
        with source.open(file, file.locations[0], start=2, stop=6) as stream:
            assert (stream.start, stream.total, b"".join(stream.chunks)) == (2, len(DATA), DATA[2:6])


def pages(request: Request, count: int) -> Response:
    """List ``count`` objects, a thousand a page."""
    if request.method == "HEAD":
        return Response(b"", 404)
    start = int(parse_qs(request.query_string.decode()).get("continuation-token", ["0"])[0])
    rows = (
        f"<Contents><Key>m/{n:06}.bin</Key><Size>1</Size></Contents>" for n in range(start, min(start + 1000, count))
    )
    more = f"<NextContinuationToken>{start + 1000}</NextContinuationToken>" if start + 1000 < count else ""
    truncated = f"<IsTruncated>{str(bool(more)).lower()}</IsTruncated>"
    return Response(f"<ListBucketResult>{''.join(rows)}{truncated}{more}</ListBucketResult>")


@pytest.mark.parametrize("count", [3500, pytest.param(100_000, marks=pytest.mark.marathon)])
def test_a_listing_has_all_its_pages(count: int) -> None:
    with answering(lambda request: pages(request, count)) as server:
        source = s3(server.url)
        files = source.resolve(source.parse("weights/m")).files
        assert len({file.path for file in files}) == count
        assert len(server.seen) == 1 + -(-count // 1000)


LISTINGS = {
    "no XML": b"<html>sign in</html>",
    "objects of another prefix": b"<ListBucketResult><Contents><Key>other/x</Key><Size>1</Size></Contents>"
    b"</ListBucketResult>",
    "pages without end": b"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t"
    b"</NextContinuationToken></ListBucketResult>",
}


@pytest.mark.parametrize("kind", LISTINGS)
def test_a_listing_that_lies_is_refused(kind: str) -> None:
    with answering(lambda request: Response(LISTINGS[kind], 404 if request.method == "HEAD" else 200)) as server:
        source = s3(server.url)
        with pytest.raises(Unavailable, match="does not answer like S3") as caught:
            source.resolve(source.parse("weights/m"))
        assert caught.value.code == "bad_answer"
        assert len(server.seen) <= 3


REFUSALS = {
    "InvalidAccessKeyId": (403, Denied, "does not accept the keys from AWS_ACCESS_KEY_ID"),
    "SignatureDoesNotMatch": (403, Denied, "does not accept the keys"),
    "ExpiredToken": (400, Denied, "has run out"),
    "RequestTimeTooSkewed": (403, Denied, "the clock of this machine"),
    "AccessDenied": (403, Denied, "may not use s3://weights"),
    "InvalidObjectState": (403, Denied, "archive class"),
    "NoSuchBucket": (404, NotFound, "has no bucket `weights`"),
    "NoSuchKey": (404, NotFound, "does not exist"),
    "InvalidRequest": (400, Unavailable, "refuses s3://weights: InvalidRequest: no"),
}


@pytest.mark.parametrize("code", REFUSALS)
def test_a_refusal_says_what_is_wrong(code: str) -> None:
    status, family, words = REFUSALS[code]
    with answering(
        lambda request: Response(b"", status) if request.method == "HEAD" else refusal(code, status)
    ) as server:
        source = s3(server.url)
        with pytest.raises(family, match=words):
            source.resolve(source.parse("weights/m"))


def test_composite_digests_are_no_promise() -> None:
    said = {"composite": {"x-amz-checksum-sha256": "A" * 43 + "=-3"}, "typed": {"x-amz-checksum-type": "COMPOSITE"}}
    for headers in said.values():
        whole = {"x-amz-checksum-sha256": "A" * 43 + "=", **headers}
        with answering(lambda request, whole=whole: ranged(request, DATA, '"v1"', whole)) as server:  # type: ignore[misc]
            source = s3(server.url)
            assert source.resolve(source.parse("weights/x.bin")).files[0].digest is None


def test_without_keys_nothing_is_signed() -> None:
    with answering(lambda request: ranged(request, DATA, '"v1"')) as server:
        source = S3(Context(environ={"AWS_ENDPOINT_URL": server.url}))
        source.resolve(source.parse("public/x.bin"))
        assert not any("Authorization" in seen.headers for seen in server.seen)


def test_an_object_that_may_not_be_read_keeps_no_other_from_being_listed() -> None:
    rows = "".join(
        f"<Contents><Key>m/{name}</Key><Size>1</Size><ChecksumAlgorithm>SHA256</ChecksumAlgorithm></Contents>"
        for name in ("mine", "theirs")
    )

    def route(request: Request) -> Response:
        if request.method == "GET":
            return Response(f"<ListBucketResult>{rows}</ListBucketResult>")
        whole = {"x-amz-checksum-sha256": "A" * 43 + "="}
        return Response(b"x", 200, whole) if request.path.endswith("/mine") else Response(b"", 403)

    with answering(route) as server:
        source = s3(server.url)
        files = source.resolve(source.parse("weights/m")).files
        assert [(file.path, file.digest is not None) for file in files] == [("mine", True), ("theirs", False)]
