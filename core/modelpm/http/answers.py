"""Judge an answer by its status and headers, before a byte of it is believed. Pure."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from modelpm.errors import Denied, ModelpmError, NotFound, Unavailable
from modelpm.http.errors import PermanentError
from modelpm.http.urls import host, label, origin
from modelpm.names import printable
from modelpm.types import RemoteFile

_LENGTH = re.compile(r"[0-9]{1,18}")
_CONTENT_RANGE = re.compile(r"bytes\s+(\d{1,18})-(\d{1,18})/(\d{1,18})", re.IGNORECASE)
_UNSATISFIED = re.compile(r"bytes\s+\*/(\d{1,18})", re.IGNORECASE)
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
            Unavailable: It is none.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise Unavailable(
                f"{host(self.url)} answered {label(self.url)} with something that is not JSON",
                hints=["a proxy or a captive portal may stand in between"],
                code="bad_answer",
            ) from error


@dataclass(frozen=True, slots=True)
class Wanted:
    """What bytes are asked for: of ``file`` at ``location``, from ``start`` to ``stop`` (exclusive; None: the end)."""

    file: RemoteFile
    location: str
    start: int
    stop: int | None


@dataclass(frozen=True, slots=True)
class Span:
    """Which bytes of the file a body holds.

    Attributes:
        start: Offset of the first.
        length: How many, or None where only the end of the body tells.
        total: Size of the whole file, or None where it is not said.
    """

    start: int
    length: int | None
    total: int | None


def span_of(answer: Answer, wanted: Wanted, *, ranged: bool) -> Span | None:
    """Return what the body holds, held against what was asked; None where the answer is a refusal.

    Raises:
        Unavailable: The bytes cannot be placed in the file with certainty, or are not the file's.
    """
    match answer.status:
        case HTTPStatus.OK:
            refuse_unreadable(answer)
            span = Span(0, length_of(answer.headers), length_of(answer.headers))
        case HTTPStatus.PARTIAL_CONTENT:
            refuse_unreadable(answer)
            span = _part(answer, wanted, ranged=ranged)
        case HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            span = _past_the_end(answer, wanted)
        case _:
            return None
    _refuse_other_sizes(answer, wanted, span)
    return span


def refuse_unreadable(answer: Answer) -> None:
    """Refuse a body whose offsets mean nothing, or whose end is anywhere.

    Raises:
        Unavailable: It is compressed, though asked not to; or its length is no number.
    """
    said = _said_length(answer.headers)
    if said and not _LENGTH.fullmatch(said):
        raise _unusable(answer, f"announced `{printable(said[:40])}` as the length of its answer", "bad_answer")
    encoding = answer.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in {"", "identity"}:
        raise _unusable(answer, f"sent the bytes encoded as {encoding!r} though asked not to", "content_encoding")


def _part(answer: Answer, wanted: Wanted, *, ranged: bool) -> Span:
    if not ranged:
        raise _unusable(answer, "sent a part when asked for the whole file", "bad_range")
    if answer.headers.get("Content-Type", "").lower().startswith("multipart/"):
        raise _unusable(answer, "answered one range with several parts", "bad_range")
    found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
    if not found:
        raise _unusable(answer, "sent a part of the file without saying which", "bad_range")
    first, last, total = (int(group) for group in found.groups())
    if first != wanted.start or not first <= last < total or (wanted.stop is not None and last >= wanted.stop):
        raise _unusable(answer, f"sent bytes {first}-{last} of {total} when asked from {wanted.start} on", "bad_range")
    length = length_of(answer.headers)
    if length not in {None, last - first + 1}:
        raise _unusable(answer, f"announced {length} bytes for a range of {last - first + 1}", "bad_range")
    return Span(first, last - first + 1, total)


def _past_the_end(answer: Answer, wanted: Wanted) -> Span:
    found = _UNSATISFIED.fullmatch(answer.headers.get("Content-Range", "").strip())
    if found and int(found[1]) == wanted.start:
        return Span(wanted.start, 0, wanted.start)
    raise _unusable(answer, f"has no bytes from {wanted.start} on", "range_not_satisfiable")


def _refuse_other_sizes(answer: Answer, wanted: Wanted, span: Span) -> None:
    size, path = wanted.file.size, wanted.file.path
    if size is not None and span.total == size:
        return
    if looks_like_page(answer.headers) and not path.lower().endswith((".html", ".htm")):
        raise Unavailable(
            f"{host(answer.url)} sent an HTML page instead of {path}, perhaps from a captive portal",
            hints=["open a web page in a browser, sign in to the network if it asks, and try again"],
            code="html_page",
        )
    if size is None or span.total is None:
        return
    # A whole body that is longer is cut at the size that was promised, and its digest judged.
    if not (answer.status == HTTPStatus.OK and span.total > size):
        raise Unavailable(
            f"{host(answer.url)} has {path} with {span.total} bytes, expected {size}",
            hints=["it was changed or cut there since it was pinned"],
            code="size_mismatch",
            expected=size,
            actual=span.total,
        )


def strong_validator(headers: Mapping[str, str]) -> str | None:
    """Return the entity tag where it is a strong one, else None: a weak one does not prove equal bytes."""
    tag = headers.get("ETag", "").strip()
    return tag if re.fullmatch(r'"[\x21\x23-\x7e]*"', tag) else None


def looks_like_page(headers: Mapping[str, str]) -> bool:
    """Tell whether the body is an HTML page."""
    return headers.get("Content-Type", "").strip().lower().startswith(("text/html", "application/xhtml"))


def wait_of(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds the server asks to wait, however many, or None.

    A used-up ``RateLimit`` says it exactly; ``Retry-After`` is a number or a date, which is held against the server's
    own clock.
    """
    used_up = [int(t) for t in re.findall(r";\s*r=0\s*;\s*t=(\d{1,9})", headers.get("RateLimit", ""))]
    if used_up:
        return max(used_up)
    asked = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"-?\d{1,12}(\.\d+)?", asked):
        seconds = float(asked)
    else:
        until = _date(asked)
        if until is None:
            return None
        now = _date(headers.get("Date", "")) or datetime.now(UTC)
        seconds = (until - now).total_seconds()
    return max(math.ceil(seconds), 0)


