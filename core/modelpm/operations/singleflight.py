"""Installs under way in this process: one thread at a time installs a model, and waiting threads see its progress."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from modelpm.errors import Interrupted

if TYPE_CHECKING:  # start-up
    from modelpm.api.events import Bus, Happening
    from modelpm.api.types import Progress

_LOOK = 0.1  # seconds between two reads of the other thread's progress


class Flights:
    """The latest progress of each model, and a lock for each. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._progress: dict[str, Progress] = {}

    def latest(self, name: str) -> "Progress | None":
        """Return the last progress of a model."""
        return self._progress.get(name)

    def take(self, happening: "Happening") -> None:
        """Keep the last progress of a model; subscribed to what happens."""
        from modelpm.api.events import Progressed  # start-up

        if isinstance(happening, Progressed):
            progress = happening.values[0]
            self._progress[progress.model_id] = progress

    def forget(self, name: str) -> None:
        """Forget the progress of a model."""
        self._progress.pop(name, None)

    @contextmanager
    def alone(self, name: str, cancelled: threading.Event, bus: "Bus") -> Iterator[None]:
        """Run the block as the only thread that installs a model.

        Args:
            name: The model.
            cancelled: Ends the wait.
            bus: Gets the progress of the other thread.

        Raises:
            Interrupted: Cancelled while waiting.
        """
        with self._lock:
            flight = self._locks.setdefault(name, threading.Lock())
        while not flight.acquire(timeout=_LOOK):
            if cancelled.is_set():
                raise Interrupted(f"cancelled while another thread installs `{name}`")
            progress = self.latest(name)
            if progress is not None:
                bus.progress([progress])
        try:
            yield
        finally:
            flight.release()
