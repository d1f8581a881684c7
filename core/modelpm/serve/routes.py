"""The routes of the API, as a router that an application can mount."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from threading import Event, Thread
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from fastapi.routing import APIRoute

from modelpm.errors import ModelpmError
from modelpm.library.manager import Manager
from modelpm.network.private import is_private
from modelpm.serve import problems, schema
from modelpm.serve.live import Live
from modelpm.serve.problems import ProblemError, documented
from modelpm.serve.views import entry_of, row_of

PREFIX = "/api/v1"
_MOST_LISTENERS = 500
_STOPPING = 15.0  # seconds that downloads have to put their partials down
_AGAIN = 1.0  # seconds between two tries to run the queue
_LOG = logging.getLogger(__name__)

Name = Annotated[str, Path(min_length=1, max_length=200)]
JobId = Annotated[schema.JobId, Path()]


def no_user() -> str:
    """Return the user where the application knows none: the one who runs the service."""
    return ""


def router(manager: Manager, user: Callable[..., Any] = no_user, live: Live | None = None) -> APIRouter:
    """Return the API of a manager, all under ``/api/v1``; its jobs run while the application runs.

    Args:
        manager: Installs, lists and deletes.
        user: A FastAPI dependency that returns who is named in the audit log; what it raises keeps a stranger out.
        live: What streams tell; a server that ends them before it stops has it.
    """
    work = _Work(manager, live or Live(manager))
    api = APIRouter(prefix=PREFIX, lifespan=work.lifespan, dependencies=[Depends(user)], route_class=_Route)
    _add_models(api, manager, user)
    _add_jobs(api, manager, user)
    _add_looks(api, manager)
    return api


def _named(who: object) -> str | None:
    """Return the user as the audit log has one; None for the one who runs the service."""
    return str(who or "") or None


class _Route(APIRoute):
    """A route that answers errors with problem+json, in whatever application it is mounted."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what handles a request."""
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except (ModelpmError, RequestValidationError, ProblemError) as error:
                return problems.of(error)

        return handled


