"""A backend that fetches models in the background: an ASGI application without a framework.

``uvicorn --app-dir examples backend:app``, then ``curl -N localhost:8000/models/tiny``: one line of JSON for each step,
the path last. A client that goes away cancels the download; what came is kept, and the next request resumes.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

import modelpm

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MODELS = frozenset({"tiny"})


class Backend:
    """The application: one manager for its life, a task for each client.

    Args:
        models: What clients may ask for; what they send is never a spec.
        options: Of the manager.
    """

    def __init__(self, models: frozenset[str] = MODELS, **options: Any) -> None:
        self.models = models
        self.options = options
        self.manager: modelpm.AsyncManager | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection, as the ASGI specification says."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            name = scope["path"].removeprefix("/models/")
            if name in self.models:
                await self._stream(name, receive, send)
            else:
                await _answer(send, 404, b'{"error": "no such model"}\n')

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with modelpm.AsyncManager(**self.options) as self.manager:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _stream(self, name: str, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"application/jsonl")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        lines = self._lines(name)
        sending = asyncio.ensure_future(_send_all(lines, send))
        leaving = asyncio.ensure_future(_left(receive))
        await asyncio.wait([sending, leaving], return_when=asyncio.FIRST_COMPLETED)
        for task in (sending, leaving):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _lines(self, name: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the progress of an install, and its end."""
        assert self.manager is not None  # noqa: S101 - the server starts the lifespan first
        steps: asyncio.Queue[modelpm.Progress] = asyncio.Queue()
        work = asyncio.ensure_future(self.manager.install(name, on_progress=steps.put))
        try:
            while not work.done() or not steps.empty():
                with suppress(TimeoutError):
                    step = await asyncio.wait_for(steps.get(), 0.05)
                    yield {"status": str(step.status), "percentage": step.percentage, "speed": step.speed}
            yield {"path": str((await work).path)}
        except modelpm.ModelpmError as error:
            yield {"error": str(error), "code": error.code, "hints": list(error.hints)}
        finally:
            work.cancel()


async def _send_all(lines: AsyncIterator[dict[str, Any]], send: Send) -> None:
    async for line in lines:
        body = json.dumps(line).encode() + b"\n"
        await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _left(receive: Receive) -> None:
    """Return when the client has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answer(send: Send, status: int, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})


app = Backend()
