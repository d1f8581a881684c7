"""The library for asyncio: the verbs of :class:`modelpm.manager.Manager`, awaitable and cancellable."""

import asyncio
import inspect
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from modelpm.installed import InstalledModel
from modelpm.manager import Manager
from modelpm.project import Project
from modelpm.report import Change, Details, Report, Verified
from modelpm.types import Progress

_T = TypeVar("_T")
_PATIENCE = 1.0  # seconds a cancelled verb has to put its partial down


class AsyncManager:
    """As :class:`modelpm.manager.Manager`; takes the same arguments.

    Each verb runs in a thread of its own. A cancelled one stops within a second and keeps what was downloaded.
    Progress callbacks run in the event loop, and may be coroutine functions.
    """

    def __init__(self, **options: Any) -> None:
        self.manager = Manager(**options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the audit sinks and connections."""
        await asyncio.to_thread(self.manager.close)

    async def install(
        self, spec: str, *, on_progress: Callable[[Progress], Any] | None = None, **options: Any
    ) -> InstalledModel:
        """As :meth:`Manager.install`."""
        shown = _in_loop(on_progress)
        return await _cancellable(
            lambda cancelled: self.manager.install(spec, on_progress=shown(cancelled), cancelled=cancelled, **options)
        )

    async def install_all(
        self, specs: Sequence[str], *, on_progress: Callable[[Progress], Any] | None = None, **options: Any
    ) -> Report:
        """As :meth:`Manager.install_all`."""
        shown = _in_loop(on_progress)
        return await _cancellable(
            lambda cancelled: self.manager.install_all(
                specs, on_progress=shown(cancelled), cancelled=cancelled, **options
            )
        )

    async def verify(self, names: Sequence[str] = (), **options: Any) -> tuple[Verified, ...]:
        """As :meth:`Manager.verify`."""
        return await _cancellable(lambda cancelled: self.manager.verify(names, cancelled=cancelled, **options))

    async def uninstall(self, name: str, **options: Any) -> Change:
        """As :meth:`Manager.uninstall`."""
        return await asyncio.to_thread(self.manager.uninstall, name, **options)

    async def uninstall_all(self, names: Sequence[str], **options: Any) -> Report:
        """As :meth:`Manager.uninstall_all`."""
        return await asyncio.to_thread(self.manager.uninstall_all, names, **options)

    async def available(self) -> tuple[str, ...]:
        """As :meth:`Manager.available`."""
        return await asyncio.to_thread(self.manager.available)

    async def search(self, text: str = "", **options: Any) -> tuple[Any, ...]:
        """As :meth:`Manager.search`."""
        return await asyncio.to_thread(self.manager.search, text, **options)

    async def show(self, spec: str) -> Details:
        """As :meth:`Manager.show`."""
        return await asyncio.to_thread(self.manager.show, spec)

    async def installed(self) -> tuple[InstalledModel, ...]:
        """As :meth:`Manager.installed`."""
        return await asyncio.to_thread(self.manager.installed)

    async def is_installed(self, model: str) -> bool:
        """As :meth:`Manager.is_installed`."""
        return await asyncio.to_thread(self.manager.is_installed, model)

    async def path(self, name: str, file: str | None = None, **options: Any) -> Path:
        """As :meth:`Manager.path`."""
        return await asyncio.to_thread(self.manager.path, name, file, **options)

    async def project(self, directory: str | Path = ".", **options: Any) -> "AsyncProject":
        """As :meth:`Manager.project`."""
        return AsyncProject(await asyncio.to_thread(self.manager.project, directory, **options))

    async def init(self, directory: str | Path = ".") -> "AsyncProject":
        """As :meth:`Manager.init`."""
        return AsyncProject(await asyncio.to_thread(self.manager.init, directory))

    async def upgrade(
        self, names: Sequence[str] = (), *, on_progress: Callable[[Progress], Any] | None = None, **options: Any
    ) -> Report:
        """As :meth:`Manager.upgrade`."""
        shown = _in_loop(on_progress)
        return await _cancellable(
            lambda cancelled: self.manager.upgrade(names, on_progress=shown(cancelled), cancelled=cancelled, **options)
        )

    async def status(self, model_id: str) -> Progress | None:
        """As :meth:`Manager.status`."""
        return await asyncio.to_thread(self.manager.status, model_id)


class AsyncProject:
    """As :class:`modelpm.project.Project`; a cancelled verb leaves manifest and lock as they were."""

    def __init__(self, project: Project) -> None:
        self.project = project

    async def add(
        self, specs: Sequence[str], *, on_progress: Callable[[Progress], Any] | None = None, **options: Any
    ) -> Report:
        """As :meth:`Project.add`."""
        shown = _in_loop(on_progress)
        return await _cancellable(
            lambda cancelled: self.project.add(specs, on_progress=shown(cancelled), cancelled=cancelled, **options)
        )

    async def remove(self, names: Sequence[str], **options: Any) -> Report:
        """As :meth:`Project.remove`."""
        return await asyncio.to_thread(self.project.remove, names, **options)

    async def lock(self, *, on_progress: Callable[[Progress], Any] | None = None, **options: Any) -> Report:
        """As :meth:`Project.lock`."""
        shown = _in_loop(on_progress)
        return await _cancellable(
            lambda cancelled: self.project.lock(on_progress=shown(cancelled), cancelled=cancelled, **options)
        )

    async def sync(self, *, on_progress: Callable[[Progress], Any] | None = None, **options: Any) -> Report:
        """As :meth:`Project.sync`."""
        shown = _in_loop(on_progress)
        return await _cancellable(
            lambda cancelled: self.project.sync(on_progress=shown(cancelled), cancelled=cancelled, **options)
        )

    async def upgrade(
        self, names: Sequence[str] = (), *, on_progress: Callable[[Progress], Any] | None = None, **options: Any
    ) -> Report:
        """As :meth:`Project.upgrade`."""
        shown = _in_loop(on_progress)
        return await _cancellable(
            lambda cancelled: self.project.upgrade(names, on_progress=shown(cancelled), cancelled=cancelled, **options)
        )

    async def installed(self) -> tuple[InstalledModel, ...]:
        """As :meth:`Project.installed`."""
        return await asyncio.to_thread(self.project.installed)

    async def path(self, name: str, file: str | None = None, **options: Any) -> Path:
        """As :meth:`Project.path`."""
        return await asyncio.to_thread(self.project.path, name, file, **options)


async def _cancellable(call: Callable[[threading.Event], _T]) -> _T:
    """Run a verb in a thread; pass a cancellation on to it, and wait until it has put its partial down."""
    cancelled = threading.Event()
    work = asyncio.ensure_future(asyncio.to_thread(call, cancelled))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        cancelled.set()
        await asyncio.wait([work], timeout=_PATIENCE)
        if work.done() and not work.cancelled():
            work.exception()  # the verb's own word for it; the caller gets the cancellation
        raise


def _in_loop(
    callback: Callable[[Progress], Any] | None,
) -> Callable[[threading.Event], Callable[[Progress], None] | None]:
    """Return what makes of a callback one that a worker thread may call: it runs in the loop, in order."""
    loop = asyncio.get_running_loop()

    async def call(value: Progress) -> None:
        answer = callback(value) if callback else None
        if inspect.isawaitable(answer):
            await answer

    def shown(cancelled: threading.Event) -> Callable[[Progress], None] | None:
        def hand_over(value: Progress) -> None:
            future = asyncio.run_coroutine_threadsafe(call(value), loop)
            while not cancelled.is_set():  # a slow callback must not keep a cancelled verb from stopping
                try:
                    return future.result(timeout=0.1)
                except TimeoutError:
                    if future.done():  # the callback's own
                        raise
            return None

        return hand_over if callback else None

    return shown
