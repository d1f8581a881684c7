"""Keep secrets out of texts: output, errors, audit records, events and warnings all pass through here.

Two means: what is known to be a secret is cut out wherever it stands, in any spelling (:func:`withhold`,
:func:`without_secrets`); of URLs in texts of others, users and queries are cut out, known or not (:func:`redact_urls`).
The lowest module: errors redact their own messages with it. All of it costs time linear in the length of the text.
"""

import re
from collections.abc import Iterator, Mapping
from threading import Lock
from typing import Any

MARK = "***"
FOREIGN_CAP = 4096  # characters of one text that others wrote
_LEAST = 6  # characters; shorter ones would be found in words that are not the secret
_MOST = 1024
_WEB = frozenset({"http", "https"})
# Parameters of a URL whose values are secrets in any URL; words before the last one say whose they are.
_SECRET_KEY = re.compile(
    r"(?:[\w.-]*[_.-]|access|auth|api|client|private)?"
    r"(?:token|key|auth|authorization|password|passwd|pwd|pass|secret|sig|signature|jwt|bearer|credentials?)",
    re.IGNORECASE,
)
_PARAMETER = re.compile(r"(?:\A|[?&;#])([^=?&;#/\s]{1,64})=([^&;#\s]+)")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,31}://")
_MOST_WITHIN = 8  # URLs within a text
_BEFORE_HOST = re.compile(r"\s*(?:([A-Za-z][A-Za-z0-9+.-]*):(?=[/\\]))?[/\\]*")
# The part behind an `@` in a text without a scheme, where that is an address and not an `id@release`.
_HOST_LIKE = re.compile(r"\[|localhost\b|\d+(?:\.\d+){3}|[\w.-]+\.[A-Za-z]{2,}|[^/?#]*:\d+(?:[/?#]|\Z)|[^/?#]+/")
_USERINFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,31})://([^/?#\\\r\n]{0,1024}@)")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*\Z")
_PLACE = re.compile(r"(?:\[[^\]]*\]|[^:\[\]@]*)(?::\d*)?")
_DIGEST = re.compile(r"sha256=[0-9a-f]{64}")
_CLOSING = "\"'`>),.;:]}"


class Withheld:
    """The secrets of this process, in every spelling. Thread-safe."""

    def __init__(self) -> None:
        self._values: dict[str, None] = {}
        self._pattern: re.Pattern[str] | None = None
        self._lock = Lock()

    def add(self, value: str) -> None:
        """Keep one more; of too many the oldest goes."""
        with self._lock:
            if value in self._values:
                return
            if len(self._values) >= _MOST:
                del self._values[next(iter(self._values))]
            self._values[value] = None
            self._pattern = None

    def pattern(self) -> re.Pattern[str] | None:
        """Return what finds them, or None if there are none."""
        with self._lock:
            if self._pattern is None and self._values:
                spelled = {spelling for value in self._values for spelling in _spellings(value)}
                self._pattern = re.compile("|".join(map(re.escape, sorted(spelled, key=len, reverse=True))))
            return self._pattern


_WITHHELD = Withheld()


def withhold(secret: str) -> None:
    """Cut a secret out of every text from now on; one shorter than six characters is not kept."""
    secret = secret.strip()
    if len(secret) >= _LEAST:
        _WITHHELD.add(secret)


def withhold_in_url(text: str) -> None:
    """Withhold what a text that was typed as a URL holds of secrets: a password, or a user alone; a token's parameter.

    It need not be one that can be used: what is refused is said and logged, too.
    """
    from urllib.parse import unquote

    for spelled in dict.fromkeys((text, unquote(text))):
        within = [found.start() for found in _ABSOLUTE.finditer(spelled)]
        for start in (0, *within[:_MOST_WITHIN]):
            for secret in _secrets_of(spelled[start:]):
                withhold(secret)
                withhold(unquote(secret))


def is_secret_key(key: str) -> bool:
    """Tell whether the value of a URL's parameter is a secret, by its name."""
    return _SECRET_KEY.fullmatch(key) is not None


def without_secrets(text: str) -> str:
    """Return ``text`` with every withheld secret cut out, in any spelling."""
    pattern = _WITHHELD.pattern()
    return text if pattern is None else pattern.sub(MARK, text)


