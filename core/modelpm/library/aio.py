"""The library for asyncio: the verbs of :class:`modelpm.library.manager.Manager`, awaitable and cancellable."""

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

from modelpm.api.types import Progress
from modelpm.library.catalog_list import CatalogVerbs
from modelpm.library.maintenance import Maintenance
from modelpm.library.manager import Manager
from modelpm.library.project import Project
from modelpm.library.queue import Queue

_T_co = TypeVar("_T_co", covariant=True)
_P = ParamSpec("_P")
_R = TypeVar("_R")
_PATIENCE = 1.0  # seconds that a cancelled verb has to save its partial


class _Async(Generic[_T_co]):
    """A library object whose verbs are awaited here."""

    def __init__(self, own: _T_co) -> None:
        self._own = own


_Verb = Callable[Concatenate[_T_co, _P], _R]
_AsyncVerb = Callable[Concatenate[_Async[_T_co], _P], Coroutine[Any, Any, _R]]


def _awaitable(verb: _Verb[_T_co, _P, _R]) -> _AsyncVerb[_T_co, _P, _R]:
    """Return a coroutine function that runs the verb in a thread; a cancelled caller stops waiting for it."""

    @wraps(verb)
    async def run(self: _Async[_T_co], /, *args: _P.args, **options: _P.kwargs) -> _R:
        return await asyncio.to_thread(verb, self._own, *args, **options)

    return run


def _cancellable(verb: _Verb[_T_co, _P, _R]) -> _AsyncVerb[_T_co, _P, _R]:
    """Return the same for a verb that takes ``cancelled``, and set that event when the task is cancelled.

    The task waits until the verb has saved its partial. The callback for progress runs in the event loop.
    """

    @wraps(verb)
    async def run(self: _Async[_T_co], /, *args: _P.args, **options: _P.kwargs) -> _R:
        given: dict[str, Any] = dict(options)
        cancelled = given["cancelled"] = given.get("cancelled") or threading.Event()
        if given.get("on_progress") is not None:
            given["on_progress"] = _in_loop(given["on_progress"], cancelled)
        work = asyncio.ensure_future(asyncio.to_thread(verb, self._own, *args, **given))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            cancelled.set()
            await asyncio.wait([work], timeout=_PATIENCE)
            if work.done() and not work.cancelled():
                work.exception()  # mark the verb's error as read; the caller gets the cancellation
            raise

    return run


