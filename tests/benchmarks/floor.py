"""The least that a verified download can cost in Python: one connection, one buffer, write and hash.

``python -m tests.benchmarks.floor URL FILE [CACERT]``. No resume, no retries, no second connection, no lock.
"""

import hashlib
import ssl
import sys
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

_BLOCK = 256 << 10


def main() -> None:
    """Download, and print the SHA-256."""
    parts, target = urlsplit(sys.argv[1]), Path(sys.argv[2])
    connection: HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=sys.argv[3])
        connection = HTTPSConnection(parts.hostname or "", parts.port, context=context)
    else:
        connection = HTTPConnection(parts.hostname or "", parts.port)
    connection.request("GET", parts.path)
    answer, digest, buffer = connection.getresponse(), hashlib.sha256(), memoryview(bytearray(_BLOCK))
    with target.open("wb", buffering=0) as file:
        while count := answer.readinto(buffer):
            file.write(buffer[:count])
            digest.update(buffer[:count])
    sys.stdout.write(digest.hexdigest() + "\n")


if __name__ == "__main__":
    main()
