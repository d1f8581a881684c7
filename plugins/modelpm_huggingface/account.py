"""The Hub settings in the user's environment: endpoint, token, offline; in the variables of the Hub's own tools."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modelpm.api import Context, Secret, UsageError
from modelpm.api.toolkit import read_bytes
from modelpm.http import address

ENDPOINT = "https://huggingface.co"
_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_MAX_TOKEN = 16 << 10  # bytes of a token's file
_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of the Hub.

    Attributes:
        base: What all URLs begin with, without a slash at its end, a user or a password.
        secret: The password that stood in the address, with its user; None if there was none.
    """

    base: str
    secret: Secret | None = None


def endpoint(context: Context) -> Endpoint:
    """Return where the Hub is; blanks and quotes around the address, as ``.env`` files have them, count for nothing.

    Raises:
        UsageError: It is not a web address.
    """
    said = (context.environ.get("HF_ENDPOINT"), str(context.settings.get("endpoint") or ""))
    text = next((bare for text in said if (bare := (text or "").strip().strip("\"'").strip())), ENDPOINT)
    try:
        place = address(text)
    except UsageError as error:
        raise _unusable(error.message) from error
    if place.query is not None or place.fragment:
        raise _unusable("it has a query or a fragment")
    base = place.label.rstrip("/")
    if place.username is None:
        return Endpoint(base)
    return Endpoint(base, Secret(place.password or "", username=place.username))


def _unusable(why: str) -> UsageError:
    return UsageError(
        f"the endpoint of hf:// (HF_ENDPOINT, or `endpoint` in the configuration) cannot be used: {why}",
        hints=[f"it has the form {ENDPOINT}"],
    )


def offline(environ: Mapping[str, str]) -> str:
    """Return the name of the variable that forbids the network, or nothing."""
    return next((name for name in _OFFLINE if _is_true(environ.get(name))), "")


def token(environ: Mapping[str, str]) -> tuple[Secret | None, str]:
    """Return the token and where it was found; (None, "") if there is none or it must not be sent unasked."""
    if _is_true(environ.get("HF_HUB_DISABLE_IMPLICIT_TOKEN")):
        return None, ""
    for name in _TOKENS:
        if value := environ.get(name, "").strip():
            return Secret(value), name
    path = _token_file(environ)
    try:
        value = read_bytes(path, _MAX_TOKEN, follow=True).decode("utf-8-sig").strip() if path else ""
    except (OSError, UnicodeDecodeError):
        return None, ""
    return (Secret(value), str(path)) if value else (None, "")


def _token_file(environ: Mapping[str, str]) -> Path | None:
    if path := environ.get("HF_TOKEN_PATH"):
        return _expanded(path, environ)
    if home := environ.get("HF_HOME"):
        return _expanded(home, environ) / "token"
    if cache := environ.get("XDG_CACHE_HOME"):
        return _expanded(cache, environ) / "huggingface" / "token"
    user = environ.get("HOME") or environ.get("USERPROFILE")
    return Path(user, ".cache", "huggingface", "token") if user else None


def _expanded(path: str, environ: Mapping[str, str]) -> Path:
    """Expand ``~`` by the environment given, not by the process's."""
    user = environ.get("HOME") or environ.get("USERPROFILE")
    return Path(user + path[1:]) if user and path.startswith("~/") else Path(path)


def _is_true(value: str | None) -> bool:
    return (value or "").upper() in {"1", "ON", "YES", "TRUE"}
