"""What is shown of a file: never goes back, whatever has to be fetched again."""

from dataclasses import dataclass, field

from modelpm.errors import ModelpmError
from modelpm.transfer.download import Job
from modelpm.transfer.model import FileProgress

_MEMORY = 3.0  # seconds; older speeds fade with it
_LEAST = 1.0  # seconds; what came in less, in one burst perhaps, says nothing of what comes in a whole one


@dataclass(slots=True)
class Speed:
    """Bytes per second, lately: at first the mean since the first byte, then what fades."""

    value: float = 0.0
    _begun: float = 0.0
    _at: float | None = None
    _received: int = 0

    def look(self, now: float, received: int) -> float:
        """Take how many bytes came until now (seconds, monotonic); return the speed."""
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
class Meter:
    """Progress of one job.

    Attributes:
        job: Whose.
    """

    job: Job
    _shown: int = 0
    _speed: Speed = field(default_factory=Speed)

    def read(self, now: float) -> FileProgress:
        """Return the progress now (seconds, monotonic)."""
        job = self.job
        present, total, received = job.present(), job.total(), job.received()
        self._shown = max(self._shown, present if total is None else min(present, total))
        lately = self._speed.look(now, received)
        error = job.result.message if isinstance(job.result, ModelpmError) else None
        speed = 0.0 if job.result is not None else lately
        return FileProgress(job.fetch.model, job.fetch.path, self._shown, total, speed, job.status, received, error)
