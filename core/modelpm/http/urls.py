"""Judge a URL by its text alone: its origin, a label without secrets, whether it is signed, where it leads.

One parser reads a URL: urllib3's, which is the one that connects. Every judgment is made of what it found, and what is
asked for is written from it again, so that no text has one host for a judgment and another for the connection.
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl, unquote, urljoin

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from modelpm.errors import Code, UsageError
from modelpm.http.errors import PermanentError
from modelpm.network.redact import is_secret_key

_PORTS = {"http": 80, "https": 443}
# Query keys under which the storage behind redirects carries its signatures (S3, GCS, CloudFront, Azure, Xet).
_SIGNATURES = frozenset({"signature", "x-amz-signature", "x-goog-signature", "sig", "key-pair-id", "policy"})
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_.])?|\[[0-9a-f:.]+(?:%[A-Za-z0-9._~-]+)?\]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # the categories Cc and Cs of Unicode
_PATH_KEY = re.compile(r";([^=;/]+)=")
_MAX_HOST = 253


@dataclass(frozen=True, slots=True)
class Address:
    """An http or https URL as the connection will use it.

    Attributes:
        scheme: ``http`` or ``https``.
        host: Lower case and ASCII (IDNA); IPv6 in brackets.
        port: The scheme's own where the URL names none.
        path: Percent-encoded, without dot segments; at least ``/``.
        query: Percent-encoded, without the ``?``; None if there is none.
        fragment: As written, without the ``#``.
        username: Decoded; None if the URL has no user.
        password: Decoded; None if the URL has none.
    """

    scheme: str
    host: str
    port: int
    path: str
    query: str | None
    fragment: str = ""
    username: str | None = None
    password: str | None = None

    @property
    def origin(self) -> str:
        """``scheme://host[:port]`` in its one canonical spelling, the default port left out."""
        return f"{self.scheme}://{self.server}"

    @property
    def server(self) -> str:
        """The host, with the port if it is not the scheme's own: how messages name it."""
        return self.host + (f":{self.port}" if self.port != _PORTS[self.scheme] else "")

    @property
    def label(self) -> str:
        """The URL without user, query and fragment: how messages, events and logs name a location."""
        return self.origin + self.path

    @property
    def url(self) -> str:
        """The URL to request: without user and fragment."""
        return self.label + (f"?{self.query}" if self.query is not None else "")

    @property
    def is_signed(self) -> bool:
        """Whether the query carries a signature, so that the URL is a credential that runs out."""
        keys = (key.lower() for key, _ in parse_qsl(self.query or "", keep_blank_values=True))
        return any(key in _SIGNATURES for key in keys)

    @property
    def has_secret(self) -> bool:
        """Whether a parameter of the query, or of a part of the path, is named like a secret."""
        keys = [key for key, _ in parse_qsl(self.query or "", keep_blank_values=True)]
        keys += [unquote(found) for found in _PATH_KEY.findall(self.path)]
        return any(is_secret_key(key) for key in keys)


@lru_cache(1024)  # asked five times a request
def address(url: str) -> Address:
    """Read a URL.

    Raises:
        UsageError: This is not an http or https URL, or one that two programs may read differently: a backslash or a
            control character anywhere, a host that is none.
    """
    broken = broken_rule(url)
    if broken:
        raise _refused(broken)
    try:
        parts = parse_url(url)
        host, port = parts.host or "", parts.port
    except (LocationParseError, ValueError) as error:
        raise _refused("its host or port cannot be read") from error
    scheme = parts.scheme or ""
    if scheme not in _PORTS:
        raise _refused("it does not begin with https:// or http://")
    if port == 0 or not _is_host(host):
        raise _refused("it names no host" if not host else "its host or port is not valid")
    user, colon, password = (parts.auth or "").partition(":")
    return Address(
        scheme=scheme,
        host=host,
        port=port or _PORTS[scheme],
        path=parts.path or "/",
        query=parts.query,
        fragment=parts.fragment or "",
        username=None if parts.auth is None else unquote(user),
        password=unquote(password) if colon else None,
    )


