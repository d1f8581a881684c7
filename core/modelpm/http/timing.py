"""Connections that wait longer for an answer to begin than for its next byte."""

import socket
from functools import partial
from typing import Any, ClassVar

import urllib3
from urllib3.connection import HTTPConnection

from modelpm.http.watchdog import WATCHDOG, TooSlowError

_IDLE = 30.0  # seconds, where a connection was not made here
_HEAD = 1.1  # times the limit for the first byte: then the whole head of an answer must be there


class NoAnswerError(TimeoutError):
    """No answer began in time.

    Attributes:
        seconds: The time it had.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no answer within {seconds:g} s")
        self.seconds = seconds


class _Timed(HTTPConnection):
    """Mixed into urllib3's connections, whose read timeout is the one for the first byte."""

    idle: ClassVar[float]
    first_byte: ClassVar[float]

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override] # as urllib3 has it
        """Return the answer with its head read and its body unread."""
        sock, response = self.sock, None
        try:
            with WATCHDOG.guard(self.first_byte * _HEAD, partial(_cut, sock)):
                response = super().getresponse()
        except TooSlowError:
            if response is not None:  # to the library, a head that ends with the connection is a head
                response.close()
            raise
        except TimeoutError as error:
            raise NoAnswerError(self.first_byte) from error
        sock.settimeout(self.idle)
        return response


def timed(manager: urllib3.PoolManager, idle: float, first_byte: float) -> urllib3.PoolManager:
    """Give every connection that a manager makes from now on these limits, in seconds."""
    limits = {"idle": idle, "first_byte": first_byte}
    manager.pool_classes_by_scheme = {
        scheme: _with_limits(pool, limits) for scheme, pool in manager.pool_classes_by_scheme.items()
    }
    return manager


def idle_of(response: urllib3.BaseHTTPResponse) -> float:
    """Return the seconds for which the connection of an answer may be silent."""
    return float(getattr(response.connection, "idle", _IDLE))


def _with_limits(pool: type[Any], limits: dict[str, float]) -> type[Any]:
    connection = type(f"Timed{pool.ConnectionCls.__name__}", (_Timed, pool.ConnectionCls), limits)
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})


def _cut(sock: Any) -> None:
    """Shut both directions down below TLS; the TLS layer stays in place for a thread that is reading."""
    socket.socket.shutdown(getattr(sock, "socket", sock), socket.SHUT_RDWR)
