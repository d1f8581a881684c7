"""Turn refusals of registries into errors that say what to do. Pure, but for the question whose login is known."""

import json
import re
from collections.abc import Mapping
from typing import Any

from modelpm.api import Code, Denied, ModelpmError, NotFound, Unavailable, printable
from modelpm.http import Answer, HttpSource, PermanentError, error_of, host, origin
from modelpm_oci.grammar import login_name

_REALM = re.compile(r'realm="([^"]{1,2048})"', re.IGNORECASE)
_PATH = re.compile(r"/v2/(?P<repository>.+?)/(?P<kind>manifests|blobs)/(?P<name>[^/?]+)")
_FULL = re.compile(r"no space left|quota|insufficient storage|disk full|exceed", re.IGNORECASE)
_MOST = 200  # characters of a registry's own words
_STATUS_FULL, _STATUS_TOO_BIG, _SERVER = 507, 413, 500


def explained(answer: Answer, source: HttpSource) -> ModelpmError:
    """Return what a refusal means.

    Args:
        answer: What the registry said.
        source: Knows whether there is a login.
    """
    error, words = error_of(answer), _words(answer)
    said = f"{error.message}: {words}" if words else error.message
    status = answer.status
    if isinstance(error, Denied):
        return Denied(said, hints=_login(answer, source), code=Code.LOGIN, status=status)
    if isinstance(error, NotFound):
        return _missing(answer)
    if status in {_STATUS_FULL, _STATUS_TOO_BIG} or _FULL.search(words):
        return PermanentError(
            f"{host(answer.url)} has no space for more: {words or said}",
            hints=["free space there, or raise the quota; the same push then sends only what is missing"],
            code=Code.HTTP_STATUS,
            status=status,
        )
    if isinstance(error, Unavailable) and words:
        again = {"retry_after": error.retry_after} if status >= _SERVER or error.retry_after else {}
        return type(error)(said, hints=error.hints, code=error.code, status=status, **again)
    return error


def _words(answer: Answer) -> str:
    """Return the registry's own words: the messages of its errors, and details that are texts."""
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return ""
    errors = found.get("errors") if isinstance(found, Mapping) else None
    texts = [_word(error) for error in (errors if isinstance(errors, list) else ())[:3] if isinstance(error, Mapping)]
    line = "; ".join(text for text in texts if text)
    return line if len(line) <= _MOST else f"{line[: _MOST - 1]}…"


def _word(error: Mapping[str, Any]) -> str:
    detail = error.get("detail")
    parts = [error.get("message") or error.get("code"), detail if isinstance(detail, str) else _inner(detail)]
    return " ".join(": ".join(printable(str(part)) for part in parts if part).split())


def _inner(detail: Any) -> str:
    """Return the text of a detail that is an object, as that of a storage driver."""
    found = detail.get("Err") if isinstance(detail, Mapping) else None
    if isinstance(found, Mapping):
        found = found.get("Err") or ""
    return str(found) if found and not isinstance(found, Mapping | int) else ""


def _missing(answer: Answer) -> NotFound:
    found = _PATH.search(answer.url)
    if found is None:
        return NotFound(error_of(answer).message, status=answer.status)
    where, name = f"{host(answer.url)}/{found['repository']}", printable(found["name"])
    if found["kind"] == "blobs":
        return NotFound(f"{where} has no blob {name}", code=Code.FILE_NOT_FOUND, status=answer.status)
    hints = ["check host, repository and tag; a registry may hide what a login would show"]
    return NotFound(
        f"{where} has nothing named {name}", hints=hints, code=Code.REVISION_NOT_FOUND, status=answer.status
    )


def _login(answer: Answer, source: HttpSource) -> list[str]:
    """Return what to do about a login that is missing, wrong, or not sent because its realm is another server."""
    server = origin(answer.url)
    name = login_name(server)
    table = f'[credentials."{name}"]'
    if source.credential(server) is None:
        login = f"docker login {name.removeprefix('oci://')}"
        return [f'log in with `{login}`, or configure {table} username = "USER", password-env = "NAME"']
    realm = _REALM.search(answer.headers.get("WWW-Authenticate", ""))
    if realm and realm[1].startswith("http"):
        try:
            other = origin(realm[1])
        except ModelpmError:
            other = server
        if other not in {server, source.realm(server)}:
            shown = printable(other)
            why = f"its tokens come from another server, {shown}, which is not sent your password unasked"
            return [f'{why}; if it belongs to the registry, configure {table} realm = "{shown}"']
    return ["its login was refused, or may not do this: check user, password and rights at the registry"]