def cleaned(value: Any) -> Any:
    """Return a value of JSON types with every withheld secret cut out of its texts."""
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, Mapping):
        return {cleaned(key): cleaned(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(inner) for inner in value]
    return value


def capped(text: str) -> str:
    """Return what is shown of a text that others wrote: its first 4 kB."""
    return text if len(text) <= FOREIGN_CAP else f"{text[:FOREIGN_CAP]} … ({len(text) - FOREIGN_CAP} characters more)"


def redact_urls(text: str) -> str:
    """Return ``text`` without withheld secrets, and with every URL in it reduced to scheme, host, port and path.

    A fragment stays where it is a digest. Other schemes than http and https keep a ``?`` that is not a query (a glob in
    ``hf://owner/repo/model-?.gguf``) and an ``@`` that is not a password (a revision in ``hf://gpt2@main``). A relative
    reference with a query, as network libraries put into their messages, loses the query too.
    """
    if "://" not in text and "?" not in text:
        return without_secrets(text)
    return re.sub(r"\S+", _reduced, _USERINFO.sub(_without_user, without_secrets(text)))


def _without_user(match: re.Match[str]) -> str:
    scheme, found = match.groups()
    first = found.split(None, 1)[0] if found.strip() else found
    if first != found and ":" not in first:
        return match[0]  # words between an address and a later `@`
    named = _is_web(scheme) or ":" in first.rpartition("@")[0] or (first != found and ":" in first)
    return f"{scheme}://" if named else match[0]


def _reduced(match: re.Match[str]) -> str:
    """Return one word without query and fragment."""
    word = match[0]
    before, found, rest = word.partition("://")
    if not found:
        head, mark, query = word.partition("?")
        return head + _closing(query) if mark and "/" in head and "=" in query else word
    scheme = _SCHEME.search(before[-32:])
    web = scheme is not None and _is_web(scheme[0])
    place, _, fragment = rest.partition("#")
    kept = f"#{fragment[:71]}" if _DIGEST.match(fragment) else _closing(fragment)
    path, mark, query = place.partition("?")
    if mark and not web and "=" not in query:
        path = place
    elif mark and not fragment:
        kept = _closing(query)
    authority = path.partition("/")[0].rstrip(_CLOSING)
    if web and not _PLACE.fullmatch(authority):  # no host and port: it may be a password that was cut apart
        return f"{before}://…{_closing(word)}"
    return f"{before}://{path}{kept}"


def _closing(text: str) -> str:
    """Return the punctuation after a URL, which is not a part of it."""
    return text[len(text.rstrip(_CLOSING)) :]


def _is_web(scheme: str) -> bool:
    return scheme.lower().rpartition("+")[2] in _WEB


def _secrets_of(text: str) -> Iterator[str]:
    start = _BEFORE_HOST.match(text)
    scheme, rest = (start[1], text[start.end() :]) if start else (None, text)
    if text.startswith("//"):
        scheme = "http"
    before = re.split(r"[/?#]", rest, maxsplit=1)[0]
    userinfo, at, place = before.rpartition("@")
    if (scheme is None or _is_web(scheme)) and not _PLACE.fullmatch(place):
        userinfo, at, place = rest.rpartition("@")  # a `/`, `?` or `#` in the password
    _, colon, password = userinfo.partition(":")
    if scheme is None:
        is_user = bool(colon) and _HOST_LIKE.match(rest[len(userinfo) + 1 :]) is not None
    else:
        is_user = bool(colon) or _is_web(scheme)
    if at and is_user:
        yield password if colon else userinfo
        yield userinfo
    for key, value in _PARAMETER.findall(text):
        if is_secret_key(key):
            yield value


def _spellings(secret: str) -> Iterator[str]:
    """Yield how a text may write the secret: as it is, percent-encoded, quoted, or within base64 of something."""
    import json
    from base64 import b64encode
    from urllib.parse import quote, quote_plus

    yield secret
    for encoded in (
        quote(secret, "", errors="replace"),
        quote(secret, errors="replace"),
        quote_plus(secret, errors="replace"),
    ):
        yield encoded
        yield re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), encoded)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    data = secret.encode("utf-8", "surrogatepass")
    for offset, lost in ((0, 0), (1, 2), (2, 3)):  # characters at both ends depend on their neighbors
        inner = b64encode(bytes(offset) + data).decode()[lost : (offset + len(data)) * 8 // 6]
        yield inner
        yield inner.replace("+", "-").replace("/", "_")
