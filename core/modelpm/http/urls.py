"""What a URL alone tells: its origin, how to name it without secrets, whether it is signed, where it leads."""

import ipaddress
from collections.abc import Mapping, Sequence
from functools import lru_cache
from urllib.parse import SplitResult, parse_qsl, urljoin, urlsplit

from modelpm.errors import UsageError
from modelpm.http.errors import PermanentError

_PORTS = {"http": 80, "https": 443}
# Query keys under which the storage behind redirects carries its signatures (S3, GCS, CloudFront, Azure, Xet).
_SIGNATURES = frozenset({"signature", "x-amz-signature", "x-goog-signature", "sig", "key-pair-id", "policy"})


@lru_cache  # asked five times a request
def origin(url: str) -> str:
    """Return ``scheme://host[:port]`` in its one canonical spelling, the default port left out.

    Raises:
        UsageError: This is no http or https URL.
    """
    parts = _split(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = parts.port
    return f"{parts.scheme}://{host}" + (f":{port}" if port and port != _PORTS[parts.scheme] else "")


def host(url: str) -> str:
    """Return the host, with the port where it is not the scheme's own: how messages name a server."""
    return origin(url).partition("://")[2]


def label(url: str) -> str:
    """Return the URL without user, query and fragment: how messages, events and logs name a location."""
    return origin(url) + _split(url).path


def is_signed(url: str) -> bool:
    """Tell whether the query carries a signature, so that the URL is a credential that runs out."""
    return any(key.lower() in _SIGNATURES for key, _ in parse_qsl(_split(url).query, keep_blank_values=True))


def redirect_target(url: str, location: str | None) -> str:
    """Return the absolute URL a redirect leads to.

    Raises:
        PermanentError: It leads nowhere, to another protocol, or from https to http.
    """
    if not location or not location.strip():
        raise PermanentError(f"{host(url)} sent a redirect that leads nowhere", code="bad_redirect")
    # Header bytes arrive as Latin-1; what servers mean is UTF-8.
    said = location.strip().encode("latin-1", "replace").decode("utf-8", "replace")
    try:
        target = urljoin(url, said)
        reached = origin(target)
    except (UsageError, ValueError) as error:
        raise PermanentError(
            f"{host(url)} redirects to something that is no web address", code="bad_redirect"
        ) from error
    if url.startswith("https:") and not reached.startswith("https:"):
        raise PermanentError(
            f"{host(url)} redirects from https to plain http ({host(target)}), which is refused",
            hints=["the network may be tampered with; use another network or another mirror"],
            code="insecure_redirect",
        )
    return target


def proxy_for(url: str, proxies: Mapping[str, str], no_proxy: Sequence[str]) -> str | None:
    """Return the proxy that leads to ``url``, or None for the direct way."""
    parts = _split(url)
    name = (parts.hostname or "").rstrip(".")
    if any(_matches(name, parts.port or _PORTS[parts.scheme], pattern) for pattern in no_proxy):
        return None
    return proxies.get(parts.scheme) or proxies.get("all") or None


def _matches(name: str, port: int, pattern: str) -> bool:
    pattern = pattern.strip().lower()
    if pattern == "*":
        return True
    if "/" in pattern:
        try:
            return ipaddress.ip_address(name) in ipaddress.ip_network(pattern, strict=False)
        except ValueError:
            return False
    suffix, colon, wanted = pattern.rpartition(":")
    if colon and wanted.isdigit() and ":" not in suffix:
        if int(wanted) != port:
            return False
        pattern = suffix
    pattern = pattern.strip("[]").removeprefix("*").lstrip(".")
    return bool(pattern) and (name == pattern or name.endswith(f".{pattern}"))


@lru_cache
def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, valid = SplitResult("", "", "", "", ""), False
    if not valid:
        raise UsageError("not a web address: it needs the form https://host/path")
    return parts