class AsyncManager(_Async[Manager]):
    """The async form of :class:`modelpm.library.manager.Manager`, with the same arguments.

    Each verb runs in its own thread. A cancelled verb stops within a second and keeps the downloaded bytes.
    Progress callbacks run in the event loop, and may be coroutine functions.

    Attributes:
        manager: The manager.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(Manager(**options))
        self.manager = self._own

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    close = _awaitable(Manager.close)
    available = _awaitable(Manager.available)
    search = _awaitable(Manager.search)
    show = _awaitable(Manager.show)
    installed = _awaitable(Manager.installed)
    list = _awaitable(Manager.list)
    newer = _awaitable(Manager.newer)
    is_installed = _awaitable(Manager.is_installed)
    name_of = _awaitable(Manager.name_of)
    path = _awaitable(Manager.path)
    status = _awaitable(Manager.status)
    install = _cancellable(Manager.install)
    uninstall = _awaitable(Manager.uninstall)
    verify = _cancellable(Manager.verify)
    outdated = _awaitable(Manager.outdated)
    upgrade = _cancellable(Manager.upgrade)
    rename = _awaitable(Manager.rename)
    apps = _awaitable(Manager.apps)
    link = _awaitable(Manager.link)
    unlink = _awaitable(Manager.unlink)
    adopt = _cancellable(Manager.adopt)
    why = _awaitable(Manager.why)
    meant = _awaitable(Manager.meant)
    named_by_alias = _awaitable(Manager.named_by_alias)
    say_unkept = _awaitable(Manager.say_unkept)
    audit_catalog = _awaitable(Manager.audit_catalog)
    audit_logs = _awaitable(Manager.audit_logs)
    export = _awaitable(Manager.export)
    bundle = _awaitable(Manager.bundle)
    push = _cancellable(Manager.push)
    sync_from = _cancellable(Manager.sync_from)
    import_ = _cancellable(Manager.import_)

    async def project(self, directory: str | Path = ".", *, frozen: bool = False) -> "AsyncProject":
        """As :meth:`Manager.project`."""
        return AsyncProject(await asyncio.to_thread(self.manager.project, directory, frozen=frozen))

    async def find_project(self, directory: str | Path = ".", *, frozen: bool = False) -> "AsyncProject | None":
        """As :meth:`Manager.find_project`."""
        found = await asyncio.to_thread(self.manager.find_project, directory, frozen=frozen)
        return None if found is None else AsyncProject(found)

    async def init(self, directory: str | Path = ".") -> "AsyncProject":
        """As :meth:`Manager.init`."""
        return AsyncProject(await asyncio.to_thread(self.manager.init, directory))

    @property
    def queue(self) -> "AsyncQueue":
        """As :attr:`Manager.queue`."""
        return AsyncQueue(self.manager.queue)

    @property
    def maintenance(self) -> "AsyncMaintenance":
        """As :attr:`Manager.maintenance`."""
        return AsyncMaintenance(self.manager.maintenance)

    @property
    def catalog_list(self) -> "AsyncCatalogs":
        """As :attr:`Manager.catalog_list`."""
        return AsyncCatalogs(self.manager.catalog_list)


class AsyncQueue(_Async[Queue]):
    """The async form of :class:`modelpm.library.queue.Queue`."""

    add = _awaitable(Queue.add)
    list = _awaitable(Queue.list)
    get = _awaitable(Queue.get)
    pause = _awaitable(Queue.pause)
    resume = _awaitable(Queue.resume)
    cancel = _awaitable(Queue.cancel)
    run = _cancellable(Queue.run)


class AsyncCatalogs(_Async[CatalogVerbs]):
    """The async form of :class:`modelpm.library.catalog_list.CatalogVerbs`."""

    list = _awaitable(CatalogVerbs.list)
    add = _awaitable(CatalogVerbs.add)
    remove = _awaitable(CatalogVerbs.remove)
    trust = _awaitable(CatalogVerbs.trust)
    update = _awaitable(CatalogVerbs.update)
    new_entry = _awaitable(CatalogVerbs.new_entry)
    import_gallery = _awaitable(CatalogVerbs.import_gallery)
    build = _awaitable(CatalogVerbs.build)
    begin = _awaitable(CatalogVerbs.begin)
    sign = _awaitable(CatalogVerbs.sign)
    refresh = _awaitable(CatalogVerbs.refresh)


class AsyncMaintenance(_Async[Maintenance]):
    """The async form of :class:`modelpm.library.maintenance.Maintenance`."""

    prune = _awaitable(Maintenance.prune)
    doctor = _awaitable(Maintenance.doctor)
    move_store = _cancellable(Maintenance.move_store)
    new_plugin = _awaitable(Maintenance.new_plugin)
    sizes = _awaitable(Maintenance.sizes)
    free_space = _awaitable(Maintenance.free_space)
    usable_memory = _awaitable(Maintenance.usable_memory)
    cache_size = _awaitable(Maintenance.cache_size)
    clean_cache = _awaitable(Maintenance.clean_cache)


class AsyncProject(_Async[Project]):
    """The async form of :class:`modelpm.library.project.Project`. A cancelled verb does not change manifest or lock.

    Attributes:
        project: The project.
    """

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.project = project

    installed = _awaitable(Project.installed)
    list = _awaitable(Project.list)
    newer = _awaitable(Project.newer)
    is_installed = _awaitable(Project.is_installed)
    name_of = _awaitable(Project.name_of)
    path = _awaitable(Project.path)
    drift = _awaitable(Project.drift)
    check_lock = _awaitable(Project.check_lock)
    digest = _awaitable(Project.digest)
    add = _cancellable(Project.add)
    remove = _awaitable(Project.remove)
    lock = _cancellable(Project.lock)
    sync = _cancellable(Project.sync)
    outdated = _awaitable(Project.outdated)
    upgrade = _cancellable(Project.upgrade)


def _in_loop(callback: Callable[[Progress], Any], cancelled: threading.Event) -> Callable[[Progress], None]:
    """Return a function for worker threads, which runs the callback in the event loop, in order."""
    loop = asyncio.get_running_loop()

    async def call(value: Progress) -> None:
        answer = callback(value)
        if inspect.isawaitable(answer):
            await answer

    def hand_over(value: Progress) -> None:
        future = asyncio.run_coroutine_threadsafe(call(value), loop)
        while not cancelled.is_set():  # a slow callback must not keep a cancelled verb from stopping
            try:
                return future.result(timeout=0.1)
            except TimeoutError:
                if future.done():  # the callback raised it
                    raise
        return None

    return hand_over
