"""Faults of servers, proxies and networks in downloads. Each fault answers one request."""

import gzip as gzip_
import time
from collections.abc import Callable
from email.utils import formatdate

from modelpm.testing.exchange import Exchange, Fault

_ENDLESS = 64 << 20  # bytes after which an endless body ends after all, so that a test does


def first(count: int, fault: Fault) -> Fault:
    """Misbehave ``count`` times, then serve well."""
    left = [count]

    def some(exchange: Exchange) -> None:
        left[0] -= 1
        (fault if left[0] >= 0 else Exchange.serve)(exchange)

    return some


def outage(seconds: float) -> Fault:
    """Send half of the first body; from then on reset every connection, for so long; then serve well."""
    until: list[float] = []

    def some(exchange: Exchange) -> None:
        if not until:
            body = exchange.begin()
            exchange.body(body[: len(body) // 2])
            until.append(time.monotonic() + seconds)
        if time.monotonic() < until[0]:
            exchange.reset()
        exchange.serve()

    return some


def on_resume(fault: Fault) -> Fault:
    """Misbehave where a range begins behind the first byte, and serve all else well."""

    def some(exchange: Exchange) -> None:
        (fault if exchange.range and exchange.range[0] > 0 else Exchange.serve)(exchange)

    return some


def reset(exchange: Exchange) -> None:
    """Half of the body, then a reset."""
    body = exchange.begin()
    exchange.body(body[: len(body) // 2])
    exchange.reset()


def end(exchange: Exchange) -> None:
    """Half of the body, then an end in good order."""
    body = exchange.begin()
    exchange.body(body[: len(body) // 2])
    exchange.hang_up()


def short(exchange: Exchange) -> None:
    """A truncated file whose length is announced as if it were right."""
    half = exchange.data[: len(exchange.data) // 2]
    exchange.head("200 OK", len(half), ETag=exchange.etag)
    exchange.body(half)


def stall(exchange: Exchange) -> None:
    """Half of the body, then silence."""
    body = exchange.begin()
    exchange.body(body[: len(body) // 2])
    exchange.ended.wait(60)
    exchange.hang_up()


def drip(exchange: Exchange) -> None:
    """Fifty bytes a second: never silent, never done."""
    for byte in exchange.begin():
        exchange.body(bytes([byte]))
        if exchange.ended.wait(0.02):
            exchange.hang_up()


def trickle(exchange: Exchange) -> None:
    """A third of the body, then five bytes a second."""
    body = exchange.begin()
    exchange.body(body[: len(body) // 3])
    _slowly(exchange, body[len(body) // 3 :])


def drip_head(exchange: Exchange) -> None:
    """A header that grows by five bytes a second and never ends."""
    exchange.raw(b"HTTP/1.1 200 OK\r\nX-Drip: ")
    _slowly(exchange, b"x" * 1000)


def continues(exchange: Exchange) -> None:
    """Interim answers, five a second, and no other."""
    while not exchange.ended.wait(0.2):
        exchange.raw(b"HTTP/1.1 100 Continue\r\n\r\n")
    exchange.hang_up()


def trailers(exchange: Exchange) -> None:
    """The whole file without a length, and behind it trailers without an end."""
    exchange.head("200 OK", None, Transfer_Encoding="chunked", ETag=exchange.etag)
    _chunk(exchange, exchange.data)
    exchange.raw(b"0\r\n")
    while not exchange.ended.wait(0.2):
        exchange.raw(b"X-Trailer: x\r\n")
    exchange.hang_up()


def _slowly(exchange: Exchange, body: bytes) -> None:
    for byte in body:
        exchange.raw(bytes([byte]))
        if exchange.ended.wait(0.2):
            exchange.hang_up()


def ignore_range(exchange: Exchange) -> None:
    """The whole file, whatever was asked for."""
    exchange.head("200 OK", len(exchange.data), ETag=exchange.etag)
    exchange.body(exchange.data)


def _part(exchange: Exchange, content_range: Callable[[int, int, int], str | None], shift: int = 0) -> None:
    start, stop = exchange.range or (0, len(exchange.data))
    said = content_range(start, stop, len(exchange.data))
    exchange.head("206 Partial Content", stop - start, ETag=exchange.etag, **({"Content_Range": said} if said else {}))
    body = exchange.data[start + shift :][: stop - start]
    exchange.body(body.ljust(stop - start, b"?"))


def wrong_range(exchange: Exchange) -> None:
    """Another range than the one that was asked for, and it says so."""
    _part(exchange, lambda start, stop, total: f"bytes {start + 1}-{stop}/{total + 1}", shift=1)


def missing_range(exchange: Exchange) -> None:
    """A 206 that does not say which bytes it holds."""
    _part(exchange, lambda _start, _stop, _total: None)


def lying_range(exchange: Exchange) -> None:
    """The right header, and other bytes."""
    _part(exchange, lambda start, stop, total: f"bytes {start}-{stop - 1}/{total}", shift=1)


def unknown_total(exchange: Exchange) -> None:
    """A range without the size of the whole."""
    _part(exchange, lambda start, stop, _total: f"bytes {start}-{stop - 1}/*")


def part_as_whole(exchange: Exchange) -> None:
    """200 for a part, which only its header tells; ``rclone serve s3`` does that."""
    start, stop = exchange.range or (0, len(exchange.data))
    said = {"Content_Range": f"bytes {start}-{stop - 1}/{len(exchange.data)}"} if exchange.range else {}
    exchange.head("200 OK", stop - start, ETag=exchange.etag, **said)
    exchange.body(exchange.data[start:stop])


def silent_part(exchange: Exchange) -> None:
    """200 for a part, and nothing tells that it is one."""
    start, stop = exchange.range or (0, len(exchange.data))
    exchange.head("200 OK", stop - start, ETag=exchange.etag)
    exchange.body(exchange.data[start:stop])


def lying_total(exchange: Exchange) -> None:
    """The right part of the file, and half of its size as the size of the whole."""
    _part(exchange, lambda start, stop, total: f"bytes {start}-{stop - 1}/{total // 2}")


def range_refused(exchange: Exchange) -> None:
    """403 for whatever has a range, as some firewalls answer."""
    if exchange.range is None:
        exchange.serve()
    else:
        exchange.refuse("403 Forbidden", "blocked")


def range_reset(exchange: Exchange) -> None:
    """A reset for whatever has a range."""
    if exchange.range is None:
        exchange.serve()
    else:
        exchange.reset()


def multipart(exchange: Exchange) -> None:
    """One range asked for, several parts sent."""
    exchange.head("206 Partial Content", 10, Content_Type="multipart/byteranges; boundary=x")
    exchange.body(b"--x\r\n\r\nab\r\n")


def weak_etag(exchange: Exchange) -> None:
    """A weak validator, which proves nothing."""
    exchange.body(exchange.begin(etag="W/" + exchange.etag))


def not_satisfiable(exchange: Exchange) -> None:
    """416, though the range exists."""
    exchange.refuse("416 Range Not Satisfiable", "", Content_Range=f"bytes */{len(exchange.data)}")


def too_many(exchange: Exchange) -> None:
    """429 with seconds to wait."""
    exchange.refuse("429 Too Many Requests", Retry_After="1")


def too_many_until(exchange: Exchange) -> None:
    """429 with a date to wait for, by a clock that is an hour slow."""
    now = time.time() - 3600
    fields = {"Date": formatdate(now, usegmt=True), "Retry_After": formatdate(now + 1, usegmt=True)}
    exchange.refuse("429 Too Many Requests", **fields)


def unavailable(exchange: Exchange) -> None:
    """503."""
    exchange.refuse("503 Service Unavailable")


def broken(exchange: Exchange) -> None:
    """500."""
    exchange.refuse("500 Internal Server Error", "<Error>oops</Error>" * 100)


def no_answer(exchange: Exchange) -> None:
    """The connection ends before the answer begins."""
    exchange.reset()


def rubbish(exchange: Exchange) -> None:
    """Something that is not HTTP."""
    exchange.raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    exchange.hang_up()


def long_header(exchange: Exchange) -> None:
    """A header of 200 KB."""
    exchange.head("200 OK", 5, X_Long="x" * 200_000)
    exchange.hang_up()


def forbidden(exchange: Exchange) -> None:
    """403, as storage answers when a signature has run out."""
    exchange.refuse("403 Forbidden", "<Error><Code>AccessDenied</Code></Error>")


def redirect_loop(exchange: Exchange) -> None:
    """A redirect to itself."""
    exchange.refuse("302 Found", "", Location=exchange.path)


def redirect_nowhere(exchange: Exchange) -> None:
    """A redirect without a place."""
    exchange.refuse("302 Found", "")


def gzip(exchange: Exchange) -> None:
    """Says that the bytes are compressed."""
    body = exchange.data
    exchange.head("200 OK", len(body), Content_Encoding="gzip")
    exchange.body(body)


def compressed(exchange: Exchange) -> None:
    """The whole file, compressed though identity was asked for, as some proxies do."""
    packed = gzip_.compress(exchange.data)
    exchange.head("200 OK", len(packed), Content_Encoding="gzip", ETag=exchange.etag)
    exchange.body(packed)


def garbage(exchange: Exchange) -> None:
    """A whole file with more behind it, announced as its length."""
    more = b"!" * (1 << 20)
    exchange.head("200 OK", len(exchange.data) + len(more), ETag=exchange.etag)
    exchange.body(exchange.data + more)


def _chunk(exchange: Exchange, data: bytes) -> None:
    exchange.raw(f"{len(data):x}\r\n".encode())
    exchange.body(data)
    exchange.raw(b"\r\n")


def endless(exchange: Exchange) -> None:
    """A body without a length that does not end."""
    exchange.head("200 OK", None, Transfer_Encoding="chunked", ETag=exchange.etag)
    _chunk(exchange, exchange.data)
    while exchange.sent < len(exchange.data) + _ENDLESS:
        _chunk(exchange, b"x" * 65536)
    exchange.raw(b"0\r\n\r\n")


def chunked(exchange: Exchange) -> None:
    """The whole file without a length."""
    exchange.head("200 OK", None, Transfer_Encoding="chunked", ETag=exchange.etag)
    _chunk(exchange, exchange.data)
    exchange.raw(b"0\r\n\r\n")


def chunked_cut(exchange: Exchange) -> None:
    """Half of the file without a length, and no end of the body."""
    exchange.head("200 OK", None, Transfer_Encoding="chunked", ETag=exchange.etag)
    _chunk(exchange, exchange.data[: len(exchange.data) // 2])
    exchange.hang_up()


def portal(exchange: Exchange) -> None:
    """The page of a captive portal."""
    page = b"<html><body>Please sign in</body></html>"
    exchange.head("200 OK", len(page), Content_Type="text/html; charset=utf-8")
    exchange.body(page)


def flip(exchange: Exchange) -> None:
    """One bit of the body is another."""
    body = bytearray(exchange.begin())
    if body:
        body[len(body) // 3] ^= 4
    exchange.body(bytes(body))


def changed(exchange: Exchange) -> None:
    """Another file of the same size, with a validator of its own."""
    exchange.data = bytes(byte ^ 0xFF for byte in exchange.data[:4096]) + exchange.data[4096:]
    exchange.serve()


def no_plain_get(exchange: Exchange) -> None:
    """400 for a request without a range."""
    if exchange.range is None:
        exchange.refuse("400 Bad Request")
    else:
        exchange.serve()


FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        *(reset, end, short, stall, drip, ignore_range, wrong_range, missing_range, lying_range, unknown_total),
        *(multipart, weak_etag, not_satisfiable, too_many, too_many_until, unavailable, broken, no_answer, rubbish),
        *(long_header, forbidden, redirect_loop, redirect_nowhere, gzip, garbage, endless, chunked, chunked_cut),
        *(portal, flip, changed, no_plain_get, trickle, drip_head, continues, trailers),
        *(part_as_whole, silent_part, lying_total, range_refused, range_reset, compressed),
    )
}
"""Every fault by its name."""
