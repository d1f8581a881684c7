"""Send a request through redirects, with the proof that each hop is to get, and answer what a server asks for it."""

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Protocol

from urllib3 import BaseHTTPResponse

from modelpm.api.types import Context, Secret
from modelpm.errors import Code, Denied, OfflineError, UsageError
from modelpm.http.answers import REDIRECTS, Answer, error_of, length_of, said_by
from modelpm.http.body import discard, read_capped
from modelpm.http.errors import PermanentError
from modelpm.http.pool import Asked, Pool
from modelpm.http.tokens import IDENTITY, Challenge, Tokens, form, may_know, question, realm_of
from modelpm.http.urls import host, is_signed, label, origin, redirect_target
from modelpm.network.redact import withhold

_MAX_HOPS = 10
_REALM_CAP = 1 << 16


class Prover(Protocol):
    """What a source decides about proofs; see :class:`modelpm.http.HttpSource`."""

    takes_tokens: bool
    offline_hint: str

    def credential(self, origin: str) -> Secret | None:
        """Return the secret that belongs to exactly this origin."""

    def authorization(self, url: str) -> Mapping[str, str] | None:
        """Return the headers that prove who asks for this URL."""

    def signature(self, method: str, url: str, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Return the headers that sign this one request."""

    def scope(self, url: str) -> str:
        """Return the part of a server for which a token is good."""

    def realm(self, server: str) -> str:
        """Return the origin of the realm that belongs to a server though it is another."""


class Sender:
    """Sends the requests of one source. Thread-safe.

    Args:
        source: Decides about proofs.
        context: How the network is used.

    Attributes:
        tokens: What realms handed out.
    """

    def __init__(self, source: Prover, context: Context) -> None:
        self.tokens = Tokens()
        self._source = source
        self._context = context
        self._pool = Pool(context.network)

    def close(self) -> None:
        """Close the idle connections."""
        self._pool.close()

    def follow(self, url: str, asked: Asked) -> tuple[BaseHTTPResponse, str]:
        """Send a request through redirects; secrets are chosen again at each hop, by its origin.

        Raises:
            Unavailable: No answer came, or redirects lead nowhere.
            OfflineError: The network is forbidden.
        """
        try:
            origin(url)
        except UsageError as error:  # of a listing, or of a plugin: not what the user wrote
            raise PermanentError(f"a location cannot be used: {error.message}", code=Code.BAD_ADDRESS) from error
        if self._context.offline:
            hint = self._source.offline_hint
            raise OfflineError(f"cannot reach {host(url)}: the network is forbidden", hints=[hint])
        seen = [url]
        while len(seen) <= _MAX_HOPS + 1:
            response = self._send(url, asked)
            if response.status not in REDIRECTS or "Location" not in response.headers:
                return response, url
            discard(response, url)
            asked = asked.redirected(response.status)
            url = redirect_target(url, response.headers.get("Location"))
            if url in seen:
                raise PermanentError(
                    f"{host(seen[0])} redirects in a circle, over {label(url)}", code=Code.REDIRECT_LOOP
                )
            seen.append(url)
        raise PermanentError(f"{host(seen[0])} redirects more than {_MAX_HOPS} times", code=Code.REDIRECT_LOOP)

    def _send(self, url: str, asked: Asked) -> BaseHTTPResponse:
        response = self._pool.send(self._proven(url, asked), url)
        if not self._source.takes_tokens or response.status != HTTPStatus.UNAUTHORIZED or is_signed(url):
            return response
        challenge = Challenge.parse(response.headers.get("WWW-Authenticate", ""))
        if challenge is None:
            return response
        try:
            answered = self._answered(url, challenge)
        except BaseException:
            response.close()
            raise
        if not answered:
            return response
        discard(response, url)
        return self._pool.send(self._proven(url, asked), url)

    def _proven(self, url: str, asked: Asked) -> Asked:
        proof = dict(self._source.authorization(url) or {})
        for value in proof.values():
            withhold(value)
            withhold(value.partition(" ")[2])
            if not (value.isascii() and value.isprintable()):
                raise UsageError(f"the token for {origin(url)} holds characters that no token can have")
        headers = {**asked.headers, **proof}
        return replace(asked, headers={**headers, **self._source.signature(asked.method, url, headers)})

    def _answered(self, url: str, challenge: Challenge) -> bool:
        """Get what a server wants; tell whether the request is worth a second try."""
        server = origin(url)
        secret = self._source.credential(server)
        if challenge.scheme == "basic" and secret is not None:
            self.tokens.note_basic(server)
            return True
        if challenge.scheme != "bearer":
            return False
        realm, scope = realm_of(challenge, server), self._source.scope(url)
        trusted = self._source.realm(server)
        known = secret if secret is not None and may_know(realm, server, secret, trusted) else None
        if known is not None and known.username == IDENTITY:
            body, kind = form(challenge, scope, known), {"Content-Type": "application/x-www-form-urlencoded"}
            answer = self._ask_realm(realm, Asked(kind, "POST", body), server)
        else:
            proof = {} if known is None else known.headers()
            answer = self._ask_realm(question(realm, challenge, scope), Asked(proof), server)
        self.tokens.keep(server, scope, answer.json())
        return True

    def _ask_realm(self, url: str, asked: Asked, server: str) -> Answer:
        """Ask a realm; no redirect is followed, for the request may hold a secret."""
        response = self._pool.send(asked, url)
        body = read_capped(response, url, _REALM_CAP, length_of(response.headers))
        answer = Answer(url, response.status, response.headers, body or b"")
        if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise Denied(
                f"{host(url)}, which hands out the tokens of {host(server)}, refuses the login: {said_by(answer)}",
                hints=["check user and password, and what they may do there"],
                code=Code.LOGIN,
                status=answer.status,
            )
        if answer.status != HTTPStatus.OK:
            raise error_of(answer)
        return answer
