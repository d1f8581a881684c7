"""Judge an answer by its status and headers, before a byte of it is believed. Pure."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from modelpm.api.types import RemoteFile
from modelpm.errors import Code, Denied, ModelpmError, NotFound, Unavailable
from modelpm.http.errors import PermanentError
from modelpm.http.urls import host, label, origin
from modelpm.text.human import number_of
from modelpm.text.untrusted import printable

_CONTENT_RANGE = re.compile(r"bytes\s+([0-9]+)-([0-9]+)/([0-9]+|\*)", re.IGNORECASE)
_UNSATISFIED = re.compile(r"bytes\s+\*/([0-9]+)", re.IGNORECASE)
_GZIP = frozenset({"gzip", "x-gzip", "deflate"})  # what zlib unpacks
_LOGIN = re.compile(r"/(?:users?/|accounts?/)?(?:log|sign)[-_]?in\b|/(?:sso|saml2?|oauth2?|auth)/", re.IGNORECASE)
_MAX_DISPOSITION = 2048
_ENCODED_NAME = re.compile(r";\s*filename\*\s*=\s*UTF-8'[^';]*'([^;\s]+)", re.IGNORECASE)
REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, its body capped.

    Attributes:
        url: What was asked last, after redirects. May be signed: name it by ``label(url)``.
        status: HTTP status code.
        headers: By name, in any case.
        body: The bytes; of a failure at most the first 64 KiB.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    def json(self) -> Any:
        """Return the body as JSON.

        Raises:
            Unavailable: The body is not JSON.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise Unavailable(
                f"{host(self.url)} answered {label(self.url)} with something that is not JSON",
                hints=["a proxy or a captive portal may stand in between"],
                code=Code.BAD_ANSWER,
            ) from error


@dataclass(frozen=True, slots=True)
class Wanted:
    """The requested bytes: of ``file`` at ``location``, from ``start`` to ``stop`` (exclusive; None: the end)."""

    file: RemoteFile
    location: str
    start: int
    stop: int | None


@dataclass(frozen=True, slots=True)
class Span:
    """Which bytes of the file a body holds.

    Attributes:
        start: Offset of the first.
        length: How many bytes the body has, or None if only its end tells.
        total: Size of the whole file, or None if the answer does not say it.
        packed: Whether the body must be unpacked to get the bytes of the file; ``length`` is then the packed one.
    """

    start: int
    length: int | None
    total: int | None
    packed: bool = False


def span_of(answer: Answer, wanted: Wanted, *, ranged: bool) -> Span | None:
    """Return what the body holds, compared with what was asked; None if the answer is a refusal.

    Some servers answer a range with 200 and ``Content-Range``: what a body holds is read from its headers, and the
    status only decides where they say nothing. Headers that contradict each other are refused.

    Raises:
        Unavailable: The bytes cannot be placed in the file with certainty, or are not the file's.
    """
    match answer.status:
        case HTTPStatus.OK | HTTPStatus.PARTIAL_CONTENT:
            refuse_unreadable_length(answer)
            span = _body(answer, wanted, ranged=ranged)
        case HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            span = _past_the_end(answer, wanted)
        case _:
            return None
    _refuse_other_sizes(answer, wanted, span)
    return span


def refuse_unreadable_length(answer: Answer) -> None:
    """Refuse a body whose end cannot be known, because its length is not a number.

    Raises:
        Unavailable: ``bad_answer``.
    """
    said = _said_length(answer.headers)
    if said and number_of(said) is None:
        raise _unusable(answer, f"announced `{printable(said[:40])}` as the length of its answer", Code.BAD_ANSWER)


def is_packed(answer: Answer) -> bool:
    """Tell whether a body is compressed, though asked not to be, in a way that can be unpacked.

    Raises:
        Unavailable: ``content_encoding``; it is encoded in another way.
    """
    encoding = answer.headers.get("Content-Encoding", "").strip().lower()
    if encoding in {"", "identity"}:
        return False
    if encoding not in _GZIP:
        raise _encoded(answer)
    return True


def _encoded(answer: Answer) -> Unavailable:
    encoding = printable(answer.headers.get("Content-Encoding", "").strip().lower()[:40])
    return _unusable(answer, f"sent the bytes encoded as '{encoding}' though asked not to", Code.CONTENT_ENCODING)


