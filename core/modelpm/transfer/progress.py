"""The displayed progress of a file: it never goes back, even if bytes must be fetched again."""

from collections import deque
from dataclasses import dataclass, field

from modelpm.errors import ModelpmError
from modelpm.transfer.download import Download
from modelpm.transfer.model import FileProgress

_MEMORY = 3.0  # seconds: long enough to be readable, short enough to follow a change, and a stall is zero after it
_LEAST = 1.0  # seconds; a burst that took less does not predict a whole second


@dataclass(slots=True)
class Speed:
    """Bytes per second, lately: the mean since the first byte, and then of the last seconds."""

    value: float = 0.0
    _looks: deque[tuple[float, int]] = field(default_factory=deque)  # when, and bytes until then

    def look(self, now: float, received: int) -> float:
        """Take the bytes received until now (seconds, monotonic), and return the speed."""
        looks = self._looks
        if not received:
            looks.clear()
        looks.append((now, received))
        while len(looks) > 2 and looks[1][0] <= now - _MEMORY:  # noqa: PLR2004 - the last one before the window stays
            looks.popleft()
        begun, before = looks[0]
        counted = received if now - begun < _MEMORY else received - before  # a first look may come with bytes
        self.value = counted / max(now - begun, _LEAST) if len(looks) > 1 else 0.0
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
