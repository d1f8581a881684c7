"""urllib3's connections, with what it lacks: a race between addresses, interim answers, a proxy's own words.

Only the making of the TCP connection and the reading of a status line are replaced; TLS, tunnels, timeouts and socket
options stay urllib3's.
"""

import http.client
import socket
import sys
from http import HTTPStatus

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from modelpm.http.racing import connect

_MOST_INTERIM = 16


class Reply(http.client.HTTPResponse):
    """An answer; interim ones before it (102, 103 and further 100) are skipped."""

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(_MOST_INTERIM):
            version, status, reason = super()._read_status()  # type: ignore[misc] # private, held by a test
            if not _is_interim(status):
                return version, status, reason
            http.client.parse_headers(self.fp)
        raise http.client.HTTPException("too many interim answers")


class TunnelReply(Reply):
    """A proxy's answer to CONNECT; urllib3 drops the headers that say how to authenticate."""

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()
        if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            headers = http.client.parse_headers(self.fp)
            raise TunnelRefusedError(status, headers.get_all("Proxy-Authenticate", []))
        return version, status, reason


class TunnelRefusedError(OSError):
    """The proxy wants to know who asks.

    Attributes:
        status: What it answered.
        challenges: Its ``Proxy-Authenticate`` headers.
    """

    def __init__(self, status: int, challenges: list[str]) -> None:
        super().__init__(f"Tunnel connection failed: {status}")
        self.status = status
        self.challenges = tuple(challenges)


class _Racing(HTTPConnection):
    response_class = Reply

    def _new_conn(self) -> socket.socket:
        timeout = self.timeout if isinstance(self.timeout, int | float) else None
        options = self.socket_options or ()
        try:
            made = connect(self._dns_host, self.port, timeout, source=self.source_address, options=options)
        except (socket.gaierror, UnicodeError) as error:  # a name that is none is as good as unknown
            unknown = error if isinstance(error, socket.gaierror) else socket.gaierror(str(error))
            raise NameResolutionError(self.host, self, unknown) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"Connection to {self.host} timed out") from error
        except OSError as error:
            raise NewConnectionError(self, f"Failed to establish a new connection: {error}") from error
        sys.audit("http.client.connect", self, self.host, self.port)
        return made

    def _tunnel(self) -> None:
        self.response_class = TunnelReply
        try:
            super()._tunnel()
        except TunnelRefusedError:
            self.close()  # as for any other refusal: urllib3 then blames the proxy
            raise
        finally:
            self.response_class = Reply


class _RacingTLS(_Racing, HTTPSConnection):
    pass


class _Plain(urllib3.HTTPConnectionPool):
    ConnectionCls = _Racing


class _Secure(urllib3.HTTPSConnectionPool):
    ConnectionCls = _RacingTLS


def racing(manager: urllib3.PoolManager) -> urllib3.PoolManager:
    """Make a manager that has not connected yet use these connections."""
    manager.pool_classes_by_scheme = {"http": _Plain, "https": _Secure}
    return manager


def _is_interim(status: int) -> bool:
    return HTTPStatus.CONTINUE <= status < HTTPStatus.OK and status != HTTPStatus.SWITCHING_PROTOCOLS
