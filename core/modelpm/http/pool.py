"""Connections: a pool for the direct way and one a proxy, the system's certificates, logs without secrets."""

import logging
import re
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from typing import Any

import urllib3
from urllib3.util import Timeout

from modelpm import __version__
from modelpm.api.oci import Part
from modelpm.api.types import Network
from modelpm.errors import Code, ModelpmError, UsageError
from modelpm.http.connections import racing
from modelpm.http.errors import PermanentError
from modelpm.http.failures import BREAKS, closed_early, failure, proxy_wants_a_name, reason
from modelpm.http.proxies import Proxy, manager_through, parse_proxy
from modelpm.http.timing import timed
from modelpm.http.urls import address, proxy_for
from modelpm.network.redact import without_secrets

USER_AGENT = f"modelpm/{__version__} (python/{sys.version_info.major}.{sys.version_info.minor})"
_CONNECTIONS = 32  # a host; above it connections are made and thrown away


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, but for its URL.

    Attributes:
        headers: Besides those of every request.
        method: ``GET``, ``HEAD``, ``POST``, ``PUT``, ``PATCH`` or ``DELETE``.
        body: What is sent; None for nothing. A part of a file is read again for each request.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    body: bytes | Part | None = None

    def redirected(self, status: int) -> "Asked":
        """Return what is asked for where a redirect leads: a POST stays one only where the status says so."""
        if self.method != "POST" or status in {HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT}:
            return self
        kept = {name: value for name, value in self.headers.items() if name.lower() != "content-type"}
        return Asked(kept)


class Pool:
    """Sends single requests: no redirect is followed and nothing is tried twice. Thread-safe; connects when asked."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._managers: dict[tuple[Proxy | None, bool], urllib3.PoolManager] = {}
        self._lock = Lock()

    def send(self, asked: "Asked", url: str) -> urllib3.BaseHTTPResponse:
        """Send a request and return the answer with its body unread.

        Raises:
            Unavailable: No answer came.
            UsageError: Proxy or certificates are misconfigured.
        """
        place = address(url)
        said = proxy_for(url, self._network.proxies, self._network.no_proxy)
        proxy = None if said is None else parse_proxy(said)
        secure = "https" in {place.scheme, "" if proxy is None else proxy.scheme}
        manager = self._manager(proxy, secure=secure)
        sent = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **asked.headers}
        try:
            response = _send(manager, place.url, replace(asked, headers=sent))
        except BREAKS as error:
            raise self._failure(error, url, proxy) from error
        if response.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED and _is_forwarded(place.scheme, proxy):
            challenges = response.headers.getlist("Proxy-Authenticate")
            response.close()
            raise proxy_wants_a_name("" if proxy is None else proxy.server, challenges)
        return response

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            for manager in self._managers.values():
                manager.clear()

    def _failure(self, error: BaseException, url: str, proxy: Proxy | None) -> ModelpmError:
        meant = failure(error, url, "" if proxy is None else proxy.server)
        broken = _broken_bundle(self._network.cert_file) if meant.code == Code.CERTIFICATE else ""
        if not broken:
            return meant
        return PermanentError(
            f"{meant.message}\nSSL_CERT_FILE takes the place of the system's certificates, and {broken}",
            hints=["unset SSL_CERT_FILE, or let it name a file of certificates in PEM form"],
            code=Code.CERTIFICATE,
        )

    def _manager(self, proxy: Proxy | None, *, secure: bool) -> urllib3.PoolManager:
        with self._lock:
            if (proxy, secure) not in self._managers:
                _silence_queries()
                self._managers[proxy, secure] = self._make(proxy, secure=secure)
            return self._managers[proxy, secure]

    def _make(self, proxy: Proxy | None, *, secure: bool) -> urllib3.PoolManager:
        network = self._network
        options: dict[str, Any] = {
            "num_pools": _CONNECTIONS,
            "maxsize": _CONNECTIONS,
            "timeout": Timeout(connect=network.connect_timeout, read=network.first_byte_timeout),
            "ssl_context": _trust(network) if secure else None,
        }
        manager = racing(urllib3.PoolManager(**options)) if proxy is None else manager_through(proxy, options)
        return timed(manager, network.idle_timeout, network.first_byte_timeout)


def _is_forwarded(scheme: str, proxy: Proxy | None) -> bool:
    """Whether the proxy itself answers: it tunnels https, and SOCKS knows nothing of requests."""
    return proxy is not None and scheme == "http" and not proxy.is_socks


def _send(manager: urllib3.PoolManager, url: str, asked: Asked) -> urllib3.BaseHTTPResponse:
    """Send a request; where the server closed the connection just as it was used again, send it over a fresh one.

    A PATCH is not sent again: what the server took of it would be there twice.
    """
    pool = manager.connection_from_url(url)
    for again in (True, False):
        before = pool.num_connections
        try:
            return manager.request(
                asked.method,
                url,
                headers=asked.headers,
                body=asked.body,
                redirect=False,
                retries=False,
                preload_content=False,
            )
        except BREAKS as error:
            spent = not again or asked.method == "PATCH"
            if spent or pool.num_connections != before or not closed_early(error):
                raise
    raise AssertionError  # the loop ends above


def _trust(network: Network) -> ssl.SSLContext:
    context: ssl.SSLContext
    if sys.platform == "linux" and ssl.get_default_verify_paths().cafile:
        # The same certificates, read once; truststore reads them again for each connection (40 ms against 1.5).
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_default_certs()
    else:
        import truststore

        context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if network.cacert is not None:
        _load(context, network.cacert)
    return context


def _load(context: ssl.SSLContext, bundle: Path) -> None:
    try:
        if bundle.is_dir():  # what REQUESTS_CA_BUNDLE may be, too
            context.load_verify_locations(capath=str(bundle))
        else:
            context.load_verify_locations(cafile=str(bundle))
    except (OSError, ssl.SSLError) as error:
        names = "--cacert, MODELPM_CACERT, network.cacert, REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE"
        raise UsageError(
            f"cannot use {bundle} as trusted certificates: {reason(error)}",
            hints=[f"it must be a file of certificates in PEM form; it is named by {names}"],
        ) from error


def _broken_bundle(path: Path | None) -> str:
    """Return what is wrong with a file of certificates that OpenSSL passes over in silence, or nothing."""
    if path is None:
        return ""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=str(path))
    except ssl.SSLError:
        return f"{path} holds no certificates in PEM form"
    except OSError as error:
        return f"{path} cannot be read: {(error.strerror or 'no reason given').lower()}"
    return ""


class _WithoutQueries(logging.Filter):
    """Cuts queries and secrets out of what urllib3 logs: a signed URL is a credential."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = without_secrets(re.sub(r"\?\S*", "?…", record.getMessage()))
        record.args = ()
        return True


_FILTER = _WithoutQueries()


def _silence_queries() -> None:
    for name in ("connectionpool", "connection", "poolmanager", "response", "util.retry"):
        logging.getLogger(f"urllib3.{name}").addFilter(_FILTER)
