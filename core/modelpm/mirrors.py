"""Mirrors: where else the bytes of a reference may be. Pure; applied at request time, never written anywhere.

A mirror serves bytes, never listings, and is believed no further than the digest.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

_ORIGIN = re.compile(r"https?://[^/?#]+", re.IGNORECASE)


def mirrored(mirrors: Mapping[str, Sequence[str]], reference: str, location: str) -> Iterator[str]:
    """Yield the URIs to try before a location, in order.

    Args:
        mirrors: URI prefixes, each with what stands there instead. A bare scheme (``hf://``) means all of that source:
            the mirror then takes the place of the location's origin. Any other prefix is replaced as text, in the
            reference or in the location; the longest that fits wins.
        reference: What a lock says, e.g. ``hf://owner/repo@commit/path``.
        location: Where its source would fetch it from.
    """
    for prefix in sorted(mirrors, key=len, reverse=True):
        for mirror in mirrors[prefix]:
            if prefix.endswith("://"):
                if reference.startswith(prefix) and (origin := _ORIGIN.match(location)):
                    yield mirror.rstrip("/") + _without_query(location[origin.end() :])
            elif reference.startswith(prefix):
                yield mirror + reference[len(prefix) :]
            elif location.startswith(prefix):
                yield mirror + _without_query(location[len(prefix) :])


def _without_query(rest: str) -> str:
    """A query may carry the origin's signature or token, which a mirror must not see."""
    return rest.partition("?")[0].partition("#")[0]
