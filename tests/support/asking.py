"""Asks a warm process (``tests/support/warm.py``) for a run; light, as what stands in for the command imports it."""

import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


def ask(
    place: str, arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path, files: Sequence[int]
) -> socket.socket:
    """Ask for a run with these three streams; return what tells its process id and its exit code, a line each."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(place)
    socket.send_fds(connection, [b"+"], files)
    connection.sendall(json.dumps([list(arguments), dict(env), str(cwd)]).encode())
    connection.shutdown(socket.SHUT_WR)
    return connection


def stand_in(place: str) -> None:
    """Be the command, for a shell: with its arguments and streams, until the run has ended."""
    with ask(place, sys.argv[1:], env=os.environ, cwd=Path.cwd(), files=[0, 1, 2]) as connection:
        _, code = map(int, connection.makefile())
    sys.exit(code if code >= 0 else 128 - code)
