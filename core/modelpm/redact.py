"""Cut out of a text what nobody else may read: queries (signatures, tokens) and passwords of URLs."""

import re

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^\s\"'<>`]*)")
_QUERY_OF_PATH = re.compile(r"(/[^\s\"'<>`?]*)\?[^\s\"'<>`)]*=[^\s\"'<>`)]*")
_DIGEST = re.compile(r"sha256=[0-9a-f]{64}")
_WEB = frozenset({"http", "https"})


def redact_urls(text: str) -> str:
    """Return ``text`` with every URL in it reduced to scheme, host, port and path.

    A fragment stays where it is a digest. Other schemes than http and https keep a ``?`` that is no query (a glob in
    ``hf://owner/repo/model-?.gguf``) and an ``@`` that is no password (a revision in ``hf://gpt2@main``). A relative
    reference with a query, as network libraries put into their messages, loses the query too.
    """
    return _QUERY_OF_PATH.sub(r"\1", _URL.sub(_redacted, text))


def _redacted(match: re.Match[str]) -> str:
    scheme, rest = match.groups()
    web = scheme.lower() in _WEB
    rest, _, fragment = rest.partition("#")
    place, _, query = rest.partition("?")
    if query and not web and "=" not in query:
        place = rest
    authority, slash, path = place.partition("/")
    userinfo, at, host = authority.rpartition("@")
    if at and (web or ":" in userinfo):
        authority = host
    kept = f"#{fragment}" if _DIGEST.fullmatch(fragment) else ""
    return f"{scheme}://{authority}{slash}{path}{kept}"
