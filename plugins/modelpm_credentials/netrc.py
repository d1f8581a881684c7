"""Passwords of ``.netrc``, for those who say that it may be read: it has no ports, and no protocol."""

import netrc
from pathlib import Path
from urllib.parse import urlsplit

from modelpm.api import Context, Secret, UsageError


class Netrc:
    """Reads the file that ``NETRC`` names, else ``.netrc`` in the home folder."""

    def __init__(self, context: Context) -> None:
        self._environ = context.environ

    def secret(self, server: str) -> Secret | None:
        """Return the password of a server over https, by its name; ``default`` is for no server.

        Raises:
            UsageError: The file cannot be read.
        """
        place = urlsplit(server)
        if place.scheme != "https" or place.port is not None:
            return None
        home = self._environ.get("HOME") or self._environ.get("USERPROFILE") or ""
        path = Path(self._environ.get("NETRC") or Path(home, ".netrc"))
        try:
            found = netrc.netrc(str(path)).hosts.get(place.hostname or "")
        except FileNotFoundError:
            return None
        except (OSError, netrc.NetrcParseError, UnicodeDecodeError) as error:
            raise UsageError(f"{path} cannot be read: {type(error).__name__}") from error
        return Secret(found[2], username=found[0]) if found and found[2] else None
