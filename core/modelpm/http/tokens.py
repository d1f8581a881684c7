"""Tokens of registries: a server that answers 401 names a realm, which hands out a bearer token for a scope.

The protocol is that of the OCI distribution specification. User and password go to the realm only where it is of the
server's own origin, or of the one that the user's configuration, or the source, names for it.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from urllib.parse import urlencode

from modelpm.api.types import Secret
from modelpm.errors import Code, ModelpmError, UsageError
from modelpm.http.errors import PermanentError
from modelpm.http.urls import address, host, origin
from modelpm.network.redact import withhold

IDENTITY = "<token>"  # the user of an identity token, as Docker stores it
_SCHEME = re.compile(r"\s*([A-Za-z]+)(?:\s+|\Z)")
_FIELD = re.compile(r'\s*([A-Za-z_]{1,32})\s*=\s*(?:"([^"]{0,2048})"|([^\s,"]{1,2048}))\s*(?:,|\Z)')
_MOST = 8192  # characters of a challenge
_LIFE = 60.0  # seconds of a token that says nothing of its end, as the specification has it
_LONGEST = 3600.0
_EARLY = 5.0


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a server wants.

    Attributes:
        scheme: In lower case: ``bearer``, ``basic``.
        fields: ``realm``, ``service``, ``scope``.
    """

    scheme: str
    fields: Mapping[str, str]

    @classmethod
    def parse(cls, header: str) -> "Challenge | None":
        """Read ``WWW-Authenticate``; None if it says nothing that is understood. Linear."""
        found = _SCHEME.match(header[:_MOST])
        if found is None:
            return None
        fields, at = dict[str, str](), found.end()
        while (field_ := _FIELD.match(header[:_MOST], at)) is not None:
            fields[field_[1].lower()] = field_[2] if field_[2] is not None else field_[3]
            at = field_.end()
        return cls(found[1].lower(), fields)


@dataclass(slots=True)
class Tokens:
    """The tokens of one source, by server and scope. Thread-safe."""

    _held: dict[tuple[str, str], tuple[str, float]] = field(default_factory=dict)
    _basic: set[str] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)

    def headers(self, server: str, scope: str, secret: Secret | None) -> Mapping[str, str] | None:
        """Return the headers for a request: a token that lives, or the secret where the server wants that itself."""
        with self._lock:
            token, until = self._held.get((server, scope), ("", 0.0))
            if token and time.monotonic() < until:
                return {"Authorization": f"Bearer {token}"}
            return secret.headers() if secret is not None and server in self._basic else None

    def note_basic(self, server: str) -> None:
        """Remember that a server wants the secret itself."""
        with self._lock:
            self._basic.add(server)

    def keep(self, server: str, scope: str, document: Any) -> None:
        """Keep what a realm answered.

        Raises:
            Unavailable: It has no token in it.
        """
        answer = document if isinstance(document, Mapping) else {}
        token = answer.get("token") or answer.get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise PermanentError(f"the realm of {host(server)} sent no token", code=Code.BAD_ANSWER)
        said = answer.get("expires_in")
        life = float(said) if isinstance(said, int | float) and said > 0 else _LIFE
        withhold(token)
        with self._lock:
            self._held[server, scope] = (token, time.monotonic() + max(_EARLY, min(life, _LONGEST) - _EARLY))


def realm_of(challenge: Challenge, server: str) -> str:
    """Return the address of the realm.

    Raises:
        PermanentError: It is none, or not https where the server is.
    """
    realm = challenge.fields.get("realm", "")
    try:
        place = address(realm)
    except UsageError as error:
        raise PermanentError(f"{host(server)} names a realm that is not an address", code=Code.BAD_ANSWER) from error
    if place.scheme != "https" and server.startswith("https:"):
        raise PermanentError(f"{host(server)} names a realm over plain http, which is refused", code=Code.BAD_ANSWER)
    return place.url


def question(realm: str, challenge: Challenge, scope: str) -> str:
    """Return the URL that asks a realm for a token."""
    wanted = {"service": challenge.fields.get("service", ""), "scope": challenge.fields.get("scope", "") or scope}
    query = urlencode({key: value for key, value in wanted.items() if value})
    return f"{realm}{'&' if '?' in realm else '?'}{query}" if query else realm


def form(challenge: Challenge, scope: str, secret: Secret) -> bytes:
    """Return the form that exchanges an identity token for a token of the scope."""
    fields = {
        "grant_type": "refresh_token",
        "service": challenge.fields.get("service", ""),
        "scope": challenge.fields.get("scope", "") or scope,
        "client_id": "modelpm",
        "refresh_token": secret.reveal(),
    }
    return urlencode(fields).encode()


def may_know(realm: str, server: str, secret: Secret, trusted: str) -> bool:
    """Tell whether a realm may be sent the secret of a server.

    Args:
        realm: Its address.
        server: The origin that named it.
        secret: What would be sent.
        trusted: The origin of a realm that the source itself knows to belong to the server; empty for none.
    """
    try:
        named = {server, trusted, origin(secret.realm) if secret.realm else ""}
    except ModelpmError:
        named = {server, trusted}
    return origin(realm) in named
