"""Read what follows ``s3://``: ``BUCKET[/KEY-OR-PREFIX][@VERSION][:VARIANT]``; a glob begins the choice of files.

A prefix that models were pushed to may be followed by ``@sha256:…``, the digest of a manifest, and a file of that.

A key may hold any character. What means something in a reference (``%``, ``@``, ``:``, ``*``, ``?``, ``[``, ``#``, a
backslash, control characters) is percent-encoded in it where it belongs to the key. A reference's path is written so.
"""

import re
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import quote, unquote

from modelpm.api import Reference, UsageError, printable

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_VERSION = re.compile(r"[A-Za-z0-9._~+=-]{1,1024}")
_VARIANT = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_SPECIAL = re.compile(r"[%@:*?\[\]#\\\x00-\x1f\x7f-\x9f]")
_GLOB = re.compile(r"[*?\[]")
_PINNED = re.compile(r"(.*?)@(sha256:[0-9a-f]{64})(?:/(.*?))?(?::([A-Za-z][A-Za-z0-9_-]*))?", re.DOTALL)


class Place(NamedTuple):
    """An object or a prefix: the bucket, and the key as the server has it; a prefix without a slash at its end."""

    bucket: str
    key: str


def parse(rest: str) -> Reference:
    """Return the reference that ``rest`` writes.

    Raises:
        UsageError: It is malformed; says how it is written.
    """
    if pinned := _PINNED.fullmatch(rest):  # a model that was pushed: a manifest, and perhaps a file of it
        place, digest, file, variant = pinned.groups()
        return replace(parse(place), revision=digest, file=file or "", quantization=variant or "")
    rest, variant = _cut(rest, ":", _VARIANT)
    rest, version = _cut(rest, "@", _VERSION)
    bucket, _, key = rest.partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise _malformed(rest, "the name of the bucket is not one")
    glob = _GLOB.search(key)
    start = key.rfind("/", 0, glob.start()) + 1 if glob else len(key)
    path, file = key[:start].rstrip("/"), key[start:]
    if file and (variant or version):
        raise _malformed(rest, "a glob goes with no variant and no version")
    try:
        key = unquote(path, errors="strict")
    except UnicodeDecodeError:
        raise _malformed(
            rest, "what follows a `%` does not encode a character; a `%` of the key is written %25"
        ) from None
    return Reference("s3", written(bucket, key), version or None, file, variant)


def written(bucket: str, key: str) -> str:
    """Return the path of a reference."""
    return f"{bucket}/{encoded(key)}" if key else bucket


def encoded(key: str) -> str:
    """Return a key as a reference writes it."""
    return _SPECIAL.sub(lambda found: quote(found[0], safe=""), key)


def below(where: Place, path: str) -> Place:
    """Return the place of an object below a prefix, or in a bucket."""
    return Place(where.bucket, f"{where.key}/{path}" if where.key else path)


def place(reference: Reference) -> Place:
    """Return the place that a reference names, without its choice of files."""
    bucket, _, key = reference.path.partition("/")
    return Place(bucket, unquote(key))


def _cut(text: str, mark: str, what: re.Pattern[str]) -> tuple[str, str]:
    """Cut off what follows the last mark, if it is what may stand there."""
    before, found, after = text.rpartition(mark)
    return (before, after) if found and what.fullmatch(after) else (text, "")


def _malformed(rest: str, why: str) -> UsageError:
    return UsageError(
        f"cannot read s3://{printable(rest)}: {why}",
        hints=["write s3://bucket/prefix, s3://bucket/key, s3://bucket/key@version or s3://bucket/prefix/*.gguf"],
    )
