"""Keeps strangers out of the service: hosts, origins, the token, and requests that are too large.

Order matters: a page of another origin, or a name that was rebound to this address, is turned away before any token
is looked at, so that it can neither guess nor use up the guesses of others.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from dataclasses import dataclass, field
from http import HTTPStatus
from time import monotonic
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from modelpm.serve.schema import Problem

COOKIE = "modelpm"
_LARGEST_BODY = 64 << 10
_GUESSES, _WINDOW = 10, 60.0  # wrong tokens that an address may send in so many seconds
_MOST_ADDRESSES = 10_000
_PORT = re.compile(r":[0-9]{1,5}\Z")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass
class Guesses:
    """Wrong tokens of the last minute, by address."""

    _times: dict[str, list[float]] = field(default_factory=dict)

    def wait(self, address: str) -> float:
        """Return the seconds for which an address has to wait; 0 if it may try."""
        now = monotonic()
        recent = [time for time in self._times.get(address, ()) if now - time < _WINDOW]
        self._times[address] = recent
        return _WINDOW - (now - recent[0]) if len(recent) >= _GUESSES else 0.0

    def wrong(self, address: str) -> None:
        """Count a wrong token."""
        if len(self._times) >= _MOST_ADDRESSES:
            self._times.clear()
        self._times.setdefault(address, []).append(monotonic())


class Guard:
    """An ASGI application around another.

    Args:
        app: The application.
        hosts: Names, without ports, under which it may be reached.
        token: What a client must know; empty for none.
    """

    def __init__(self, app: Asgi, hosts: Collection[str], token: str) -> None:
        self._app, self._token = app, token
        self._hosts = frozenset(host.lower() for host in hosts)
        self._cookie = hmac.new(token.encode(), b"modelpm cookie", hashlib.sha256).hexdigest() if token else ""
        self._guesses = Guesses()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refused = self._foreign(headers) or self._too_large(headers)
        if refused is None and scope["path"] == "/" and scope["method"] == "GET":
            refused = self._entering(scope)
        if refused is None and self._token and scope["path"] != "/healthz":
            refused = self._stranger(scope, headers)
        if refused is not None:
            await refused.send(send)
            return
        await self._app(scope, _Counted(receive).receive, _secured(send))

    def _foreign(self, headers: MutableMapping[bytes, str]) -> "_Answer | None":
        host, origin = headers.get(b"host", ""), headers.get(b"origin")
        if _PORT.sub("", host.lower()) not in self._hosts:
            hint = "`modelpm config set serve.hosts NAME` on the machine that serves"
            return _refusal(HTTPStatus.FORBIDDEN, "host_refused", "this service is not reached under that name", hint)
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return _refusal(HTTPStatus.FORBIDDEN, "origin_refused", "a page of another origin may not use this service")
        return None

    def _too_large(self, headers: MutableMapping[bytes, str]) -> "_Answer | None":
        length = headers.get(b"content-length", "0")
        if not length.isdecimal() or int(length[:20]) > _LARGEST_BODY:
            return _refusal(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "usage", f"a request has at most {_LARGEST_BODY} bytes"
            )
        return None

    def _entering(self, scope: Scope) -> "_Answer | None":
        """Exchange the token of the link for a cookie, and take it out of the address."""
        given = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        token = given.pop("token", "")
        if not token or not self._token:
            return None
        if (refused := self._tried(scope, token)) is not None:
            return refused
        cookie = f"{COOKIE}={self._cookie}; HttpOnly; SameSite=Strict; Path=/"
        where = "/" + (f"?{urlencode(given)}" if given else "")
        return _Answer(HTTPStatus.SEE_OTHER, [(b"location", where.encode()), (b"set-cookie", cookie.encode())])

    def _stranger(self, scope: Scope, headers: MutableMapping[bytes, str]) -> "_Answer | None":
        for part in headers.get(b"cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == COOKIE and hmac.compare_digest(value.encode(), self._cookie.encode()):
                return None
        scheme, _, token = headers.get(b"authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            return self._tried(scope, token.strip())
        hint = "open the link that `modelpm serve` printed, or send the token as `Authorization: Bearer …`"
        return _refusal(HTTPStatus.UNAUTHORIZED, "token_missing", "this service needs a token", hint)

    def _tried(self, scope: Scope, token: str) -> "_Answer | None":
        address = (scope.get("client") or ("",))[0]
        if wait := self._guesses.wait(address):
            answer = _refusal(HTTPStatus.TOO_MANY_REQUESTS, "rate_limited", "too many wrong tokens came from here")
            answer.headers.append((b"retry-after", str(int(wait) + 1).encode()))
            return answer
        if hmac.compare_digest(token.encode(), self._token.encode()):
            return None
        self._guesses.wrong(address)
        hint = "`modelpm serve` prints the right one when it starts"
        return _refusal(HTTPStatus.UNAUTHORIZED, "token_wrong", "the token is wrong", hint)


@dataclass(frozen=True)
class _Answer:
    """A response without the application."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""

    async def send(self, send: Send) -> None:
        """Send it."""
        length = (b"content-length", str(len(self.body)).encode())
        start = {"type": "http.response.start", "status": self.status, "headers": [*self.headers, length]}
        secured = _secured(send)
        await secured(start)
        await secured({"type": "http.response.body", "body": self.body})


class _Counted:
    """Receives a body and cuts it where it is larger than it may be, whatever its length was said to be."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self._left = receive, _LARGEST_BODY

    async def receive(self) -> Message:
        """Return the next message."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                return {"type": "http.request", "body": b"", "more_body": False}
        return message


def _refusal(status: int, code: str, title: str, *hints: str) -> _Answer:
    problem = Problem(title=title, status=status, code=code, hints=list(hints), retryable=False)
    body = json.dumps(problem.model_dump()).encode()
    return _Answer(status, [(b"content-type", b"application/problem+json")], body)


def _secured(send: Send) -> Send:
    """Return what sends, with the headers that keep a page from being framed, sniffed or fed foreign code."""
    more = [
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"DENY"),
        (b"referrer-policy", b"no-referrer"),
        (b"cross-origin-resource-policy", b"same-origin"),
    ]

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *more]
        await send(message)

    return sent
