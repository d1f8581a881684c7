"""Whether a reference leads to this machine or into a private network, where strangers must not send us."""

import re
from ipaddress import ip_address
from urllib.parse import unquote

_AUTHORITY = re.compile(r"(?:[^@/]*@)?(\[[^\]]*\]|[^/:?#]*)")
_ODD_ADDRESS = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+))*")  # 127.1, 0x7f000001


def is_private(text: str) -> bool:
    """Whether a reference leads to a file of this machine, or to an address inside a private network."""
    scheme, _, rest = text.partition("://")
    found = _AUTHORITY.match(rest)
    host = unquote(found[1] if found else "").strip("[]").rstrip(".").lower()
    if scheme.lower() == "file" or host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return True
    if scheme.lower() not in {"http", "https"}:
        return False
    try:
        return not ip_address(host.partition("%")[0]).is_global
    except ValueError:
        return _ODD_ADDRESS.fullmatch(host) is not None
