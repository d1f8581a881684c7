"""Unpack a body that a server or proxy compressed though it was asked not to. Bounded in memory."""

import zlib
from collections.abc import Iterable, Iterator

from modelpm.errors import Code, Unavailable
from modelpm.http.urls import host

_PIECE = 1 << 20  # bytes that come out at once, however few went in
_ANY_WRAPPER = 47  # gzip or zlib, as the first bytes say


def unpacked(chunks: Iterable[bytes], url: str) -> Iterator[bytes]:
    """Yield the bytes that were packed with gzip or deflate, in pieces of at most 1 MiB.

    Raises:
        Unavailable: ``content_encoding``; the body is not packed like that, or is cut.
    """
    stream = zlib.decompressobj(_ANY_WRAPPER)
    try:
        for chunk in chunks:
            rest = chunk
            while rest and not stream.eof:
                if piece := stream.decompress(rest, _PIECE):
                    yield piece
                rest = stream.unconsumed_tail
    except zlib.error as error:
        raise _wrong(url, "cannot be unpacked") from error
    if not stream.eof:
        raise _wrong(url, "is cut")


def _wrong(url: str, why: str) -> Unavailable:
    text = f"{host(url)} sent compressed bytes though asked not to, and the body {why}"
    return Unavailable(text, code=Code.CONTENT_ENCODING)
