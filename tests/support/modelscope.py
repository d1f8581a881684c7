"""A ModelScope on this machine, as its own client asks for it and as its answers are known to look.

That the client of ModelScope downloads from it is held by a test. The real one was never asked.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import unquote

from werkzeug import Request, Response

from tests.support.cdn import Cdn, Seen, Server, ranged
from tests.support.models import holding

_API = "/api/v1/models/"


def commit_of(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


@dataclass(slots=True)
class Repo:
    """One repository: the files at each commit, the newest last."""

    name: str
    private: bool
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    @property
    def head(self) -> str:
        return list(self.commits)[-1]

    def at(self, revision: str) -> str:
        """Return the commit of a revision; empty where there is none."""
        return self.head if revision == "master" else revision if revision in self.commits else ""

    def last_change(self, commit: str, path: str) -> tuple[str, int]:
        """Return the commit that a file is as it is since, and its number."""
        known = list(self.commits)
        at = known.index(commit)
        while at and self.commits[known[at - 1]].get(path) == self.commits[commit][path]:
            at -= 1
        return known[at], at


@dataclass(slots=True)
class ModelScope:
    """The service and its storage.

    Attributes:
        tokens: What opens private repositories.
        truncated: Entries of a listing that are told; the rest is left out in silence.
        names_head: How much the service says of the newest commit: ``Id``, ``ShortId`` or nothing.
    """

    tokens: set[str] = field(default_factory=set)
    truncated: int = 3000
    names_head: str = "ShortId"
    seen: list[Seen] = field(default_factory=list)
    repos: dict[str, Repo] = field(default_factory=dict)
    cdn: Cdn = field(default_factory=Cdn)
    server: Server = field(init=False)
    storage: Server = field(init=False)

    def __post_init__(self) -> None:
        self.server = Server("modelscope", self._route, self.seen)
        self.storage = Server("cdn", self.cdn.route, self.seen)

    @property
    def endpoint(self) -> str:
        return self.server.url

    def add(self, name: str, files: Mapping[str, bytes], *, private: bool = False) -> str:
        """Publish files as the newest commit, and return that."""
        files = {path: holding(path, data) for path, data in files.items()}
        repo = self.repos.setdefault(name, Repo(name, private))
        commit = commit_of(repr((name, len(repo.commits), sorted(files.items()))))
        repo.commits[commit] = dict(files)
        for data in files.values():
            self.cdn.put(hashlib.sha256(data).hexdigest(), data)
        return commit

    def requests(self, server: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.server == server]

    def _route(self, request: Request) -> Response:
        path = request.path
        if path.startswith("/models/"):
            name, _, rest = path.removeprefix("/models/").partition("/resolve/")
            revision, _, file = rest.partition("/")
            return self._file(request, name, revision, file)
        if not path.startswith(_API):
            return Response("{}", 404)
        owner, repo, *verb = path.removeprefix(_API).split("/", 2)
        name, asked = f"{owner}/{repo}", request.args
        if verb == ["repo/files"]:
            return self._files(request, name)
        if verb == ["repo"]:
            return self._file(request, name, asked["Revision"], asked["FilePath"])
        found = self._repo(request, name)
        if isinstance(found, Response):
            return found
        revisions = {"RevisionMap": {"Branches": [{"Revision": "master"}], "Tags": []}}
        return envelope(revisions if verb else {"Name": repo, "Path": owner, "License": "apache-2.0"})

    def _repo(self, request: Request, name: str) -> Repo | Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        repo = self.repos.get(name)
        if repo is None:
            return refusal(404, 10010205001, f"get model {name} failed: record not found")
        if repo.private and token not in self.tokens:
            return refusal(403, 10010205002, "no permission")
        return repo

    def _files(self, request: Request, name: str) -> Response:
        repo = self._repo(request, name)
        if isinstance(repo, Response):
            return repo
        commit = repo.at(request.args.get("Revision", "master"))
        if not commit:
            return refusal(404, 10010205001, "revision not found")
        root, deep = request.args.get("Root", ""), request.args.get("Recursive") == "True"
        rows = [*_folders(repo, commit), *(_row(repo, commit, path) for path in sorted(repo.commits[commit]))]
        below = [row for row in rows if not root or str(row["Path"]).startswith(f"{root}/")]
        depth = len(PurePosixPath(root).parts) + 1
        told = [row for row in below if deep or len(PurePosixPath(str(row["Path"])).parts) == depth]
        said = {"Id": repo.head if self.names_head == "Id" else ""}
        if self.names_head == "ShortId":
            said["ShortId"] = repo.head[:8]
        return envelope({"Files": told[: self.truncated], "IsVisual": 0, "LatestCommitter": said})

    def _file(self, request: Request, name: str, revision: str, file: str) -> Response:
        repo = self._repo(request, name)
        if isinstance(repo, Response):
            return repo
        data = repo.commits.get(repo.at(revision), {}).get(unquote(file))
        if data is None:
            return refusal(404, 10010205003, "file not found")
        digest = hashlib.sha256(data).hexdigest()
        if len(data) > 1000:
            link = f"{self.storage.url}/lfs/{digest}?{self.cdn.query(digest)}"
            return Response(b"", 302, {"Location": link})
        return ranged(request, data, f'"{digest}"')


def _row(repo: Repo, commit: str, path: str) -> dict[str, object]:
    data = repo.commits[commit][path]
    changed, number = repo.last_change(commit, path)
    return {
        "Type": "blob",
        "Name": path.rpartition("/")[2],
        "Path": path,
        "Size": len(data),
        "Sha256": hashlib.sha256(data).hexdigest(),
        "IsLFS": len(data) > 1000,
        "Mode": "33188",
        "Revision": changed,
        "CommittedDate": 1_700_000_000 + number,
    }


def _folders(repo: Repo, commit: str) -> list[dict[str, object]]:
    found = {parent.as_posix() for path in repo.commits[commit] for parent in PurePosixPath(path).parents}
    return [{"Type": "tree", "Name": path, "Path": path, "Size": 0, "Sha256": ""} for path in sorted(found - {"."})]


def envelope(data: object, code: int = 200) -> Response:
    body = {"Code": code, "Data": data, "Message": "success", "RequestId": "0", "Success": True}
    return Response(json.dumps(body), mimetype="application/json")


def refusal(status: int, code: int, message: str) -> Response:
    body = {"Code": code, "Data": None, "Message": message, "RequestId": "0", "Success": False}
    return Response(json.dumps(body), status, mimetype="application/json")


@contextmanager
def running_modelscope() -> Iterator[ModelScope]:
    """Run a ModelScope on free ports."""
    made = ModelScope()
    made.server.start()
    made.storage.start()
    try:
        yield made
    finally:
        for server in (made.server, made.storage):
            server.http.clear()
            server.http.stop()