def error_of(answer: Answer) -> ModelpmError:
    """Return what an answer that is no success means where nobody knows better."""
    where, said = label(answer.url), said_by(answer)
    if answer.status in {401, 403, 451}:
        hint = f'if it needs a token, name it in the configuration: [credentials."{origin(where)}"] token-env = "NAME"'
        return Denied(f"{host(answer.url)} refused {where}: {said}", hints=[hint], status=answer.status)
    if answer.status in {404, 410}:
        return NotFound(f"{where} does not exist: {said}", status=answer.status)
    if answer.status in _TRANSIENT or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        wait = wait_of(answer.headers)
        code = "rate_limited" if answer.status == HTTPStatus.TOO_MANY_REQUESTS else None
        return Unavailable(f"{host(answer.url)} answered {said}", retry_after=wait, code=code, status=answer.status)
    return PermanentError(f"{host(answer.url)} answered {where} with {said}", code="http_status", status=answer.status)


def said_by(answer: Answer) -> str:
    """Return status and reason in words, e.g. ``404 Not Found``."""
    try:
        return f"{answer.status} {HTTPStatus(answer.status).phrase}"
    except ValueError:
        return str(answer.status)


def length_of(headers: Mapping[str, str]) -> int | None:
    """Return how many bytes the body will have, where that is announced."""
    said = _said_length(headers)
    return int(said) if _LENGTH.fullmatch(said) else None


def _said_length(headers: Mapping[str, str]) -> str:
    """Return the length that counts: none where chunks tell the end; one that was said twice counts once."""
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
