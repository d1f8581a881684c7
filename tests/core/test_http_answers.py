import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3 import HTTPHeaderDict

from modelpm.api import Denied, Digest, ModelpmError, NotFound, RemoteFile, Unavailable
from modelpm.http.answers import Answer, Span, Wanted, error_of, span_of, strong_validator, wait_of
from modelpm.http.unpacking import unpacked
from tests.support.codes import coded

SIZE = 1000
URL = "https://host.example/dir/file.gguf?Signature=canary"


def asked(start: int = 0, stop: int | None = None, size: int | None = SIZE) -> Wanted:
    return Wanted(RemoteFile("file.gguf", size, None, (URL,)), URL, start, stop)


def answered(status: int, **headers: str) -> Answer:
    return Answer(URL, status, HTTPHeaderDict({name.replace("_", "-"): value for name, value in headers.items()}))


def judged(answer: Answer, wanted: Wanted) -> Span | None:
    return span_of(answer, wanted, ranged=True)


@pytest.mark.parametrize(
    ("answer", "wanted", "span"),
    [
        (answered(206, content_range="bytes 100-999/1000", content_length="900"), asked(100), Span(100, 900, SIZE)),
        (answered(206, content_range="BYTES  100-199/1000"), asked(100, 200), Span(100, 100, SIZE)),
        (answered(206, content_range="bytes 100-149/1000"), asked(100, 200), Span(100, 50, SIZE)),
        (answered(200, content_length="1000"), asked(100), Span(0, SIZE, SIZE)),
        (answered(200, transfer_encoding="chunked"), asked(), Span(0, None, None)),
        (answered(200, content_length="1200"), asked(), Span(0, 1200, 1200)),
        (answered(416, content_range="bytes */1000"), asked(SIZE), Span(SIZE, 0, SIZE)),
        (answered(416, content_range="bytes */0"), asked(0, size=0), Span(0, 0, 0)),
        (answered(200, content_length="7"), asked(size=None), Span(0, 7, 7)),
        (answered(200, content_length="7", content_encoding="identity"), asked(size=None), Span(0, 7, 7)),
        (answered(200, content_length="7, 7"), asked(size=None), Span(0, 7, 7)),
        (answered(200, content_length="-5", transfer_encoding="chunked"), asked(), Span(0, None, None)),
        (answered(206, content_range="bytes 100-999/*"), asked(100), Span(100, 900, None)),
        (answered(200, content_range="bytes 100-199/1000", content_length="100"), asked(100), Span(100, 100, SIZE)),
        (answered(200, content_range="bytes 0-0/1000", content_length="1"), asked(0, 1, None), Span(0, 1, SIZE)),
        (answered(200, content_range="bytes 0-999/1000", content_length="1000"), asked(), Span(0, SIZE, SIZE)),
        (answered(403), asked(), None),
        (answered(204), asked(), None),
    ],
)
def test_bytes_that_can_be_placed_are_placed(answer: Answer, wanted: Wanted, span: Span | None) -> None:
    assert judged(answer, wanted) == span


