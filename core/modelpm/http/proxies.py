"""Parse the address of a proxy, and make the connection manager that uses it."""

from base64 import b64encode
from dataclasses import dataclass
from typing import Any

import urllib3
from urllib3.util import parse_url

from modelpm.errors import UsageError
from modelpm.http.connections import Reply, racing
from modelpm.http.urls import address, broken_rule

_SOCKS = frozenset({"socks4", "socks4a", "socks5", "socks5h"})
_OTHER_NAMES = {"socks": "socks5h"}  # what GNOME writes; the proxy resolves the names
_DEFAULT_PORTS = {"http": 80, "https": 443}
_SOCKS_PORT = 1080


@dataclass(frozen=True, slots=True)
class Proxy:
    """One proxy.

    Attributes:
        scheme: ``http``, ``https`` or one of SOCKS.
        host: Lower case and ASCII; IPv6 in brackets.
        port: Where it listens.
        username: Decoded; None if it needs none.
        password: Decoded.
    """

    scheme: str
    host: str
    port: int
    username: str | None = None
    password: str = ""

    @property
    def server(self) -> str:
        """How messages name it."""
        return f"{self.host}:{self.port}"

    @property
    def is_socks(self) -> bool:
        """Whether it speaks SOCKS."""
        return self.scheme in _SOCKS


def parse_proxy(text: str) -> Proxy:
    """Read the address of a proxy, as a variable has it.

    Raises:
        UsageError: It is malformed, or of a kind that we cannot use.
    """
    text = text.strip().strip("\"'").strip()
    scheme, found, rest = text.partition("://")
    scheme, rest = (scheme.lower(), rest) if found else ("http", text)
    scheme = _OTHER_NAMES.get(scheme, scheme)
    if scheme not in _SOCKS and scheme not in _DEFAULT_PORTS:
        raise _malformed("it is neither HTTP nor SOCKS")
    if broken_rule(text):
        raise _malformed(broken_rule(text))
    try:
        place = address(f"http://{rest}")  # the part before the path has the same form for all of them
    except UsageError as error:
        raise _malformed("its host or port cannot be read") from error
    port = parse_url(f"http://{rest}").port or _DEFAULT_PORTS.get(scheme, _SOCKS_PORT)
    return Proxy(scheme, place.host, port, place.username, place.password or "")


def manager_through(proxy: Proxy, options: dict[str, Any]) -> urllib3.PoolManager:
    """Return a manager whose connections go through the proxy.

    Raises:
        UsageError: It speaks SOCKS, and the library for that is missing.
    """
    url = f"{proxy.scheme}://{proxy.host}:{proxy.port}"
    if proxy.is_socks:
        return _socks(proxy, url, options)
    headers = None
    if proxy.username is not None:
        token = b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
        headers = {"proxy-authorization": f"Basic {token}"}
    return racing(urllib3.ProxyManager(url, proxy_headers=headers, proxy_ssl_context=options["ssl_context"], **options))


def _socks(proxy: Proxy, url: str, options: dict[str, Any]) -> urllib3.PoolManager:
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from urllib3.contrib import socks
    except ImportError as error:
        raise UsageError(
            "the proxy speaks SOCKS, and the library for that is not installed",
            hints=["install it with: pip install 'modelpm[socks]'"],
        ) from error
    password = proxy.password if proxy.username is not None else None
    manager = socks.SOCKSProxyManager(url, username=proxy.username, password=password, **options)
    # PySocks connects for itself, so only the reading of answers is ours.
    manager.pool_classes_by_scheme = {
        "http": _replying(socks.SOCKSHTTPConnectionPool),
        "https": _replying(socks.SOCKSHTTPSConnectionPool),
    }
    return manager


def _replying(pool: type[urllib3.HTTPConnectionPool]) -> type[urllib3.HTTPConnectionPool]:
    connection = type("Connection", (pool.ConnectionCls,), {"response_class": Reply})
    return type("Pool", (pool,), {"ConnectionCls": connection})


def _malformed(why: str) -> UsageError:
    return UsageError(
        f"the address of the proxy is malformed: {why}",
        hints=[
            "write it like HTTPS_PROXY=http://proxy.example:3128 or ALL_PROXY=socks5h://127.0.0.1:1080",
            "write special characters of a user or password percent-encoded, as in p%23ss for p#ss",
        ],
    )
