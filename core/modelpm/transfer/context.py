"""State that the engine, one run and the files of that run share."""

import queue
import secrets
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from modelpm.api.events import Bus
from modelpm.api.kinds import Hasher
from modelpm.api.types import Digest
from modelpm.inspection.inspection import Inspection
from modelpm.network.health import Hosts
from modelpm.store import Store
from modelpm.transfer.bandwidth import Limiter
from modelpm.transfer.model import Fetch, Options
from modelpm.transfer.scheduler import Scheduler


class Hashers(Protocol):
    """Starts digests: the registry of plugins, which loads one when a file needs it."""

    def hasher(self, algorithm: str, size: int | None) -> Hasher:
        """Start a digest by the name of its algorithm and the size of the file."""
        ...


@dataclass(frozen=True, slots=True)
class EngineContext:
    """State that all runs of an engine share.

    Attributes:
        store: Where the files go.
        hashers: Starts digests.
        options: How the engine behaves.
        limiter: The limit on bandwidth.
        hosts: How servers fared.
        bus: Is told the events of every run, on the thread that called for it.
        inspection: Reads headers, to compare files with older ones; None if that is not wanted.
        name: Identifies the engine in its events.
    """

    store: Store
    hashers: Hashers
    options: Options
    limiter: Limiter
    hosts: Hosts
    bus: Bus
    inspection: Inspection | None = None
    name: str = field(default_factory=lambda: secrets.token_hex(8))

    def hasher(self, promised: Digest | None, size: int | None) -> Hasher | None:
        """Start the promised digest; None if SHA-256, which every file gets, is enough."""
        if promised is None or promised.algorithm == "sha256":
            return None
        return self.hashers.hasher(promised.algorithm, size)


@dataclass(frozen=True, slots=True)
class EventQueue:
    """Events on their way from any thread to the calling thread."""

    _queue: "queue.SimpleQueue[tuple[str, Mapping[str, Any]]]" = field(default_factory=queue.SimpleQueue)

    def put(self, fetch: Fetch, action: str, **fields: Any) -> None:
        """Add an event about a file."""
        self._queue.put((action, {"model": fetch.model, "path": fetch.path, **fields}))

    def drain(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield action and fields of each event that is waiting, oldest first."""
        while True:
            try:
                event = self._queue.get_nowait()
            except queue.Empty:
                return
            yield event


@dataclass(frozen=True, slots=True)
class RunContext:
    """State that all files of one run share.

    Attributes:
        engine: What all runs share.
        scheduler: Assigns segments to the pool of connections.
        stopped: Set when the run must end.
        events: Takes events.
    """

    engine: EngineContext
    scheduler: Scheduler
    stopped: threading.Event = field(default_factory=threading.Event)
    events: EventQueue = field(default_factory=EventQueue)