def broken_rule(url: str) -> str:
    """Return why no parser can be trusted with the text, or nothing."""
    if "\\" in url:
        return "it has a backslash"
    if _CONTROL.search(url):
        return "it has a control character"
    return ""


def _refused(why: str) -> UsageError:
    return UsageError(f"not a web address: {why}", hints=["write it as https://host/path"])


def _is_host(host: str) -> bool:
    """Whether a connection can be made to it: what the system's resolver and a header can take."""
    if not _HOST.fullmatch(host) or len(host) > _MAX_HOST:
        return False
    if host.startswith("["):
        return True
    try:
        host.encode("idna")  # as the socket does: labels that are empty or too long
    except UnicodeError:
        return False
    return True


def origin(url: str) -> str:
    """Return ``scheme://host[:port]`` in its one canonical spelling, the default port left out.

    Raises:
        UsageError: This is not an http or https URL.
    """
    return address(url).origin


def host(url: str) -> str:
    """Return the host, with the port if it is not the scheme's own: how messages name a server."""
    return address(url).server


def label(url: str) -> str:
    """Return the URL without user, query and fragment: how messages, events and logs name a location."""
    return address(url).label


def is_signed(url: str) -> bool:
    """Tell whether the query carries a signature, so that the URL is a credential that runs out."""
    return address(url).is_signed


def redirect_target(url: str, location: str | None) -> str:
    """Return the absolute URL a redirect leads to.

    Raises:
        PermanentError: It leads nowhere, to another protocol, or from https to http.
    """
    if not location or not location.strip():
        raise PermanentError(f"{host(url)} sent a redirect that leads nowhere", code=Code.BAD_REDIRECT)
    # Header bytes arrive as Latin-1; what servers mean is UTF-8.
    said = location.strip().encode("latin-1", "replace").decode("utf-8", "replace")
    try:
        # A URL with a scheme is complete; joining would also drop tabs and line ends.
        whole = said if _SCHEME.match(said) or broken_rule(said) else urljoin(url, said)
        target = address(whole)
    except (UsageError, ValueError) as error:
        raise PermanentError(
            f"{host(url)} redirects to something that is not a web address", code=Code.BAD_REDIRECT
        ) from error
    here = address(url)
    if here.scheme == "https" and target.scheme != "https":
        raise _insecure(here, target)
    return target.url


def _insecure(here: Address, target: Address) -> PermanentError:
    hint = "the network may be tampered with: use another network or another mirror"
    if here.host == target.host:
        hint = f"{here.server} does not know that it is reached by https: tell who runs it, or use another mirror"
    return PermanentError(
        f"{here.server} redirects from https to plain http ({target.server}), which is refused",
        hints=[hint],
        code=Code.INSECURE_REDIRECT,
    )


def proxy_for(url: str, proxies: Mapping[str, str], no_proxy: Sequence[str]) -> str | None:
    """Return the proxy that leads to ``url``, or None for the direct way."""
    place = address(url)
    name = place.host.strip("[]").rstrip(".")
    if any(_matches(name, place.port, pattern) for pattern in no_proxy):
        return None
    return proxies.get(place.scheme) or proxies.get("all") or None


def _matches(name: str, port: int, pattern: str) -> bool:
    pattern = pattern.strip().lower()
    if pattern == "*":
        return True
    if "/" in pattern:
        try:
            return ipaddress.ip_address(name) in ipaddress.ip_network(pattern.strip("[]"), strict=False)
        except ValueError:
            return False
    suffix, colon, wanted = pattern.rpartition(":")
    if colon and wanted.isdigit() and (":" not in suffix or suffix.endswith("]")):
        if int(wanted) != port:
            return False
        pattern = suffix
    pattern = pattern.strip("[]").removeprefix("*").lstrip(".")
    pattern = pattern if pattern.isascii() else _ascii(pattern)
    return bool(pattern) and (name == pattern or name.endswith(f".{pattern}"))


def _ascii(name: str) -> str:
    try:
        return address(f"http://{name}").host
    except UsageError:
        return name
