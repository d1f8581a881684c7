"""Sign a request as AWS Signature Version 4 says. Pure: the time is a parameter."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, unquote

from modelpm.api import Secret
from modelpm.http import address

_ALGORITHM = "AWS4-HMAC-SHA256"
_CONTENT = "x-amz-content-sha256"
_NOTHING = hashlib.sha256(b"").hexdigest()
_PLAIN = "-_.~"


@dataclass(frozen=True, slots=True)
class Keys:
    """What proves who asks.

    Attributes:
        access: The access key, which names the account and is not secret.
        secret: The secret key.
        token: The token of a session; None for keys that last.
        found: Where they were found, for messages.
    """

    access: str
    secret: Secret
    token: Secret | None
    found: str


def signature(
    keys: Keys, region: str, method: str, url: str, headers: Mapping[str, str], now: datetime
) -> dict[str, str]:
    """Return the headers that sign a request.

    Args:
        keys: Who asks.
        region: Of the bucket.
        method: Of the request.
        url: As it is sent.
        headers: Of the request; those of S3 (``x-amz-…``) are signed. The digest of a body is one of them.
        now: UTC.
    """
    where, stamp = address(url), now.strftime("%Y%m%dT%H%M%SZ")
    own = {_CONTENT: headers.get(_CONTENT, _NOTHING), "x-amz-date": stamp}
    if keys.token is not None:
        own["x-amz-security-token"] = keys.token.reveal()
    signed = {name.lower(): value.strip() for name, value in headers.items() if name.lower().startswith("x-amz-")}
    signed = dict(sorted({**signed, **own, "host": where.server}.items()))
    names = ";".join(signed)
    lines = [method, _path(where.path), _query(where.query or "")]
    lines += [*(f"{name}:{value}" for name, value in signed.items()), "", names, own[_CONTENT]]
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    text = "\n".join([_ALGORITHM, stamp, scope, hashlib.sha256("\n".join(lines).encode()).hexdigest()])
    proof = hmac.new(_key(keys.secret, scope), text.encode(), hashlib.sha256).hexdigest()
    said = f"{_ALGORITHM} Credential={keys.access}/{scope}, SignedHeaders={names}, Signature={proof}"
    return {**own, "Authorization": said}


def _key(secret: Secret, scope: str) -> bytes:
    key = f"AWS4{secret.reveal()}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _path(path: str) -> str:
    """Return a path in the one encoding that S3 signs; nothing in it is shortened."""
    return quote(unquote(path), safe="/" + _PLAIN)


def _query(query: str) -> str:
    pairs = (part.partition("=") for part in query.split("&") if part)
    return "&".join(sorted(f"{_once(name)}={_once(value)}" for name, _, value in pairs))


def _once(text: str) -> str:
    return quote(unquote(text), safe=_PLAIN)
