"""``HttpSource``: what every source over HTTP shares. A plugin subclasses it and writes only ``resolve``."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any, TypeVar

from urllib3 import BaseHTTPResponse

from modelpm.api.oci import Part
from modelpm.api.types import Context, Reference, RemoteFile, Secret, Snapshot, Stream
from modelpm.errors import Code, Expired, ModelpmError, Unavailable
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
from modelpm.http.paging import MOST_PAGES, next_page
from modelpm.http.pool import Asked
from modelpm.http.ranging import Kind, Ranging
from modelpm.http.retrying import NO_ANSWERS, Retries
from modelpm.http.sending import Sender
from modelpm.http.targets import Targets
from modelpm.http.unpacking import unpacked
from modelpm.http.urls import host, is_signed, label, origin, redirect_target
from modelpm.http.words import words_of

_DOCUMENTS = frozenset({200, 201, 202, 204})
_REFUSAL_CAP = 1 << 16
_DOCUMENT_CAP = 1 << 26
# The answers of storage to an expired signature.
_RAN_OUT = frozenset({400, 401, 403, 410})
_NO_RANGES = frozenset({Code.BAD_RANGE, Code.RANGE_NOT_SATISFIABLE})
_T = TypeVar("_T")


class HttpSource(ABC):
    """A source whose locations are URLs. Safe to use from several threads.

    Attributes:
        context: What the plugin was given.
        endpoint: Origin of the service behind the source, e.g. ``https://huggingface.co``. Its refusals are explained
            by :meth:`error_for`; those of any other origin mean that a location ran out. Empty: the location's own.
        base: What the source's locations begin with; a mirror of the whole source takes its place. Empty: their origin.
        offline_hint: How the user allows the network again.
        precondition: Header by which a request for a part names the version that the other parts are of. Where a
            protocol has ``If-Match``, a server with another version refuses, and is asked again without it.
        takes_tokens: Whether a server that answers 401 may name a realm, which hands out a token for a scope, as
            registries do. What :meth:`credential` has is then sent to the realm, or to a server that wants Basic.
    """

    endpoint = ""
    base = ""
    precondition = "If-Range"
    takes_tokens = False
    offline_hint = "leave out --offline, or unset MODELPM_OFFLINE"

    def __init__(self, context: Context) -> None:
        self.context = context
        self._sender = Sender(self, context)
        self._targets = Targets()
        self._ranging = Ranging()
        self._retries = Retries(context)

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
        if self.takes_tokens:
            return None if is_signed(url) else self._sender.tokens.headers(origin(url), self.scope(url), secret)
        return None if secret is None else secret.headers()

    def signature(self, method: str, url: str, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Return the headers that sign this one request, for protocols whose proofs are signatures; by default none.

        Called for each request, also after a redirect. A secret among them must be a :class:`modelpm.api.Secret`.

        Args:
            method: Of the request.
            url: What is about to be asked for.
            headers: What is sent besides.
        """
        del method, url, headers
        return {}

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

    def scope(self, url: str) -> str:
        """Return the part of a server for which a token is good; see :attr:`takes_tokens`.

        A token that came for one URL is sent with others of the same scope, and asked for by its name where the server
        names none. The default is one token a server.

        Args:
            url: What is about to be asked for.
        """
        del url
        return ""

    def realm(self, server: str) -> str:
        """Return the origin of the realm that belongs to a server though it is another; empty for none."""
        del server
        return ""

    def get(self, url: str, *, headers: Mapping[str, str] | None = None, cap: int = _DOCUMENT_CAP) -> Answer:
        """Return a small document; asks again a few times where that may help.

        Args:
            url: What to get.
            headers: Sent besides our own; no secrets, they follow redirects.
            cap: Most bytes the body may have.

        Raises:
            ModelpmError: As :meth:`error_for` says; ``Unavailable`` where no usable answer came.
        """
        return self.retrying(lambda: self._document(url, Asked(headers or {}), cap), origin(url))

    def head(self, url: str, *, headers: Mapping[str, str] | None = None) -> Answer:
        """Return an answer without its body; as :meth:`get`."""
        return self.retrying(lambda: self._document(url, Asked(headers or {}, "HEAD"), 0), origin(url))

    def post(
        self, url: str, body: bytes, *, headers: Mapping[str, str] | None = None, cap: int = _DOCUMENT_CAP
    ) -> Answer:
        """Send a question that is too long for a URL, and return the answer; as :meth:`get`.

        It may be sent more than once: for what changes nothing at the server.

        Args:
            url: Where to.
            body: What is sent; its type is ``application/json`` unless the headers say otherwise.
            headers: As of :meth:`get`.
            cap: As of :meth:`get`.
        """
        asked = Asked({"Content-Type": "application/json", **(headers or {})}, "POST", body)
        return self.retrying(lambda: self._document(url, asked, cap), origin(url))

    def put(
        self, url: str, body: bytes | Part, *, method: str = "PUT", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send something that stays at the server, and return the answer.

        Tried once: the caller knows what an earlier try left there.

        Args:
            url: Where to.
            body: What is sent; its type is ``application/octet-stream`` unless the headers say otherwise.
            method: ``PUT``, ``POST``, ``PATCH`` or ``DELETE``.
            headers: As of :meth:`get`.

        Raises:
            ModelpmError: As :meth:`get`.
        """
        sent = {"Content-Type": "application/octet-stream", "Content-Length": str(len(body)), **(headers or {})}
        return self._document(url, Asked(sent, method, body), _DOCUMENT_CAP)

    def pages(self, url: str, *, headers: Mapping[str, str] | None = None) -> Iterator[Answer]:
        """Yield the pages of a listing, by their ``Link`` headers; all of them are of the first one's server.

        Args:
            url: The first page.
            headers: As of :meth:`get`.

        Raises:
            ModelpmError: As :meth:`get`; ``Unavailable`` where the pages do not end, or lead elsewhere.
        """
        seen = {url}
        for _ in range(MOST_PAGES):
            answer = self.get(url, headers=headers)
            yield answer
            following = next_page(answer.headers.get("Link", ""))
            if not following:
                return
            url = redirect_target(url, following)
            if url in seen or origin(url) != origin(answer.url):
                break
            seen.add(url)
        raise PermanentError(f"the pages of {label(url)} do not end, or lead elsewhere", code=Code.BAD_ANSWER)

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
        return self._retries.run(ask, server)

    def close(self) -> None:
        """Close the idle connections."""
        self._sender.close()

    def _document(self, url: str, asked: Asked, cap: int) -> Answer:
        response, reached = self._sender.follow(url, asked)
        if response.status not in _DOCUMENTS:
            raise self._refusal(response, reached, bare=asked.method == "HEAD")
        answer = Answer(reached, response.status, response.headers)
        if asked.method == "HEAD":
            response.drain_conn()
            return answer
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
        stop = "" if wanted.stop is None else wanted.stop - 1
        headers = {"Range": f"bytes={wanted.start}-{stop}"}
        if not (wanted.start and validator and validator.startswith('"')):
            return self._part(wanted, headers)
        try:
            return self._part(wanted, {**headers, self.precondition: validator})
        except ModelpmError as error:
            if error.details.get("status") != HTTPStatus.PRECONDITION_FAILED:
                raise
        return self._part(wanted, headers)  # another version: what it is called tells the caller

    def _part(self, wanted: Wanted, headers: Mapping[str, str]) -> tuple[BaseHTTPResponse, str, Span]:
        """Ask for a range: at the place the location led to lately, else at the location."""
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
        response, reached = self._sender.follow(url, Asked(headers))
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

    def _refusal(self, response: BaseHTTPResponse, url: str, location: str = "", *, bare: bool = False) -> ModelpmError:
        body = None
        if bare:  # the length is that of the body that a GET would have brought
            response.drain_conn()
        else:
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
    return away and error.code not in NO_ANSWERS
