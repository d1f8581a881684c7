"""Mirrors: where else the bytes of a reference may be. Pure; applied at request time, never written anywhere.

A mirror serves bytes, never listings, and is believed no further than the digest.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

_ORIGIN = re.compile(r"https?://[^/?#]+", re.IGNORECASE)


def mirrored(mirrors: Mapping[str, Sequence[str]], reference: str, location: str, base: str = "") -> Iterator[str]:
    """Yield the URIs to try before a location, in order.

    Args:
        mirrors: URI prefixes, each with its replacement. A bare scheme (``hf://``) means all of that source:
            the mirror then takes the place of what the source's locations begin with. Any other prefix is replaced as
            text, in the reference or in the location; the longest that fits wins.
        reference: What a lock says, e.g. ``hf://owner/repo@commit/path``.
        location: Where its source would fetch it from.
        base: What the source's locations begin with: an origin, and perhaps a path. Empty: the location's origin.
    """
    for prefix in sorted(mirrors, key=len, reverse=True):
        for mirror in mirrors[prefix]:
            if prefix.endswith("://"):
                if reference.startswith(prefix) and (rest := _behind(base, location)):
                    yield mirror.rstrip("/") + _without_query(rest)
            elif reference.startswith(prefix):
                yield mirror + reference[len(prefix) :]
            elif location.startswith(prefix):
                yield mirror + _without_query(location[len(prefix) :])


def _behind(base: str, location: str) -> str:
    if base and location.startswith(f"{base}/"):
        return location[len(base) :]
    origin = _ORIGIN.match(location)
    return location[origin.end() :] if origin else ""


def _without_query(rest: str) -> str:
    """A query may carry the origin's signature or token, which a mirror must not see."""
    return rest.partition("?")[0].partition("#")[0]
