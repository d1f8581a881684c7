"""Extract the server's own message from the body of a refusal: cut, on one line, without secrets."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import parse_qsl, urlsplit

from modelpm.http.answers import Answer, looks_like_page
from modelpm.network.redact import redact_urls
from modelpm.text.untrusted import printable

_READ = 4096  # characters of a body that are looked at
_LOOKED_AT = 1000  # of what is meant for people
_MOST = 200  # characters that are shown
_SECRET = 6  # characters of a value of the query that are worth hiding
_XML = re.compile(r"<(Code|Message)>([^<]{1,400})</\1>", re.IGNORECASE)
_KEYS = ("error", "message", "detail", "error_description", "title")


def words_of(answer: Answer) -> str:
    """Return why a server refuses, as it says itself; empty if it says nothing that people can read."""
    if looks_like_page(answer.headers):
        return ""
    text = answer.body[:_READ].decode("utf-8", "replace").strip()
    if text.startswith("<"):
        said = ": ".join(dict.fromkeys(found[2].strip() for found in _XML.finditer(text)))
    elif text.startswith("{"):
        said = _of_json(answer.body[: _READ * 4])
    else:
        said = text
    said = said[:_LOOKED_AT]
    for _, value in parse_qsl(urlsplit(answer.url).query):  # a signature that is refused is still a signature
        said = said.replace(value, "…") if len(value) >= _SECRET else said
    line = " ".join(printable(redact_urls(said)).split())
    return line if len(line) <= _MOST else f"{line[: _MOST - 1]}…"


def _of_json(body: bytes) -> str:
    value = None
    with suppress(ValueError, RecursionError):
        value = json.loads(body)
    for _ in range(2):  # {"error": {"message": "…"}}
        if isinstance(value, Mapping):
            value = next((value[key] for key in _KEYS if value.get(key)), None)
    return value if isinstance(value, str) else ""
