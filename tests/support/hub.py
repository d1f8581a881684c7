"""A Hub on this machine that speaks the real protocol: revisions, tree pages, signed links to a CDN, refusals.

That it is the real protocol is held by a test in which the Hub's own client downloads from it.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urlencode

from werkzeug import Request, Response

from tests.support.cdn import Cdn, Content, Seen, Server, ranged, read
from tests.support.models import holding

_LARGE = (".safetensors", ".gguf", ".onnx", ".bin", ".pt", ".pth", ".ckpt", ".h5")
_REPO = r"(?P<kind>models|datasets)/(?P<repo>[^/]+(?:/[^/]+)?)"
_API = re.compile(rf"/api/{_REPO}/(?P<verb>revision|tree|refs)(?:/(?P<revision>[^/]+))?")
_INFO = re.compile(rf"/api/{_REPO}")
_CACHE = re.compile(rf"/api/resolve-cache/{_REPO}/(?P<revision>[0-9a-f]{{40}})/(?P<file>.+)")
_FILE = re.compile(r"/(?P<kind>datasets/)?(?P<repo>[^/]+(?:/[^/]+)?)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file with both digests."""

    content: Content
    size: int
    sha256: str
    git_sha1: str
    large: bool

    @classmethod
    def of(cls, path: str, content: Content) -> "HubFile":
        data = read(content)
        sha1 = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
        return cls(content, len(data), hashlib.sha256(data).hexdigest(), sha1, path.endswith(_LARGE))


@dataclass(frozen=True, slots=True)
class Repo:
    """One repository at one commit; ``gated`` and ``private`` as the Hub's API says them."""

    name: str
    commit: str
    files: Mapping[str, HubFile]
    license: str
    gated: str | bool
    private: bool
    branches: tuple[str, ...]
    tags: tuple[str, ...]

    def has(self, revision: str) -> bool:
        return revision in {self.commit, *self.branches, *self.tags}


