"""Credentials of the configuration: ``[credentials."https://host"]``, a table for each server.

The secret comes from a variable, a file or a command, and is never written into the configuration itself.
"""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelpm.api import Context, Secret, UsageError, printable
from modelpm.http import address
from modelpm_credentials.running import run

_SOURCES = tuple(f"{what}-{kind}" for what in ("token", "password") for kind in ("env", "file", "command"))
_KEYS = (*_SOURCES, "username", "header", "realm")
_MOST_BYTES = 1 << 16
_HINT = 'write it like [credentials."https://host"] and below it token-env = "NAME"'


class Tables:
    """The credentials of every server that is configured; the context's settings are the tables, by server."""

    def __init__(self, context: Context) -> None:
        self._tables = context.settings
        self._environ = context.environ

    def secret(self, server: str) -> Secret | None:
        """Return what belongs to exactly this server.

        Raises:
            UsageError: The configuration of it is wrong, or its file or command gives no secret.
        """
        if not self._tables:
            return None
        wanted = _canonical(server)
        entry = next((entry for key, entry in self._tables.items() if _canonical(key) == wanted), None)
        if entry is None:
            return None
        source = _checked(server, entry)
        try:
            value = self._value(source, entry[source])
        except (UsageError, ValueError) as error:
            raise _wrong(server, str(error)) from error
        if not value:
            return None
        more = {key: str(entry.get(key, "")) for key in ("header", "realm")}
        return Secret(value, username=entry.get("username"), **more)

    def _value(self, source: str, given: Any) -> str:
        kind = source.partition("-")[2]
        if kind == "command":
            lines = run(_command(source, given), self._environ).splitlines()
            if not lines:
                raise ValueError(f"the command `{printable(_command(source, given)[0])}` failed: it printed nothing")
            return lines[0].strip()
        if not isinstance(given, str) or not given.strip():
            raise ValueError(f"{source} must be a text")
        return self._environ.get(given, "").strip() if kind == "env" else _contents(given)


def _command(source: str, given: Any) -> list[str]:
    if isinstance(given, list) and given and all(isinstance(word, str) for word in given):
        return given
    if not isinstance(given, str) or not given.strip():
        raise ValueError(f"{source} must be a text")
    try:
        return shlex.split(given)
    except ValueError as error:
        raise ValueError(f"{source} cannot be split into words: {error}") from error


def _contents(name: str) -> str:
    try:
        with Path(name).open("rb") as file:
            return file.read(_MOST_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not a text"
        raise ValueError(f"the file {name} cannot be read: {why}") from error


def _canonical(server: str) -> str:
    """Return the one spelling of an origin; those of other protocols are compared as they are written."""
    if not server.lower().startswith(("http:", "https:")):
        return server
    try:
        place = address(server)
    except UsageError as error:
        raise _wrong(server, error.message) from error
    if place.username is not None or place.path != "/" or place.query is not None or place.fragment:
        raise _wrong(server, "credentials belong to a whole server: it has only a scheme, a host and a port")
    return place.origin


def _checked(origin: str, entry: Any) -> str:
    """Return the key that says where the secret comes from."""
    if not isinstance(entry, Mapping):
        raise _wrong(origin, "it must be a table")
    unknown = [key for key in entry if key not in _KEYS]
    if unknown:
        raise _wrong(origin, f"it has the unknown key `{printable(str(unknown[0]))}`; there are: {', '.join(_KEYS)}")
    sources = [key for key in _SOURCES if key in entry]
    if len(sources) != 1:
        raise _wrong(origin, f"it must have exactly one of {', '.join(_SOURCES)}")
    texts = [entry.get(key, "") for key in ("username", "header")]
    if not all(isinstance(text, str) and text.isprintable() for text in texts):
        raise _wrong(origin, "username and header must be texts")
    if sources[0].startswith("password") and "username" not in entry:
        raise _wrong(origin, "a password needs a username")
    if "username" in entry and ("header" in entry or ":" in entry["username"]):
        raise _wrong(origin, "a username goes with no header, and has no colon")
    if "header" in entry and not entry["header"].replace("-", "").replace("_", "").isalnum():
        raise _wrong(origin, f"`{printable(entry['header'])}` is not the name of a header")
    return sources[0]


def _wrong(server: str, why: str) -> UsageError:
    before, at, place = server.rpartition("@")  # what stands before an `@` may be a password
    shown = f"…@{place}" if at and before else server
    return UsageError(f'[credentials."{printable(shown)}"] in the configuration cannot be used: {why}', hints=[_HINT])
