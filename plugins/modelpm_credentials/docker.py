"""Docker's credentials: ``config.json`` with ``auths``, ``credHelpers`` and ``credsStore``. For registries only."""

import json
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelpm.api import Context, Secret, UsageError
from modelpm.api.toolkit import read_bytes
from modelpm_credentials.running import run

_SCHEME = "oci://"
_MOST_BYTES = 1 << 20
_HUB = "https://index.docker.io/v1/"  # how Docker calls its own registry
_HUB_NAMES = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_NO_LOGIN = "credentials not found"  # what every helper prints where it knows nothing


class Docker:
    """Knows what ``docker login`` (or podman, oras, skopeo with that file) stored."""

    def __init__(self, context: Context) -> None:
        self._environ = context.environ

    def secret(self, server: str) -> Secret | None:
        """Return the login of a registry, ``oci://HOST``; of no other server.

        Raises:
            UsageError: The file, or a helper that it names, is broken.
        """
        if not server.startswith(_SCHEME):
            return None
        host = server.removeprefix(_SCHEME)
        names = [_HUB, *sorted(_HUB_NAMES)] if host in _HUB_NAMES else [host, f"https://{host}", f"http://{host}"]
        config = self._config()
        helpers, auths = _table(config, "credHelpers"), _table(config, "auths")
        for name in names:
            helper = helpers.get(name) or (config.get("credsStore") if name == names[0] else None)
            found = self._helped(str(helper), name) if helper else None
            found = found or _stored(auths.get(name))
            if found is not None:
                return found
        return None

    def _config(self) -> Mapping[str, Any]:
        home = self._environ.get("HOME") or self._environ.get("USERPROFILE") or ""
        path = Path(self._environ.get("DOCKER_CONFIG") or Path(home, ".docker"), "config.json")
        try:
            found = json.loads(read_bytes(path, _MOST_BYTES, follow=True))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(f"Docker's configuration {path} cannot be read: {type(error).__name__}") from error
        return found if isinstance(found, Mapping) else {}

    def _helped(self, helper: str, name: str) -> Secret | None:
        try:
            answer = json.loads(run([f"docker-credential-{helper}", "get"], self._environ, name))
        except UsageError as error:
            if _NO_LOGIN in error.message.lower() or "exited with 1" in error.message:
                return None
            raise
        except ValueError:
            return None
        return _login(answer.get("Username"), answer.get("Secret")) if isinstance(answer, Mapping) else None


def _table(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = config.get(key)
    return found if isinstance(found, Mapping) else {}


def _stored(entry: Any) -> Secret | None:
    if not isinstance(entry, Mapping):
        return None
    if entry.get("identitytoken"):
        return _login("<token>", entry["identitytoken"])
    if entry.get("username") and entry.get("password"):
        return _login(entry["username"], entry["password"])
    try:
        user, colon, password = b64decode(str(entry.get("auth") or "")).decode().partition(":")
    except ValueError:
        return None
    return _login(user, password) if colon else None


def _login(user: Any, password: Any) -> Secret | None:
    """Return user and password; a user ``<token>`` says that the password is an identity token."""
    if not isinstance(password, str) or not password:
        return None
    return Secret(password.rstrip("\x00"), username=user if isinstance(user, str) else "")
