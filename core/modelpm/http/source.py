"""``HttpSource``: what every source over HTTP shares. A plugin subclasses it and writes only ``resolve``."""

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from http import HTTPStatus
from typing import Any, TypeVar

from urllib3 import BaseHTTPResponse

from modelpm.api.patience import Budget, Patience, explained
from modelpm.api.types import Context, Reference, RemoteFile, Secret, Snapshot, Stream
from modelpm.errors import Code, Expired, ModelpmError, OfflineError, Unavailable, UsageError
from modelpm.http.answers import (
    Answer,
    Span,
    Wanted,
    error_of,
    is_packed,
    length_of,
    name_of,
    refuse_unreadable_length,
    said_by,
    span_of,
    strong_validator,
)
from modelpm.http.body import Body, capped, discard, read_capped
from modelpm.http.errors import PermanentError
from modelpm.http.pool import Pool
from modelpm.http.ranging import Kind, Ranging
from modelpm.http.targets import Targets
from modelpm.http.unpacking import unpacked
from modelpm.http.urls import host, is_signed, label, origin, redirect_target
from modelpm.http.words import words_of
from modelpm.network.redact import withhold

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_HOPS = 10
_REFUSAL_CAP = 1 << 16
_DOCUMENT_CAP = 1 << 26
# The answers of storage to an expired signature.
_RAN_OUT = frozenset({400, 401, 403, 410})
_NO_RANGES = frozenset({Code.BAD_RANGE, Code.RANGE_NOT_SATISFIABLE})
# The answer is unusable, and a second one would be the same.
_NO_ANSWERS = frozenset({Code.HTML_PAGE, Code.CONTENT_ENCODING, Code.BAD_ANSWER}) | _NO_RANGES
_DRIPS = Code.SLOW  # a document that did not end in time had its time
_T = TypeVar("_T")


