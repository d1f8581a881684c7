import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm_s3.documents import Entry, Failure, MalformedXmlError, Page, failure_of, page_of

NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
PAGE = f"""<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult {NAMESPACE}><Name>b</Name><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
<Contents><Key>a+b%2B%C3%A4%01</Key><Size>7</Size><ETag>&quot;x&quot;</ETag><ChecksumAlgorithm>SHA256</ChecksumAlgorithm>
<Owner><ID>1</ID><Key>no</Key></Owner></Contents>
<Contents><Key>c</Key><Size>0</Size></Contents>
<NextContinuationToken>1/2+3</NextContinuationToken></ListBucketResult>"""


def test_a_page_has_objects_and_the_token_of_the_next() -> None:
    entries = (Entry("a b+ä\x01", 7, '"x"', has_sha256=True), Entry("c", 0, "", has_sha256=False))
    assert page_of(PAGE.encode()) == Page(entries, "1/2+3")


def test_a_server_that_does_not_encode_is_read_as_it_stands() -> None:
    row = "<Contents><Key>a+b%20</Key><Size>1</Size></Contents>"
    page = page_of(f"<ListBucketResult {NAMESPACE}>{row}</ListBucketResult>".encode())
    assert [entry.key for entry in page.entries] == ["a+b%20"]
    assert page.following == ""


BROKEN = {
    "no XML": b"{}",
    "nothing": b"",
    "another document": b"<Other/>",
    "an object without a key": b"<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>",
    "a size that is none": b"<ListBucketResult><Contents><Key>a</Key><Size>x</Size></Contents></ListBucketResult>",
    "more without a token": b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
    "cut": PAGE.encode()[:-20],
    "a document type": b'<!DOCTYPE x [<!ENTITY a "b">]><ListBucketResult/>',
    "depth": b"<a>" * 1000,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_no_listing_is_refused(kind: str) -> None:
    with pytest.raises(MalformedXmlError):
        page_of(BROKEN[kind])


def test_a_refusal_has_a_code_and_may_name_a_region() -> None:
    body = b"<Error><Code>AuthorizationHeaderMalformed</Code><Message>no</Message><Region>eu-west-1</Region></Error>"
    assert failure_of(body) == Failure("AuthorizationHeaderMalformed", "no", "eu-west-1")


@pytest.mark.parametrize("body", [b"", b"<html>no</html>", b"no"])
def test_a_body_that_is_no_refusal_says_nothing(body: bytes) -> None:
    assert failure_of(body) == Failure()


@given(
    st.binary(max_size=200) | st.integers(0, len(PAGE)).map(lambda at: PAGE.encode()[:at] + b"<x>" + PAGE.encode()[at:])
)
def test_any_bytes_are_a_listing_or_malformed(body: bytes) -> None:
    with suppress(MalformedXmlError):
        page_of(body)
    assert isinstance(failure_of(body), Failure)


def test_a_page_of_a_thousand_objects_is_read_quickly() -> None:
    row = (
        "<Contents><Key>prefix/model-%05d.safetensors</Key><Size>5368709120</Size><ETag>&quot;x&quot;</ETag></Contents>"
    )
    body = "<ListBucketResult>" + "".join(row % n for n in range(10_000)) + "</ListBucketResult>"
    began = time.process_time()
    assert len(page_of(body.encode()).entries) == 10_000
    assert time.process_time() - began < 2
