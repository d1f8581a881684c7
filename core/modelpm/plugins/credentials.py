"""Credentials of the configuration: ``[credentials."https://host"]``, a table for each server.

The secret comes from a variable, a file or a command, and is never written into the configuration itself.
"""

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from modelpm.api.types import Secret
from modelpm.config import Config
from modelpm.errors import ModelpmError, UsageError
from modelpm.network.redact import capped
from modelpm.text.untrusted import printable

_SOURCES = tuple(f"{what}-{kind}" for what in ("token", "password") for kind in ("env", "file", "command"))
_KEYS = (*_SOURCES, "username", "header", "realm")
_MOST_BYTES = 1 << 16
_COMMAND_SECONDS = 60


@dataclass(slots=True)
class Keyring:
    """The credentials of every server that is configured; each is got once, when it is first needed. Thread-safe."""

    config: Config
    _found: dict[str, Secret | None] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def secret(self, origin: str) -> Secret | None:
        """Return what belongs to exactly this origin.

        Raises:
            UsageError: The configuration of it is wrong, or its file or command gives no secret.
        """
        with self._lock:
            if origin not in self._found:
                self._found[origin] = self._get(origin)
            return self._found[origin]

    def _get(self, origin: str) -> Secret | None:
        tables = entries(self.config)
        if not tables:
            return None
        wanted = _canonical(origin)
        entry = next((entry for key, entry in tables.items() if _canonical(key) == wanted), None)
        if entry is None:
            return None
        source = _checked(origin, entry)
        value = _read(self.config, origin, source, entry[source])
        if not value:
            return None
        return Secret(value, username=entry.get("username"), header=entry.get("header", ""))


def entries(config: Config) -> Mapping[str, Any]:
    """Return the tables below ``[credentials]``, by server as they are written."""
    table = config.tables.get("credentials", {})
    return table if isinstance(table, Mapping) else {}


def _canonical(server: str) -> str:
    """Return the one spelling of an origin; those of other protocols are compared as they are written."""
    if not server.lower().startswith(("http:", "https:")):
        return server
    from modelpm.http.urls import address  # only where there are credentials

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


def _read(config: Config, origin: str, source: str, value: Any) -> str:
    kind = source.partition("-")[2]
    if kind == "command" and isinstance(value, list) and value and all(isinstance(word, str) for word in value):
        return _run(config, origin, value)
    if not isinstance(value, str) or not value.strip():
        raise _wrong(origin, f"{source} must be a text")
    if kind == "env":
        return config.environ.get(value, "").strip()
    if kind == "file":
        return _contents(config, origin, value)
    try:
        return _run(config, origin, shlex.split(value))
    except ValueError as error:
        raise _wrong(origin, f"{source} cannot be split into words: {error}") from error


def _contents(config: Config, origin: str, name: str) -> str:
    path = config.paths.config.parent / Path(name).expanduser()
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not a text"
        raise _wrong(origin, f"the file {path} cannot be read: {why}") from error


def _run(config: Config, origin: str, command: Sequence[str]) -> str:
    """Return the first line that a command prints."""
    try:
        done = subprocess.run(  # noqa: S603 - the user's own configuration names it
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=dict(config.environ),
            timeout=_COMMAND_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        why = error.strerror if isinstance(error, OSError) else f"it took longer than {_COMMAND_SECONDS} seconds"
        raise _wrong(origin, f"the command `{printable(command[0])}` failed: {why}") from error
    lines = done.stdout[:_MOST_BYTES].decode(errors="replace").strip().splitlines()
    if done.returncode or not lines:
        said = printable(capped(done.stderr[:_MOST_BYTES].decode(errors="replace").strip()))
        why = f"it exited with {done.returncode}" if done.returncode else "it printed nothing"
        raise _wrong(origin, f"the command `{printable(command[0])}` failed: {why}" + (f": {said}" if said else ""))
    return lines[0].strip()


def _wrong(server: str, why: str) -> ModelpmError:
    from modelpm.network.redact import redact_urls

    return UsageError(
        f'[credentials."{printable(redact_urls(server))}"] in the configuration cannot be used: {why}',
        hints=['write it like [credentials."https://host"] and below it token-env = "NAME"'],
    )