def _body(answer: Answer, wanted: Wanted, *, ranged: bool) -> Span:
    """Return what the body of a success holds."""
    is_part = answer.status == HTTPStatus.PARTIAL_CONTENT or "Content-Range" in answer.headers
    length = length_of(answer.headers)
    if is_packed(answer):
        # Offsets into packed bytes mean nothing; a whole file can be unpacked where a digest proves the result.
        if is_part or wanted.file.digest is None:
            raise _encoded(answer)
        if wanted.file.size is None or length != wanted.file.size:
            return Span(0, length, None, packed=True)
        # The length is that of the file itself: the file is an archive, and the header names what the archive is.
    if is_part:
        return _part(answer, wanted, ranged=ranged)
    asked = wanted.stop - wanted.start if ranged and wanted.stop is not None else None
    if length is not None and length == asked and length != wanted.file.size:
        raise _unusable(answer, f"sent {length} bytes without saying that they are the range asked for", Code.BAD_RANGE)
    return Span(0, length, length)


def _part(answer: Answer, wanted: Wanted, *, ranged: bool) -> Span:
    if answer.headers.get("Content-Type", "").lower().startswith("multipart/"):
        raise _unusable(answer, "answered one range with several parts", Code.BAD_RANGE)
    first, last, total = _content_range(answer)
    if total is None and wanted.file.size is None:
        raise _unusable(answer, "sent a part of the file without saying how large the file is", Code.BAD_RANGE)
    size = total if total is not None else wanted.file.size or 0
    if not ranged and (first, last) != (0, size - 1):
        raise _unusable(answer, "sent a part when asked for the whole file", Code.BAD_RANGE)
    start, stop = (wanted.start, wanted.stop) if ranged else (0, None)
    if first != start or not first <= last < size or (stop is not None and last >= stop):
        raise _unusable(answer, f"sent bytes {first}-{last} of {size} when asked from {start} on", Code.BAD_RANGE)
    length = length_of(answer.headers)
    if length not in {None, last - first + 1}:
        raise _unusable(answer, f"announced {length} bytes for a range of {last - first + 1}", Code.BAD_RANGE)
    return Span(first, last - first + 1, total)


def _content_range(answer: Answer) -> tuple[int, int, int | None]:
    """Return the first and the last byte of a part, and the size of the whole file, None if that is ``*``."""
    found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
    first, last, total = (number_of(group) for group in found.groups()) if found else (None, None, None)
    if found is None or first is None or last is None or (total is None and found[3] != "*"):
        raise _unusable(answer, "sent a part of the file without saying which", Code.BAD_RANGE)
    return first, last, total


def _past_the_end(answer: Answer, wanted: Wanted) -> Span:
    found = _UNSATISFIED.fullmatch(answer.headers.get("Content-Range", "").strip())
    if found and number_of(found[1]) == wanted.start:
        return Span(wanted.start, 0, wanted.start)
    raise _unusable(answer, f"has no bytes from {wanted.start} on", Code.RANGE_NOT_SATISFIABLE)


def _refuse_other_sizes(answer: Answer, wanted: Wanted, span: Span) -> None:
    size, path = wanted.file.size, wanted.file.path
    if size is not None and span.total == size:
        return
    if looks_like_page(answer.headers) and not path.lower().endswith((".html", ".htm")):
        raise _page(answer, wanted)
    if size is None or span.total is None:
        return
    # A whole body that is longer is cut at the size that was promised, and its digest judged.
    if not ((span.start, span.length) == (0, span.total) and span.total > size):
        raise Unavailable(
            f"{host(answer.url)} has {path} with {span.total} bytes, expected {size}",
            hints=["it was changed or cut there since it was pinned"],
            code=Code.SIZE_MISMATCH,
            expected=size,
            actual=span.total,
        )


def _page(answer: Answer, wanted: Wanted) -> ModelpmError:
    """Return what a page in place of a file means: a server that wants to know who asks, or a network that does."""
    if answer.url != wanted.location and _LOGIN.search(label(answer.url)):
        where = origin(wanted.location)
        return Denied(
            f"{host(wanted.location)} wants you to sign in: it leads to {label(answer.url)} instead of a file",
            hints=[f'make a token there, and name it in the configuration: [credentials."{where}"] token-env = "NAME"'],
            code=Code.LOGIN,
        )
    return Unavailable(
        f"{host(answer.url)} sent an HTML page instead of {wanted.file.path}, perhaps from a captive portal",
        hints=["open a web page in a browser, sign in to the network if it asks, and try again"],
        code=Code.HTML_PAGE,
    )


