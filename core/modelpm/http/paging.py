"""Listings in pages: the target of the link to the next one."""

import re

_LINK = re.compile(r"<([^<>]+)>([^<]*)")
_IS_NEXT = re.compile(r'\brel\s*=\s*"?next\b', re.IGNORECASE)
MOST_PAGES = 1000


def next_page(header: str) -> str:
    """Return the target of the link to the next page in a ``Link`` header; empty if there is none. Linear."""
    links = (found for found in _LINK.finditer(header) if _IS_NEXT.search(found[2].partition(",")[0]))
    return next((found[1] for found in links), "")