@pytest.mark.parametrize(
    ("answer", "wanted", "code"),
    [
        (answered(206), asked(100), "bad_range"),
        (answered(206, content_range="bytes 0-999/1000"), asked(100), "bad_range"),
        (answered(206, content_range="bytes 100-999/*"), asked(100, size=None), "bad_range"),
        (answered(206, content_range="bytes 100-1000/*"), asked(100), "bad_range"),
        (answered(200, content_range="bytes 0-0/1000", content_length="1000"), asked(0, 1), "bad_range"),
        (answered(200, content_range="bytes 0-0/1000"), asked(100), "bad_range"),
        (answered(200, content_range="bytes 100-199/1000"), asked(100, 150), "bad_range"),
        (answered(200, content_range="bytes */1000", content_length="1000"), asked(), "bad_range"),
        (answered(200, content_range="rubbish", content_length="1000"), asked(), "bad_range"),
        (answered(206, content_range="bytes 0-9/" + "9" * 5000), asked(0, 10), "bad_range"),
        (answered(206, content_range="bytes \u00b2-9/1000"), asked(2, 10), "bad_range"),
        (answered(206, content_range="bytes \u0661-9/1000"), asked(1, 10), "bad_range"),
        (answered(200, content_range="bytes 0-899/900", content_length="900"), asked(), "size_mismatch"),
        (answered(206, content_range="bytes 0-9/2000"), asked(0, 10), "size_mismatch"),
        (answered(206, content_range="bytes 100-300/1000"), asked(100, 200), "bad_range"),
        (answered(206, content_range="bytes 100-99/1000"), asked(100), "bad_range"),
        (answered(206, content_range="bytes 100-1000/1000"), asked(100), "bad_range"),
        (answered(206, content_range="bytes 100-999/1000", content_length="5"), asked(100), "bad_range"),
        (answered(206, content_type="multipart/byteranges; boundary=x"), asked(100), "bad_range"),
        (answered(206, content_range="bytes 100-899/900"), asked(100), "size_mismatch"),
        (answered(200, content_length="999"), asked(), "size_mismatch"),
        (answered(200, content_length="1000", content_encoding="gzip"), asked(), "content_encoding"),
        (answered(206, content_range="bytes 1-999/1000", content_encoding="br"), asked(1), "content_encoding"),
        (answered(200, content_length="-5"), asked(size=None), "bad_answer"),
        (answered(200, content_length="5, 7"), asked(size=None), "bad_answer"),
        (answered(200, content_length="many"), asked(), "bad_answer"),
        (answered(200, content_length="9" * 19), asked(), "bad_answer"),
        (answered(200, content_length="9" * 5000), asked(), "bad_answer"),
        (answered(200, content_length="\u00b2"), asked(), "bad_answer"),
        (answered(200, content_length="\u0663"), asked(), "bad_answer"),
        (answered(200, content_length="+5"), asked(), "bad_answer"),
        (answered(200, content_length="1_000"), asked(), "bad_answer"),
        (answered(206, content_range="bytes 100-999/1000", content_length="-5"), asked(100), "bad_answer"),
        (answered(416, content_range="bytes */900"), asked(SIZE), "range_not_satisfiable"),
        (answered(416), asked(SIZE), "range_not_satisfiable"),
        (answered(200, content_length="5000", content_type="text/html; charset=utf-8"), asked(), "html_page"),
        (answered(200, transfer_encoding="chunked", content_type="text/html"), asked(), "html_page"),
        (answered(200, content_length="5", content_type="text/html"), asked(size=None), "html_page"),
    ],
)
def test_bytes_that_cannot_be_placed_are_refused_and_worth_another_try(
    answer: Answer, wanted: Wanted, code: str
) -> None:
    with pytest.raises(Unavailable) as refused:
        judged(answer, wanted)

    assert (refused.value.code, refused.value.retryable) == (code, True)
    assert "host.example" in refused.value.message
    assert "canary" not in refused.value.message


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (answered(206, content_range="bytes 100-999/*"), "without saying how large the file is"),
        (answered(206, content_type="multipart/byteranges; boundary=x"), "with several parts"),
        (answered(206, content_range="bytes 50-999/1000"), "bytes 50-999 of 1000 when asked from 100 on"),
    ],
)
def test_what_is_wrong_with_a_part_is_said(answer: Answer, why: str) -> None:
    with pytest.raises(Unavailable, match=why):
        judged(answer, asked(100, size=None))


@pytest.mark.parametrize("status", [200, 206])
@pytest.mark.parametrize("part", ["bytes 0-99/1000", "bytes 100-999/1000", "bytes 1-1000/1000"])
def test_a_part_is_not_taken_for_the_whole_file(status: int, part: str) -> None:
    with pytest.raises(Unavailable, check=coded("bad_range")):
        span_of(answered(status, content_range=part), asked(), ranged=False)


@pytest.mark.parametrize("status", [200, 206])
def test_a_part_that_is_the_whole_file_is_one(status: int) -> None:
    answer = answered(status, content_range="bytes 0-999/1000", content_length="1000")
    assert span_of(answer, asked(), ranged=False) == Span(0, SIZE, SIZE)


SHA256 = Digest("sha256", "a" * 64)


def promised(start: int = 0, size: int | None = SIZE, digest: Digest | None = SHA256) -> Wanted:
    return Wanted(RemoteFile("file.gguf", size, digest, (URL,)), URL, start, None)


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", " GZIP "])
def test_what_a_digest_proves_may_be_unpacked(encoding: str) -> None:
    answer = answered(200, content_length="77", content_encoding=encoding, etag='"a"')
    for wanted in (promised(), promised(100), promised(size=None)):
        assert judged(answer, wanted) == Span(0, 77, None, packed=True)


