"""The displayed progress of a file: it never goes back, even if bytes must be fetched again."""

from dataclasses import dataclass, field

from modelpm.errors import ModelpmError
from modelpm.transfer.download import Download
from modelpm.transfer.model import FileProgress

_MEMORY = 3.0  # seconds over which older speeds fade: long enough to be readable, short enough to follow a change
_LEAST = 1.0  # seconds; a burst that took less does not predict a whole second


@dataclass(slots=True)
class Speed:
    """Bytes per second, lately: at first the mean since the first byte, then a fading mean."""

    value: float = 0.0
    _begun: float = 0.0
    _at: float | None = None
    _received: int = 0

    def look(self, now: float, received: int) -> float:
        """Take the bytes received until now (seconds, monotonic), and return the speed."""
        if self._at is None or not received:
            self._begun, self.value = now, 0.0
        elif now > self._at:
            age, took = now - self._begun, now - self._at
            if age < _MEMORY:
                self.value = received / max(age, _LEAST)
            else:
                self.value += min(1.0, took / _MEMORY) * ((received - self._received) / took - self.value)
        self._at, self._received = now, received
        return self.value


@dataclass(slots=True)
class ProgressMeter:
    """Progress of one download.

    Attributes:
        download: Which.
    """

    download: Download
    _shown: int = 0
    _speed: Speed = field(default_factory=Speed)

    def read(self, now: float) -> FileProgress:
        """Return the progress now (seconds, monotonic)."""
        it = self.download
        present, total, received = it.present(), it.total(), it.received()
        self._shown = max(self._shown, present if total is None else min(present, total))
        lately = self._speed.look(now, received)
        error = it.result.message if isinstance(it.result, ModelpmError) else None
        speed = 0.0 if it.result is not None else lately
        return FileProgress(it.fetch.model, it.fetch.path, self._shown, total, speed, it.status, received, error)
