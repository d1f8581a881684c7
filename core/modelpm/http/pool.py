"""Connections: a pool for the direct way and one a proxy, the system's certificates, logs without secrets."""

import logging
import re
import ssl
import sys
from collections.abc import Mapping
from threading import Lock
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError
from urllib3.util import Timeout, make_headers

from modelpm import __version__
from modelpm.errors import UsageError
from modelpm.http.failures import BREAKS, closed_early, failure, reason
from modelpm.http.timing import timed
from modelpm.http.urls import proxy_for
from modelpm.types import Network

USER_AGENT = f"modelpm/{__version__} (python/{sys.version_info.major}.{sys.version_info.minor})"
_CONNECTIONS = 32  # a host; above it connections are made and thrown away


class Pool:
    """Sends single requests: no redirect is followed and nothing is tried twice. Thread-safe; connects when asked."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._managers: dict[tuple[str | None, bool], urllib3.PoolManager] = {}
        self._lock = Lock()

    def get(self, url: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        """Send a GET and return the answer with its body unread.

        Raises:
            Unavailable: No answer came.
            UsageError: Proxy or certificates are misconfigured.
        """
        proxy = proxy_for(url, self._network.proxies, self._network.no_proxy)
        manager = self._manager(proxy, secure="https:" in {url[:6].lower(), (proxy or "")[:6].lower()})
        sent = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers}
        try:
            return _send(manager, url, sent)
        except BREAKS as error:
            raise failure(error, url, proxy) from error

    def close(self) -> None:
        """Close the connections nobody uses."""
        with self._lock:
            for manager in self._managers.values():
                manager.clear()

    def _manager(self, proxy: str | None, *, secure: bool) -> urllib3.PoolManager:
        with self._lock:
            if (proxy, secure) not in self._managers:
                _silence_queries()
                self._managers[proxy, secure] = self._make(proxy, secure=secure)
            return self._managers[proxy, secure]

    def _make(self, proxy: str | None, *, secure: bool) -> urllib3.PoolManager:
        network = self._network
        options: dict[str, Any] = {
            "num_pools": _CONNECTIONS,
            "maxsize": _CONNECTIONS,
            "timeout": Timeout(connect=network.connect_timeout, read=network.first_byte_timeout),
            "ssl_context": _trust(network) if secure else None,
        }
        manager = urllib3.PoolManager(**options) if proxy is None else _through(proxy, options)
        return timed(manager, network.idle_timeout, network.first_byte_timeout)


def _send(manager: urllib3.PoolManager, url: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
    """Send a GET; where the server closed the connection just as it was used again, ask anew over a fresh one."""
    pool = manager.connection_from_url(url)
    for again in (True, False):
        before = pool.num_connections
        try:
            return manager.request("GET", url, headers=headers, redirect=False, retries=False, preload_content=False)
        except BREAKS as error:
            if not again or pool.num_connections != before or not closed_early(error):
                raise
    raise AssertionError  # the loop ends above


def _through(proxy: str, options: dict[str, Any]) -> urllib3.PoolManager:
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    malformed = UsageError(
        "the address of the proxy is malformed",
        hints=["write it like HTTPS_PROXY=http://proxy.example:3128 or ALL_PROXY=socks5h://127.0.0.1:1080"],
    )
    try:
        parsed = urllib3.util.parse_url(proxy)
        if not parsed.host:
            raise malformed
        if proxy.startswith("socks"):
            return _socks(proxy, options)
        secret = make_headers(proxy_basic_auth=parsed.auth) if parsed.auth else None
        return urllib3.ProxyManager(proxy, proxy_headers=secret, proxy_ssl_context=options["ssl_context"], **options)
    except (HTTPError, ValueError) as error:
        raise malformed from error


def _trust(network: Network) -> ssl.SSLContext:
    context: ssl.SSLContext
    if sys.platform == "linux" and ssl.get_default_verify_paths().cafile:
        # The same certificates, read once; truststore reads them anew for each connection (40 ms against 1.5).
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_default_certs()
    else:
        import truststore

        context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if network.cacert is not None:
        try:
            context.load_verify_locations(cafile=str(network.cacert))
        except (OSError, ssl.SSLError) as error:
            raise UsageError(
                f"cannot use {network.cacert} as trusted certificates: {reason(error)}",
                hints=["--cacert wants a file of certificates in PEM form"],
            ) from error
    return context


def _socks(proxy: str, options: dict[str, Any]) -> urllib3.PoolManager:
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from urllib3.contrib.socks import SOCKSProxyManager
    except ImportError as error:
        raise UsageError(
            "the proxy speaks SOCKS, and the library for that is not installed",
            hints=["install it with: pip install 'modelpm[socks]'"],
        ) from error
    return SOCKSProxyManager(proxy, **options)


class _WithoutQueries(logging.Filter):
    """Cuts queries and users out of what urllib3 logs: a signed URL is a credential."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = re.sub(r"(://)[^/\s@]*@", r"\1", re.sub(r"\?[^\s\"']*", "?…", record.getMessage()))
        record.args = ()
        return True


_FILTER = _WithoutQueries()


def _silence_queries() -> None:
    for name in ("connectionpool", "connection", "poolmanager", "response", "util.retry"):
        logging.getLogger(f"urllib3.{name}").addFilter(_FILTER)
