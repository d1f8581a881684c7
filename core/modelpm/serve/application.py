"""The service as ``modelpm serve`` runs it: the API, the page, and the guard around both."""

import base64
import hashlib
import re
import secrets
from collections.abc import Collection
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from socket import AF_INET, AF_INET6, create_server, socket

import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

import modelpm
from modelpm.disk import make_folder
from modelpm.disk.atomic import write_atomic
from modelpm.disk.reading import read_text
from modelpm.errors import Code, UsageError
from modelpm.library.manager import Manager
from modelpm.serve import schema
from modelpm.serve.guard import Asgi, Guard
from modelpm.serve.live import Live
from modelpm.serve.problems import of_framework
from modelpm.serve.routes import router

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_EVERYWHERE = {"0.0.0.0", "::", "[::]"}  # noqa: S104 - compared
_GRACE = 3  # seconds for streams to end
_TOKEN = re.compile(r"[!-~]{16,200}")
_LARGEST_TOKEN = 1024


def application(manager: Manager, *, hosts: Collection[str], token: str = "", live: Live | None = None) -> Asgi:
    """Return the whole service.

    Args:
        manager: Installs, lists and deletes.
        hosts: Names, without ports, under which it may be reached.
        token: What a client must know; empty for none.
        live: As of :func:`modelpm.serve.routes.router`.
    """
    app = FastAPI(
        title="modelpm", version=modelpm.__version__, description="Install, list, verify and delete model weights."
    )
    app.add_exception_handler(HTTPException, of_framework)
    app.include_router(router(manager, live=live))
    page = files("modelpm.serve").joinpath("page.html").read_text(encoding="utf-8")
    policy = _policy(page)

    @app.get("/healthz")
    def health() -> schema.Health:
        """Say that the service is up; needs no token."""
        return schema.Health(version=modelpm.__version__)

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    def index() -> HTMLResponse:
        return HTMLResponse(page, headers={"Content-Security-Policy": policy, "Cache-Control": "no-cache"})

    return Guard(app, hosts, token)


class _Server(uvicorn.Server):
    """Ends the streams before it waits for connections to end."""

    def __init__(self, config: uvicorn.Config, live: Live) -> None:
        super().__init__(config)
        self._live = live

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Stop."""
        self._live.close()
        await super().shutdown(sockets)


class Service:
    """The service on a port.

    Args:
        manager: Installs, lists and deletes.
        host: The address to listen at.
        port: The port; 0 for a free one.
        token: What a client must know; empty for none.

    Attributes:
        url: Where it is, with the token.

    Raises:
        UsageError: Nothing keeps strangers out, or the address cannot be used.
    """

    def __init__(self, manager: Manager, host: str, port: int, token: str) -> None:
        if not token and host not in LOOPBACK:
            raise UsageError(
                "a service without a token listens at this machine's own address only",
                hints=["leave out --no-token, or --host"],
            )
        everywhere = host in _EVERYWHERE
        hosts = {*LOOPBACK, *manager.config["serve.hosts"], *(() if everywhere else (host,))}
        bare = host.strip("[]")
        try:  # listening from now on: who opens the link at once waits for the start
            self._socket = create_server((bare, port), family=AF_INET6 if ":" in bare else AF_INET)
        except OSError as error:
            raise UsageError(
                f"cannot listen at {host}:{port}: {error.strerror}",
                hints=["choose another port: modelpm serve --port 0"],
            ) from error
        live = Live(manager)
        config = uvicorn.Config(
            application(manager, hosts=hosts, token=token, live=live),
            log_level="warning",
            access_log=False,  # addresses hold the token
            server_header=False,
            timeout_graceful_shutdown=_GRACE,
            lifespan="on",
        )
        self._server = _Server(config, live)
        place = f"http://{LOOPBACK[0] if everywhere else host}:{self._socket.getsockname()[1]}/"
        self.url = f"{place}?token={token}" if token else place

    def run(self) -> None:
        """Serve until a signal comes: streams end, downloads put their partials down, their jobs are queued again."""
        with suppress(KeyboardInterrupt):  # the signal, told once more when all is done
            self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """End :meth:`run`, from another thread."""
        self._server.should_exit = True


def token_of(path: Path | None) -> str:
    """Return the token in a file, which is made where it is missing; without a file, a new one.

    Raises:
        UsageError: The file holds no token.
    """
    if path is None:
        return secrets.token_urlsafe(32)
    text = read_text(path, _LARGEST_TOKEN, code=Code.USAGE)
    if text is None:
        token = secrets.token_urlsafe(32)
        make_folder(path.parent, below=path.parent)
        write_atomic(path, f"{token}\n".encode(), mode=0o600)
        return token
    if not _TOKEN.fullmatch(text.strip()):
        raise UsageError(
            f"{path} holds no token: 16 to 200 visible characters", hints=["delete it, and modelpm writes a new one"]
        )
    return text.strip()


def _policy(page: str) -> str:
    """Return the content security policy of the page: its own script and style, and nothing else."""

    def allowed(tag: str) -> str:
        found = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        hashes = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in found)
        return " ".join(f"'sha256-{value}'" for value in hashes)

    return (
        f"default-src 'none'; script-src {allowed('script')}; style-src {allowed('style')}; connect-src 'self';"
        " img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
