"""A published catalog on a real server: plain files with entity tags, as nginx serves them, and faults on demand."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from werkzeug import Request, Response

from modelpm.api import FolderCatalog
from modelpm.catalog.index import published
from tests.support.cdn import Seen, Server

DAYS = 86_400.0


@dataclass(slots=True)
class Site:
    """A folder on the web.

    Attributes:
        folder: What is served.
        server: Serves it, and can be told to fail.
        seen: Every request that came in.
        under: The path at which the server has the folder.
    """

    folder: Path
    server: Server
    seen: list[Seen]
    under: str = ""

    @property
    def url(self) -> str:
        return self.server.url + self.under

    def publish(self) -> None:
        """Build the index, as after a change."""
        (self.folder / "index.json").write_bytes(published(FolderCatalog(self.folder)))

    def requests(self, *, clear: bool = True) -> list[tuple[str, int]]:
        """Return path and status of the requests since the last look."""
        found = [(each.path, each.status) for each in self.seen]
        if clear:
            self.seen.clear()
        return found


@contextmanager
def serving(folder: Path) -> Iterator[Site]:
    """Serve a folder."""
    seen: list[Seen] = []

    def route(request: Request) -> Response:
        path = folder / request.path.lstrip("/")
        if not path.is_file():
            return Response("Not Found", 404)
        data = path.read_bytes()
        tag = f'"{sha256(data).hexdigest()[:16]}"'
        if request.headers.get("If-None-Match") == tag:
            return Response(status=304)
        return Response(data, headers={"ETag": tag}, mimetype="application/octet-stream")

    server = Server("catalog", route, seen)
    server.start()
    try:
        yield Site(folder, server, seen)
    finally:
        if server.http.is_running():  # a test may have stopped it
            server.http.stop()


def state_of(home: Path, name: str = "acme") -> dict[str, Any]:
    """Return what a home knows of its copy of a catalog."""
    found: dict[str, Any] = json.loads((home / "cache" / "catalogs" / name / "state.json").read_text())
    return found


def aged(home: Path, days: float = 2.0, name: str = "acme") -> None:
    """Make the copy of a catalog look as old as that, and let what failed rest no longer."""
    path = home / "cache" / "catalogs" / name / "state.json"
    state = json.loads(path.read_text())
    state |= {"checked": time.time() - days * DAYS, "failed": 0.0}
    path.write_text(json.dumps(state))