class Refused(Exception):  # noqa: N818 - an answer, raised
    """Ends a request with one of the Hub's error codes."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code)
        self.response = Response(
            json.dumps({"error": message}), status, {"X-Error-Code": code, "X-Error-Message": message}
        )


@dataclass(slots=True)
class Hub:
    """The Hub and its CDN, on two ports.

    Attributes:
        tokens: Names of the gated and private repositories that each known token may see.
        page: Entries of one page of a listing.
        downloads: How often each repository was downloaded.
        past: Every commit there was, by repository and commit.
        seen: Every request that came in, to either server.
    """

    tokens: dict[str, set[str]] = field(default_factory=dict)
    page: int = 1000
    downloads: dict[str, int] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    repos: dict[str, Repo] = field(default_factory=dict)
    past: dict[tuple[str, str], Repo] = field(default_factory=dict)
    cdn: Cdn = field(default_factory=Cdn)
    server: Server = field(init=False)
    storage: Server = field(init=False)

    def __post_init__(self) -> None:
        self.server = Server("hub", self._route, self.seen)
        self.storage = Server("cdn", self.cdn.route, self.seen)

    @property
    def endpoint(self) -> str:
        return self.server.url

    def add(
        self,
        name: str,
        files: Mapping[str, Content] | Path,
        *,
        license: str = "apache-2.0",  # noqa: A002 - the Hub's word
        gated: str | bool = False,
        private: bool = False,
        branches: tuple[str, ...] = ("main",),
        tags: tuple[str, ...] = (),
    ) -> Repo:
        """Publish a folder, or contents by path, as the newest commit; datasets are named ``datasets/owner/name``.

        What is published is valid, as :func:`tests.support.models.holding` makes it.
        """
        if isinstance(files, Path):
            root = files
            files = {p.relative_to(root).as_posix(): p for p in sorted(root.rglob("*")) if p.is_file()}
        files = {path: holding(path, each) if isinstance(each, bytes) else each for path, each in files.items()}
        made = {path: HubFile.of(path, content) for path, content in files.items()}
        state = repr((name, sorted((path, file.sha256) for path, file in made.items())))
        commit = hashlib.sha1(state.encode(), usedforsecurity=False).hexdigest()
        for file in made.values():
            self.cdn.put(file.sha256, file.content)
        self.repos[name] = Repo(name, commit, made, license, gated, private, branches, tags)
        self.past[name, commit] = self.repos[name]
        return self.repos[name]

    def requests(self, pattern: str = "", server: str = "hub") -> list[Seen]:
        """Return the requests so far whose path matches."""
        return [seen for seen in self.seen if seen.server == server and re.search(pattern, seen.path)]

    def _route(self, request: Request) -> Response:
        path = request.environ["REQUEST_URI"].partition("?")[0]
        try:
            response = self._search(request) if path == "/api/models" else self._answer(request, path)
        except Refused as refused:
            response = refused.response
        response.headers["RateLimit"] = '"api";r=499;t=300'
        response.headers["RateLimit-Policy"] = '"fixed window";"api";q=500;w=300'
        return response

    def _answer(self, request: Request, path: str) -> Response:
        if found := _CACHE.fullmatch(path):
            return self._small(request, self._repo(request, found), unquote(found["file"]))
        if found := _API.fullmatch(path):
            repo = self._repo(request, found)
            if found["verb"] == "refs":
                return _json(_refs(repo))
            _check_revision(repo, unquote(found["revision"] or ""))
            return self._tree(request, repo) if found["verb"] == "tree" else _json(_info(repo))
        if found := _INFO.fullmatch(path):
            return _json(_info(self._repo(request, found)))
        if found := _FILE.fullmatch(path):
            return self._resolve(self._repo(request, found), found)
        return Response("Not Found", 404)

    def _repo(self, request: Request, found: re.Match[str]) -> Repo:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token not in self.tokens:
            raise Refused(401, "RepoNotFound", "Invalid credentials in Authorization header")
        kind = "datasets/" if (found["kind"] or "").startswith("datasets") else ""
        repo = self.repos.get(kind + found["repo"])
        allowed = repo is not None and repo.name in self.tokens.get(token, ())
        if repo is None or (repo.private and not allowed):
            raise Refused(404 if token else 401, "RepoNotFound", "Repository not found")
        if repo.gated and not allowed and "file" in found.re.groupindex:
            said = "you are not in the authorized list" if token else "you must be authenticated to access it"
            raise Refused(403 if token else 401, "GatedRepo", f"Access to model {repo.name} is restricted and {said}.")
        return self.past.get((repo.name, unquote(found.groupdict().get("revision") or "")), repo)

    def _tree(self, request: Request, repo: Repo) -> Response:
        entries: list[dict[str, object]] = [_directory(d) for d in sorted(_directories(repo))]
        entries += [_entry(path, repo.files[path]) for path in sorted(repo.files)]
        begin = int(request.args.get("cursor", "0"))
        response = _json(entries[begin : begin + self.page])
        if begin + self.page < len(entries):
            # The Hub names itself here, whatever mirror it was asked through.
            target = f"https://huggingface.co{request.path}?recursive=true&expand=false&cursor={begin + self.page}"
            response.headers["Link"] = f'<{target}>; rel="next"'
        return response

    def _search(self, request: Request) -> Response:
        words = request.args.get("search", "").lower()
        names = sorted(name for name in self.repos if words in name.lower() and not self.repos[name].private)
        names.sort(key=lambda name: -self.downloads.get(name, 0))
        begin, limit = int(request.args.get("cursor", "0")), min(int(request.args.get("limit", "1000")), self.page)
        expand = request.args.getlist("expand")
        response = _json([self._hit(self.repos[name], expand) for name in names[begin : begin + limit]])
        if begin + limit < len(names):
            asked = [(key, value) for key, value in request.args.items(multi=True) if key != "cursor"]
            query = urlencode([*asked, ("cursor", begin + limit)])
            response.headers["Link"] = f'<{self.endpoint}{request.path}?{query}>; rel="next"'
        return response

    def _hit(self, repo: Repo, expand: list[str]) -> dict[str, object]:
        known: dict[str, object] = {
            "downloads": self.downloads.get(repo.name, 0),
            "pipeline_tag": "text-generation",
            "tags": [f"license:{repo.license}", "region:us"],
            "usedStorage": sum(file.size for file in repo.files.values()),
        }
        return {"_id": repo.commit[:24], "id": repo.name, **{key: known[key] for key in expand if key in known}}

    def _resolve(self, repo: Repo, found: re.Match[str]) -> Response:
        _check_revision(repo, unquote(found["revision"]))
        path = unquote(found["file"])
        file = repo.files.get(path)
        if file is None:
            raise Refused(404, "EntryNotFound", "Entry not found")
        headers = {"X-Repo-Commit": repo.commit, "Accept-Ranges": "bytes"}
        if file.large:
            headers |= {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(file.size), "ETag": '"0-hub"'}
            headers["Location"] = f"{self.storage.url}/xet-bridge-us/{file.sha256}?{self.cdn.query(file.sha256)}"
            return Response(b"Found", 302, headers)
        kind = "datasets" if repo.name.startswith("datasets/") else "models"
        name = repo.name.removeprefix("datasets/")
        etag = quote(f'"{file.git_sha1}"')
        headers["Location"] = f"/api/resolve-cache/{kind}/{name}/{repo.commit}/{quote(path)}?etag={etag}"
        headers |= {"X-Linked-Size": str(file.size), "ETag": f'"{file.git_sha1}"'}
        return Response(b"Temporary Redirect", 307, headers)

    @staticmethod
    def _small(request: Request, repo: Repo, path: str) -> Response:
        file = repo.files[path]
        return ranged(request, read(file.content), f'"{file.git_sha1}"', {"X-Repo-Commit": repo.commit})


@contextmanager
def running_hub() -> Iterator[Hub]:
    """Run a Hub on free ports."""
    hub = Hub()
    hub.server.start()
    hub.storage.start()
    try:
        yield hub
    finally:
        for server in (hub.server, hub.storage):
            server.http.clear()
            server.http.stop()


def _check_revision(repo: Repo, revision: str) -> None:
    if not repo.has(revision):
        raise Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")


def _directories(repo: Repo) -> set[str]:
    return {parent.as_posix() for path in repo.files for parent in Path(path).parents if parent != Path()}


def _directory(path: str) -> dict[str, object]:
    return {"type": "directory", "oid": "0" * 40, "size": 0, "path": path}


def _entry(path: str, file: HubFile) -> dict[str, object]:
    entry: dict[str, object] = {"type": "file", "oid": file.git_sha1, "size": file.size, "path": path}
    if file.large:
        entry |= {"lfs": {"oid": file.sha256, "size": file.size, "pointerSize": 134}, "oid": "f" * 40}
    return entry


def _info(repo: Repo) -> dict[str, object]:
    return {
        "_id": "0" * 24,
        "id": repo.name.removeprefix("datasets/"),
        "sha": repo.commit,
        "private": repo.private,
        "gated": repo.gated,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [f"license:{repo.license}"],
        "cardData": {"license": repo.license},
        "siblings": [{"rfilename": path} for path in sorted(repo.files)],
    }


def _refs(repo: Repo) -> dict[str, object]:
    def refs(kind: str, names: tuple[str, ...]) -> list[dict[str, str]]:
        return [{"name": n, "ref": f"refs/{kind}/{n}", "targetCommit": repo.commit} for n in names]

    return {"branches": refs("heads", repo.branches), "tags": refs("tags", repo.tags), "converts": []}


def _json(value: object) -> Response:
    return Response(json.dumps(value), mimetype="application/json")
