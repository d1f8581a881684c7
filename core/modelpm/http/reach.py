"""Whether a server answers at all."""

import socket


def reach(host: str, port: int, timeout: float = 5.0) -> str:
    """Open a connection and close it; return why that failed, or an empty text."""
    try:
        socket.create_connection((host, port), timeout).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""
