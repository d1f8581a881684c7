"""What the user's environment says of the Hub: endpoint, token, offline; with the names its own tools know."""

from collections.abc import Mapping
from pathlib import Path

from modelpm.api import Context, Secret, UsageError, read_bytes
from modelpm.http import origin

ENDPOINT = "https://huggingface.co"
_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_MAX_TOKEN = 16 << 10  # bytes of a token's file
_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


def endpoint(context: Context) -> str:
    """Return the base of all URLs, without a slash at its end.

    Raises:
        UsageError: It is no web address.
    """
    base = str(context.environ.get("HF_ENDPOINT") or context.settings.get("endpoint") or ENDPOINT).rstrip("/")
    try:
        origin(base)
    except UsageError as error:
        raise UsageError(
            "the endpoint of hf:// (HF_ENDPOINT, or `endpoint` in the configuration) is no web address",
            hints=[f"it has the form {ENDPOINT}"],
        ) from error
    return base


def offline(environ: Mapping[str, str]) -> str:
    """Return the name of the variable that forbids the network, or nothing."""
    return next((name for name in _OFFLINE if _is_true(environ.get(name))), "")


def token(environ: Mapping[str, str]) -> tuple[Secret | None, str]:
    """Return the token and where it was found; (None, "") where there is none or it must not be sent unasked."""
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
