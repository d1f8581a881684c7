"""What is shown of a file: never goes back, whatever has to be fetched again."""

from dataclasses import dataclass

from modelpm.errors import ModelpmError
from modelpm.transfer.job import Job
from modelpm.transfer.values import FileProgress

_MEMORY = 3.0  # seconds; older speeds fade with it


@dataclass(slots=True)
class Meter:
    """Progress of one job.

    Attributes:
        job: Whose.
    """

    job: Job
    _shown: int = 0
    _speed: float = 0.0
    _received: int = 0
    _at: float | None = None

    def read(self, now: float) -> FileProgress:
        """Return the progress now (seconds, monotonic)."""
        job = self.job
        present, total, received = job.present(), job.total(), job.received()
        self._shown = max(self._shown, present if total is None else min(present, total))
        if self._at is not None and now > self._at:
            share = min(1.0, (now - self._at) / _MEMORY) if self._speed else 1.0
            self._speed += share * ((received - self._received) / (now - self._at) - self._speed)
        self._at, self._received = now, received
        error = job.result.message if isinstance(job.result, ModelpmError) else None
        speed = 0.0 if job.result is not None else self._speed
        return FileProgress(job.fetch.model, job.fetch.path, self._shown, total, speed, job.status, error)