def test_an_archive_that_is_called_packed_is_taken_as_it_is() -> None:
    answer = answered(200, content_length=str(SIZE), content_encoding="x-gzip")
    assert judged(answer, promised()) == Span(0, SIZE, SIZE)


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (answered(200, content_encoding="gzip"), promised(digest=None)),
        (answered(206, content_encoding="gzip", content_range="bytes 0-999/1000"), promised()),
        (answered(200, content_encoding="gzip", content_range="bytes 0-999/1000"), promised()),
        (answered(200, content_encoding="br"), promised()),
        (answered(200, content_encoding="gzip, br"), promised()),
    ],
)
def test_what_cannot_be_unpacked_with_proof_is_refused(answer: Answer, wanted: Wanted) -> None:
    with pytest.raises(Unavailable) as refused:
        judged(answer, wanted)
    assert refused.value.code == "content_encoding"


def test_a_packed_body_is_whole_or_refused() -> None:
    packed = gzip.compress(bytes(3000))
    assert b"".join(unpacked([packed[:10], packed[10:]], URL)) == bytes(3000)
    for cut in (b"", packed[:10], packed[:-9]):
        with pytest.raises(Unavailable, check=coded("content_encoding"), match="is cut"):
            list(unpacked([cut], URL))
    with pytest.raises(Unavailable, check=coded("content_encoding"), match="cannot be unpacked"):
        list(unpacked([b"GGUF" + packed], URL))


@given(st.text(), st.integers(0, 2000), st.none() | st.integers(1, 2000))
def test_any_content_range_is_refused_or_lies_within_what_was_asked(value: str, start: int, stop: int | None) -> None:
    answer = Answer(URL, 206, {"Content-Range": value})
    try:
        span = judged(answer, asked(start, stop))
    except Unavailable:
        return
    assert span is not None
    assert span.start == start


@given(
    st.sampled_from([200, 206]),
    st.integers(0, 1100),
    st.integers(0, 1100),
    st.integers(0, 1100),
    st.integers(0, 1100),
)
def test_a_range_is_believed_only_where_it_fits(status: int, first: int, last: int, total: int, start: int) -> None:
    answer = answered(status, content_range=f"bytes {first}-{last}/{total}")
    try:
        span = judged(answer, asked(start))
    except Unavailable:
        assert not (first == start and first <= last < total == SIZE)
    else:
        assert span == Span(start, last - first + 1, SIZE)


DATE = "Sun, 22 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "2"}, 2),
        ({"Retry-After": "1.5"}, 2),
        ({"Retry-After": "-3"}, 0),
        ({"Retry-After": "999999999"}, 999_999_999),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Sun, 22 Nov 2026 10:00:07 +99999999999999"}, None),
        ({"Retry-After": "Sun, 22 Nov 2026 10:00:07 GMT", "Date": DATE}, 7),
        ({"Retry-After": "Sun, 22 Nov 2026 09:00:00 GMT", "Date": DATE}, 0),
        ({"Retry-After": "Mon, 23 Nov 2026 10:00:00 GMT", "Date": DATE}, 86_400),
        ({"Retry-After": "Sun, 22 Nov 1999 09:00:00 GMT"}, 0),
        ({"RateLimit": '"api";r=0;t=55'}, 55),
        ({"RateLimit": '"api";r=12;t=55'}, None),
        ({"RateLimit": '"api";r=12;t=55', "Retry-After": "3"}, 3),
        ({"RateLimit": '"api";r=0;t=20, "resolvers";r=0;t=31'}, 31),
    ],
)
def test_what_a_server_asks_to_wait_is_read_by_its_own_clock(headers: dict[str, str], seconds: float | None) -> None:
    assert wait_of(headers) == seconds


@given(st.text())
def test_any_retry_after_is_a_wait_or_none(value: str) -> None:
    assert (wait_of({"Retry-After": value}) or 0) >= 0


@pytest.mark.parametrize(
    ("tag", "validator"),
    [('"abc"', '"abc"'), ('W/"abc"', None), ("abc", None), ("", None), ('"a"b"', None), ('"a\r\nX: y"', None)],
)
def test_only_a_strong_tag_proves_equal_bytes(tag: str, validator: str | None) -> None:
    assert strong_validator({"ETag": tag}) == validator


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, Unavailable, False),
        (401, Denied, False),
        (403, Denied, False),
        (404, NotFound, False),
        (410, NotFound, False),
        (408, Unavailable, True),
        (429, Unavailable, True),
        (451, Denied, False),
        (500, Unavailable, True),
        (503, Unavailable, True),
        (599, Unavailable, True),
        (299, Unavailable, False),
    ],
)
def test_each_status_has_its_family(status: int, kind: type[ModelpmError], retryable: bool) -> None:
    error = error_of(answered(status))

    assert isinstance(error, kind)
    assert error.retryable is retryable
    assert "host.example" in error.message
    assert "canary" not in error.message + str(error.hints)