def strong_validator(headers: Mapping[str, str]) -> str | None:
    """Return the entity tag where it is a strong one, else None: a weak one does not prove equal bytes."""
    tag = headers.get("ETag", "").strip()
    return tag if re.fullmatch(r'"[\x21\x23-\x7e]*"', tag) else None


def name_of(headers: Mapping[str, str]) -> str:
    """Return what ``Content-Disposition`` calls the file; empty if it does not say."""
    said = headers.get("Content-Disposition", "").replace("\r", " ").replace("\n", " ")
    if len(said) > _MAX_DISPOSITION:
        return ""
    if encoded := _ENCODED_NAME.search(said):
        return unquote(encoded[1])
    message = Message()
    message["Content-Disposition"] = said
    name = message.get_filename("")
    try:
        return name.encode("latin-1").decode()  # header bytes arrive as Latin-1; what servers mean is UTF-8
    except UnicodeError:
        return name


def looks_like_page(headers: Mapping[str, str]) -> bool:
    """Tell whether the body is an HTML page."""
    return headers.get("Content-Type", "").strip().lower().startswith(("text/html", "application/xhtml"))


def wait_of(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds the server asks to wait, however many, or None.

    A used-up ``RateLimit`` says it exactly. ``Retry-After`` is a number, or a date by the server's own clock.
    """
    used_up = [int(t) for t in re.findall(r";\s*r=0\s*;\s*t=([0-9]{1,9})", headers.get("RateLimit", ""))]
    if used_up:
        return max(used_up)
    asked = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"-?[0-9]{1,12}(\.[0-9]{1,12})?", asked):
        seconds = float(asked)
    else:
        until = _date(asked)
        if until is None:
            return None
        now = _date(headers.get("Date", "")) or datetime.now(UTC)
        seconds = (until - now).total_seconds()
    return max(math.ceil(seconds), 0)


def error_of(answer: Answer) -> ModelpmError:
    """Return the error for an answer that is not a success, where the source has no better one."""
    where, said = label(answer.url), said_by(answer)
    if answer.status in {401, 403, 451}:
        hint = f'if it needs a token, name it in the configuration: [credentials."{origin(where)}"] token-env = "NAME"'
        return Denied(f"{host(answer.url)} refused {where}: {said}", hints=[hint], status=answer.status)
    if answer.status in {404, 410}:
        return NotFound(f"{where} does not exist: {said}", status=answer.status)
    if answer.status in _TRANSIENT or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        wait = wait_of(answer.headers)
        code = Code.RATE_LIMITED if answer.status == HTTPStatus.TOO_MANY_REQUESTS else None
        return Unavailable(f"{host(answer.url)} answered {said}", retry_after=wait, code=code, status=answer.status)
    if answer.status in REDIRECTS:
        return PermanentError(f"{host(answer.url)} sent a redirect that leads nowhere", code=Code.BAD_REDIRECT)
    return PermanentError(
        f"{host(answer.url)} answered {where} with {said}", code=Code.HTTP_STATUS, status=answer.status
    )


def said_by(answer: Answer) -> str:
    """Return status and reason in words, e.g. ``404 Not Found``."""
    try:
        return f"{answer.status} {HTTPStatus(answer.status).phrase}"
    except ValueError:
        return str(answer.status)


def length_of(headers: Mapping[str, str]) -> int | None:
    """Return how many bytes the body will have, where that is announced."""
    return number_of(_said_length(headers))


def _said_length(headers: Mapping[str, str]) -> str:
    """Return the length that counts: none if chunks tell the end; one that was said twice counts once."""
    if "chunked" in headers.get("Transfer-Encoding", "").lower():
        return ""
    said = headers.get("Content-Length", "").strip()
    values = {value.strip() for value in said.split(",")}
    return values.pop() if len(values) == 1 else said


def _unusable(answer: Answer, what: str, code: str) -> Unavailable:
    return Unavailable(f"{host(answer.url)} {what}", code=code)


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