class HttpSource(ABC):
    """A source whose locations are URLs. Safe to use from several threads.

    Attributes:
        context: What the plugin was given.
        endpoint: Origin of the service behind the source, e.g. ``https://huggingface.co``. Its refusals are explained
            by :meth:`error_for`; those of any other origin mean that a location ran out. Empty: the location's own.
        base: What the source's locations begin with; a mirror of the whole source takes its place. Empty: their origin.
        offline_hint: How the user allows the network again.
    """

    endpoint = ""
    base = ""
    offline_hint = "leave out --offline, or unset MODELPM_OFFLINE"

    def __init__(self, context: Context) -> None:
        self.context = context
        self._pool = Pool(context.network)
        self._targets = Targets()
        self._ranging = Ranging()
        self._jitter = random.Random()  # noqa: S311 - no cryptography, and a sequence of its own
        self._hosts = context.network.hosts

    @abstractmethod
    def resolve(self, reference: Reference) -> Snapshot:
        """As :meth:`modelpm.api.Source.resolve`."""

    def credential(self, origin: str) -> Secret | None:
        """Return the secret that belongs to exactly this origin; it is sent to no other."""
        return self.context.secret(origin)

    def authorization(self, url: str) -> Mapping[str, str] | None:
        """Return the headers that prove who asks for this URL; they are sent with this one request only.

        Called for each request, also after a redirect. The default sends what :meth:`credential` has for the URL's
        origin: Basic, Bearer or a header of its own. An override decides itself whom it trusts with what.

        Args:
            url: What is about to be asked for.
        """
        secret = None if is_signed(url) else self.credential(origin(url))
        return None if secret is None else secret.headers()

    def error_for(self, answer: Answer) -> ModelpmError:
        """Return what a refusal of the source's own endpoint means; subclasses know better."""
        return error_of(answer)

    def is_own(self, answer: Answer) -> bool:
        """Whether a refusal comes from the source's own service, so that :meth:`error_for` explains it.

        The default looks at the origin; a service that is known by its answers may be found elsewhere, too.
        """
        return bool(self.endpoint) and origin(answer.url) == self.endpoint

    @contextmanager
    def open(
        self, file: RemoteFile, location: str, *, start: int = 0, stop: int | None = None, validator: str | None = None
    ) -> Iterator[Stream]:
        """As :meth:`modelpm.api.Source.open`.

        Raises:
            Expired: The location has run out; resolve again.
            Unavailable: Worth retrying, unless its ``retryable`` says no.
            NotFound: The file is gone.
            Denied: The server refused.
            OfflineError: The network is forbidden.
        """
        with _streaming(*self._content(Wanted(file, location, start, stop), validator)) as stream:
            yield stream

    @contextmanager
    def open_whole(self, file: RemoteFile, location: str) -> Iterator[Stream]:
        """As :meth:`modelpm.api.WholeSource.open_whole`: ask without a range.

        Raises:
            ModelpmError: As :meth:`open`.
        """
        with _streaming(*self._ask(Wanted(file, location, 0, None), location, {})) as stream:
            yield stream

    def get(self, url: str, *, headers: Mapping[str, str] | None = None, cap: int = _DOCUMENT_CAP) -> Answer:
        """Return a small document; asks again a few times where that may help.

        Args:
            url: What to get.
            headers: Sent besides our own; no secrets, they follow redirects.
            cap: Most bytes the body may have.

        Raises:
            ModelpmError: As :meth:`error_for` says; ``Unavailable`` where no usable answer came.
        """
        return self.retrying(lambda: self._get(url, headers or {}, cap), origin(url))

    def get_json(self, url: str, *, headers: Mapping[str, str] | None = None) -> Any:
        """Return a JSON document; as :meth:`get`."""
        return self.get(url, headers={"Accept": "application/json", **(headers or {})}).json()

    def retrying(self, ask: Callable[[], _T], server: str = "") -> _T:
        """Return what ``ask`` returns; it is called again, as long as the user allows, where that may help.

        For what a ``resolve`` asks. :meth:`open` tries once: its caller knows how far the bytes have come.

        Args:
            ask: Sends requests.
            server: Which server it asks; one that has long been away and was just given up is tried once.

        Raises:
            ModelpmError: As ``ask`` raises, the last time.
        """
        network = self.context.network
        budget = Budget(Patience(network.retries, network.outage), self._jitter)
        while True:
            started = time.monotonic()
            try:
                answer = ask()
            except Unavailable as error:
                wait = self._pause(budget, started, server, error)
                if wait is None:
                    self.context.emit("listing.failed", {"server": server})
                    raise self._given_up(budget, error) from error
                self._tell(budget, server, error, wait)
                time.sleep(wait)
            else:
                if server:
                    self._hosts.worked(server)
                if budget.strikes:
                    self.context.emit("listing.recovered", {"server": server})
                return answer

    def _pause(self, budget: Budget, started: float, server: str, error: Unavailable) -> float | None:
        """Return the seconds to wait before a document is asked for again, or None where it should not be."""
        if not error.retryable or self._hosts.hurries or error.code in {*_NO_ANSWERS, _DRIPS}:
            return None
        away = bool(server) and error.unanswered
        if away:
            self._hosts.failed(server)
        wait = budget.strike(started, time.monotonic(), error, served=self._hosts.served(server))
        if away and self._hosts.hopeless(server):
            wait = None
        if away and wait is None:
            self._hosts.gave_up(server)
        return wait

    def _given_up(self, budget: Budget, error: Unavailable) -> Unavailable:
        """Return the last error, with how often it was tried and until when the server wants to be left alone."""
        said = explained(error, datetime.now().astimezone())
        spent = f"{said}; {budget.spent()}" if budget.strikes > 1 else said
        return type(error)(spent, hints=error.hints, code=error.code, **error.details)

    def _tell(self, budget: Budget, server: str, error: Unavailable, wait: float) -> None:
        reason = explained(error, datetime.now().astimezone())
        tries = {"attempt": budget.strikes, "retries": budget.patience.retries, "wait": round(wait, 3)}
        self.context.emit("listing.retry", {"server": server, "reason": reason, "code": error.code, **tries})

    def close(self) -> None:
        """Close the idle connections."""
        self._pool.close()

    def _get(self, url: str, headers: Mapping[str, str], cap: int) -> Answer:
        response, reached = self._follow(url, headers)
        if response.status != HTTPStatus.OK:
            raise self._refusal(response, reached)
        answer = Answer(reached, response.status, response.headers)
        try:
            refuse_unreadable_length(answer)
            packed = is_packed(answer)
        except BaseException:
            response.close()
            raise
        body = read_capped(response, reached, cap, length_of(response.headers))
        if body is not None and packed:
            body = capped(unpacked([body], reached), cap)
        if body is None:
            raise PermanentError(f"{label(reached)} is larger than the {cap} bytes it may have", code=Code.TOO_BIG)
        return Answer(reached, answer.status, answer.headers, body)

    def _content(self, wanted: Wanted, validator: str | None) -> tuple[BaseHTTPResponse, str, Span]:
        """Ask for a range, and for the whole file where that is refused because it is a range.

        The whole file is never asked for first: the Hub refuses that for huge files, and serves ranges of them.
        """
        location, ranging = wanted.location, self._ranging
        if ranging.of(location) is Kind.REFUSES:
            try:
                return self._ask(wanted, location, {})
            except ModelpmError:
                ranging.note(location, None)
                raise
        began = time.monotonic()
        try:
            return self._range(wanted, validator)
        except ModelpmError as error:
            unusable = wanted.start == 0 and error.code in _NO_RANGES
            if not unusable and not ranging.may_refuse(location, error, began):
                raise
            try:
                found = self._ask(wanted, location, {})
            except ModelpmError:
                raise error from error.__cause__  # it was not the range: the first answer counts
            if not unusable:
                ranging.note(location, Kind.REFUSES)
            return found

    def _range(self, wanted: Wanted, validator: str | None) -> tuple[BaseHTTPResponse, str, Span]:
        """Ask for a range: at the place the location led to lately, else at the location."""
        stop = "" if wanted.stop is None else wanted.stop - 1
        headers = {"Range": f"bytes={wanted.start}-{stop}"}
        if wanted.start and validator and validator.startswith('"'):
            headers["If-Range"] = validator
        known = self._targets.get(wanted.location)
        if known is not None:
            try:
                return self._ask(wanted, known, headers)
            except ModelpmError as error:
                self._targets.forget(wanted.location)  # the location may lead elsewhere by now
                if _wants_rest(error):
                    raise
        return self._ask(wanted, wanted.location, headers)

    def _ask(self, wanted: Wanted, url: str, headers: Mapping[str, str]) -> tuple[BaseHTTPResponse, str, Span]:
        response, reached = self._follow(url, headers)
        try:
            answer = Answer(reached, response.status, response.headers)
            span = span_of(answer, wanted, ranged="Range" in headers)
        except BaseException:
            response.close()
            raise
        if span is None:
            raise self._refusal(response, reached, wanted.location)
        if span.length == 0:
            discard(response, reached)
        if reached != wanted.location:
            self._targets.put(wanted.location, reached)
        if (span.start, span.length) != (0, span.total) and not span.packed:
            self._ranging.note(wanted.location, Kind.SERVES)
        return response, reached, span

    def _follow(self, url: str, headers: Mapping[str, str]) -> tuple[BaseHTTPResponse, str]:
        """Send a GET through redirects; secrets are chosen again at each hop, by its origin."""
        try:
            origin(url)
        except UsageError as error:  # of a listing, or of a plugin: not what the user wrote
            raise PermanentError(f"a location cannot be used: {error.message}", code=Code.BAD_ADDRESS) from error
        if self.context.offline:
            raise OfflineError(f"{host(url)} is needed, and the network is forbidden", hints=[self.offline_hint])
        seen = [url]
        while len(seen) <= _MAX_HOPS + 1:
            response = self._pool.get(url, {**headers, **self._proof(url)})
            if response.status not in _REDIRECTS:
                return response, url
            discard(response, url)
            url = redirect_target(url, response.headers.get("Location"))
            if url in seen:
                raise PermanentError(
                    f"{host(seen[0])} redirects in a circle, over {label(url)}", code=Code.REDIRECT_LOOP
                )
            seen.append(url)
        raise PermanentError(f"{host(seen[0])} redirects more than {_MAX_HOPS} times", code=Code.REDIRECT_LOOP)

    def _proof(self, url: str) -> dict[str, str]:
        proof = dict(self.authorization(url) or {})
        for value in proof.values():
            withhold(value)
            withhold(value.partition(" ")[2])
            if not (value.isascii() and value.isprintable()):
                raise UsageError(f"the token for {origin(url)} holds characters that no token can have")
        return proof

    def _refusal(self, response: BaseHTTPResponse, url: str, location: str = "") -> ModelpmError:
        body = None
        with suppress(ModelpmError):  # the status says enough
            body = read_capped(response, url, _REFUSAL_CAP, length_of(response.headers))
        answer = Answer(url, response.status, response.headers, body or b"")
        error = self._meaning(answer, url, location)
        error.details.setdefault("status", answer.status)
        return error

    def _meaning(self, answer: Answer, url: str, location: str) -> ModelpmError:
        # Whichever server answers for a listing, the source knows what it asked for; a file's location may be expired.
        direct = not location or (not self.endpoint and origin(url) == origin(location))
        if (direct or self.is_own(answer)) and not is_signed(url):
            return self.error_for(answer)
        if location and answer.status in _RAN_OUT:
            words = f": {said}" if (said := words_of(answer)) else ""
            refused = f"{host(url)} refuses the link to the file ({said_by(answer)}{words})"
            return Expired(refused, status=answer.status)
        return error_of(answer)


@contextmanager
def _streaming(response: BaseHTTPResponse, url: str, span: Span) -> Iterator[Stream]:
    body, name = Body(response, url, span.length), name_of(response.headers)
    try:
        if span.packed:  # the validator is that of the packed bytes
            yield Stream(unpacked(body.chunks(), url), span.start, span.total, abort=body.abort, name=name)
        else:
            tag = strong_validator(response.headers)
            yield Stream(body.chunks(), span.start, span.total, tag, body.readinto, body.abort, name)
    finally:
        body.close()


def _wants_rest(error: ModelpmError) -> bool:
    """Whether a server is busy or away, so that nothing is won by asking again at once."""
    away = isinstance(error, Unavailable) and error.retryable and not isinstance(error, Expired)
    return away and error.code not in _NO_ANSWERS