class _Work:
    """Runs the queue on a thread, and looks at it for the streams.

    Args:
        manager: Whose queue it is.
        live: Looks at it.
    """

    def __init__(self, manager: Manager, live: Live) -> None:
        self._manager, self._live = manager, live

    @asynccontextmanager
    async def lifespan(self, _app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        """Run the queue while the application runs; what runs at its end is queued again, and keeps its bytes."""
        stopped = Event()
        thread = Thread(target=self._run_jobs, args=(stopped,), daemon=True)
        thread.start()
        looking = asyncio.create_task(self._live.look())
        try:
            yield {"live": self._live}
        finally:
            self._live.close()
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking
            stopped.set()
            await asyncio.to_thread(thread.join, _STOPPING)

    def _run_jobs(self, stopped: Event) -> None:
        """Run jobs until the end; while the disk of the queue refuses, say so once, and look again and again."""
        said = ""
        while not stopped.is_set():
            try:
                self._manager.queue.run(forever=True, cancelled=stopped)
            except ModelpmError as error:
                if error.message != said:
                    _LOG.error("the jobs of the queue do not run: %s", error.message)
                said = error.message
                stopped.wait(_AGAIN)


def _add_models(api: APIRouter, manager: Manager, user: Callable[..., Any]) -> None:
    @api.get("/models")
    def models() -> schema.Items[schema.Model]:
        """List what is installed."""
        return schema.Items(items=[row_of(schema.Model, model) for model in manager.installed()])

    @api.get("/models/{name}", responses=documented(404, 422))
    def model(name: Name) -> schema.Model:
        """Show one installed model."""
        found = manager.name_of(name)
        for each in manager.installed():
            if each.name == found:
                return row_of(schema.Model, each)
        raise ProblemError(HTTPStatus.NOT_FOUND, "not_installed", "no installed model has this name")

    @api.delete("/models/{name}", responses=documented(404, 409, 422))
    def delete(name: Name, who: Annotated[Any, Depends(user)]) -> schema.Freed:
        """Uninstall a model, and free the bytes that nothing else needs."""
        (change,) = manager.uninstall(name, user=_named(who)).changes
        return schema.Freed(name=change.name, freed=change.freed, note=change.note)

    @api.post("/models/{name}/verify", responses=documented(404, 422, 503))
    def verify(
        name: Name, who: Annotated[Any, Depends(user)], *, quick: bool = False, repair: bool = False
    ) -> schema.Items[schema.Checked]:
        """Hash what is stored again; repair what is damaged, if that is asked for."""
        result = manager.verify([name], quick=quick, repair=repair, user=_named(who))
        return schema.Items(
            items=[row_of(schema.Checked, checked, repaired=checked.repaired) for checked in result.rows]
        )


def _add_jobs(api: APIRouter, manager: Manager, user: Callable[..., Any]) -> None:
    queue = manager.queue

    @api.get("/jobs")
    def jobs() -> schema.Items[schema.Job]:
        """List the jobs; what ended is listed for 30 days."""
        return schema.Items(items=[row_of(schema.Job, job) for job in queue.list()])

    @api.post("/jobs", status_code=HTTPStatus.ACCEPTED, responses=documented(403, 404, 409, 422))
    def install(wanted: schema.Wanted, who: Annotated[Any, Depends(user)], response: Response) -> schema.Job:
        """Install a model: a job is queued, and runs as soon as it may."""
        _check(manager, wanted)
        job, is_new = queue.add(**wanted.model_dump(), user=_named(who))
        if not is_new:
            raise ProblemError(
                HTTPStatus.CONFLICT, "name_taken", f"job {job.id} installs {job.spec} already", job=job.id
            )
        response.headers["Location"] = f"{PREFIX}/jobs/{job.id}"
        return row_of(schema.Job, job)

    @api.get("/jobs/{id}", responses=documented(404, 422))
    def job(id: JobId) -> schema.Job:  # noqa: A002 - as the contract names it
        """Show one job."""
        return row_of(schema.Job, queue.get(id))

    @api.delete("/jobs/{id}", responses=documented(404, 422))
    def cancel(id: JobId) -> schema.Job:  # noqa: A002 - as above
        """Cancel a job; what was downloaded is kept until `prune`."""
        queue.cancel([id])
        return row_of(schema.Job, queue.get(id))

    @api.post("/jobs/{id}/pause", responses=documented(404, 422))
    def pause(id: JobId) -> schema.Job:  # noqa: A002 - as above
        """Pause a job."""
        queue.pause([id])
        return row_of(schema.Job, queue.get(id))

    @api.post("/jobs/{id}/resume", responses=documented(404, 422))
    def resume(id: JobId) -> schema.Job:  # noqa: A002 - as above
        """Queue a job again that is paused, failed or cancelled."""
        queue.resume([id])
        return row_of(schema.Job, queue.get(id))


def _add_looks(api: APIRouter, manager: Manager) -> None:
    @api.get("/catalog", responses=documented(422))
    def catalog(
        q: Annotated[str, Query(max_length=200)] = "", limit: Annotated[int, Query(ge=1, le=500)] = 50
    ) -> schema.Items[schema.Entry]:
        """Search the catalogs, best first."""
        installed, memory = manager.installed(), manager.maintenance.usable_memory()
        found = []
        for row in manager.search(q).rows[:limit]:
            with suppress(ModelpmError):  # an entry elsewhere that is not here, and cannot be had now
                entry = manager.catalogs.find(row.id, row.catalog, choosing=True)
                found.append(entry_of(entry, installed, memory))
        return schema.Items(items=found)

    @api.get("/disk")
    def disk() -> schema.Disk:
        """Say what takes the space of the store."""
        store = manager.config.paths.store
        shares = [row_of(schema.Share, share) for share in manager.maintenance.sizes()]
        free = manager.maintenance.free_space()
        return schema.Disk(path=str(store), bytes=sum(share.bytes for share in shares), free=free, items=shares)

    @api.get("/events", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
    async def events(request: Request) -> StreamingResponse:
        """Stream what happens as server-sent events: ``job`` with a job's row, ``models`` when those changed."""
        live: Live = request.state.live
        if live.listeners >= _MOST_LISTENERS:
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "busy", "too many streams are open", "close one")
        return StreamingResponse(live.stream(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


def _check(manager: Manager, wanted: schema.Wanted) -> None:
    """Refuse what a service must not do for those who may use it: read files, ask private servers, admit code."""
    scheme, separator, _ = wanted.spec.partition("://")
    schemes = manager.config["serve.schemes"]
    if separator and scheme.lower() not in schemes:
        raise ProblemError(
            HTTPStatus.FORBIDDEN,
            "refused",
            f"this service takes no {scheme[:20]}:// references",
            f"allowed are catalogs and {', '.join(schemes)}: `modelpm config set serve.schemes …`",
        )
    if separator and is_private(wanted.spec.replace("oci://", "https://", 1)):
        raise ProblemError(HTTPStatus.FORBIDDEN, "refused", "this service takes nothing from private addresses")
    allowed = manager.config["serve.allow"]
    for word, asked in (("pickle", wanted.allow_pickle), ("code", wanted.allow_code)):
        if asked and word not in allowed:
            raise ProblemError(
                HTTPStatus.FORBIDDEN,
                "refused",
                f"this service installs no models with {word}",
                f"`modelpm config set serve.allow {word}` on the machine that serves",
            )
