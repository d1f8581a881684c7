"""Remember where redirects led, so that the ranges of one file do not each ask the way again."""

import time
from threading import Lock

# Signed links live for minutes to hours; one that ran out sooner costs a request, never the download.
_LIFETIME = 300.0
_MOST = 1024


class Targets:
    """URL by location, for a while. Thread-safe. Signed URLs: kept in memory only."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, float]] = {}
        self._lock = Lock()

    def get(self, location: str) -> str | None:
        """Return where ``location`` led lately."""
        with self._lock:
            url, until = self._known.get(location, ("", 0.0))
        return url if time.monotonic() < until else None

    def put(self, location: str, url: str) -> None:
        """Remember it."""
        with self._lock:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[location] = (url, time.monotonic() + _LIFETIME)

    def forget(self, location: str) -> None:
        """Ask the way again next time."""
        with self._lock:
            self._known.pop(location, None)
