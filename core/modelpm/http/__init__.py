"""The public base of sources over HTTP.

A plugin subclasses :class:`HttpSource` and writes only ``resolve``. It inherits ranges, validators, redirects,
credentials bound to their origin, proxies, the system's certificates, offline mode, checks of every answer, and errors
that name host and reason and never a query.

* ``urls``, ``answers``: pure; what a URL and the head of an answer tell.
* ``pool``, ``proxies``, ``connections``, ``racing``: how a connection is made, and to which of a host's addresses.
* ``body``, ``unpacking``: bytes, and what proxies compressed; ``reach``: whether a server answers at all.
* ``targets``, ``ranging``: where redirects led, and which locations serve ranges.
* ``sending``, ``tokens``: redirects, proofs, and the tokens of registries; ``retrying``, ``paging``: documents.
* ``failures``: what broken connections mean.
* ``source``: puts them together.
"""

from modelpm.http.answers import Answer, error_of, strong_validator
from modelpm.http.errors import PermanentError
from modelpm.http.paging import next_page
from modelpm.http.source import HttpSource
from modelpm.http.urls import Address, address, host, is_signed, label, origin, redirect_target

__all__ = [
    "Address",
    "Answer",
    "HttpSource",
    "PermanentError",
    "address",
    "error_of",
    "host",
    "is_signed",
    "label",
    "next_page",
    "origin",
    "redirect_target",
    "strong_validator",
]
