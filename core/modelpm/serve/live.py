"""What happens, as server-sent events: each client gets what changed since it last looked.

A client that is slow gets fewer states, never old ones, and keeps no download waiting: nothing is queued for it.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

from modelpm.errors import ModelpmError
from modelpm.library.manager import Manager
from modelpm.text.plain import row

_LOOK = 0.3  # seconds between two looks at the queue
_BEAT = 15.0  # seconds after which a silent stream says that it lives


class Live:
    """Looks at the queue while anyone listens.

    Args:
        manager: Whose queue it is.

    Attributes:
        listeners: How many streams are open.
    """

    def __init__(self, manager: Manager) -> None:
        self.listeners = 0
        self._manager = manager
        self._jobs: Mapping[int, dict[str, Any]] = {}
        self._models: Any = None
        self._turn = asyncio.Event()
        self._closed = False

    async def look(self) -> None:
        """Look at the queue again and again, until cancelled."""
        while True:
            if self.listeners:
                with suppress(ModelpmError):  # what cannot be read now is read the next time
                    await self._refresh()
            await asyncio.sleep(_LOOK)

    def close(self) -> None:
        """End every stream."""
        self._closed = True
        self._wake()

    async def stream(self) -> AsyncIterator[str]:
        """Yield events: ``job`` for each job that is new or changed, ``models`` when other models are installed."""
        self.listeners += 1
        try:
            await self._refresh()
            jobs: Mapping[int, dict[str, Any]] = {}
            models = self._models
            yield "retry: 1000\n\n"
            while not self._closed:
                turn = self._turn
                for number, job in self._jobs.items():
                    if jobs.get(number) != job:
                        yield _event("job", job)
                jobs = self._jobs
                if models != self._models:
                    models = self._models
                    yield _event("models", {})
                try:
                    await asyncio.wait_for(turn.wait(), _BEAT)
                except TimeoutError:
                    yield ": still here\n\n"
        finally:
            self.listeners -= 1

    async def _refresh(self) -> None:
        jobs, models = await asyncio.to_thread(self._read)
        if (jobs, models) != (self._jobs, self._models):
            self._jobs, self._models = jobs, models
            self._wake()

    def _read(self) -> tuple[Mapping[int, dict[str, Any]], Any]:
        jobs = {job.id: row(job) for job in self._manager.queue.list()}
        return jobs, tuple((model.name, model.digest) for model in self._manager.environment.read().models)

    def _wake(self) -> None:
        turn, self._turn = self._turn, asyncio.Event()
        turn.set()


def _event(name: str, data: Mapping[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
