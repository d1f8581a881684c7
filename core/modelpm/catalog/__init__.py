"""The catalogs: data that names models, read, looked up and chosen from; nothing in it is ever executed."""

from modelpm.catalog.choose import choose, satisfies
from modelpm.catalog.entry import About, CatalogFile, Deprecated, Entry, Release, Variant
from modelpm.catalog.lookup import Catalogs
from modelpm.catalog.parse import parse_entry

__all__ = [
    "About",
    "CatalogFile",
    "Catalogs",
    "Deprecated",
    "Entry",
    "Release",
    "Variant",
    "choose",
    "parse_entry",
    "satisfies",
]
