"""ModelScope as a source: one listing with the commit it is of, locations at that commit."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlencode

from modelpm.api import (
    MAX_FILES,
    MAX_SIZE,
    Code,
    Context,
    Denied,
    Digest,
    ModelpmError,
    NotFound,
    Reference,
    RemoteFile,
    Secret,
    Snapshot,
    Unavailable,
    UsageError,
    printable,
    too_many,
)
from modelpm.http import Answer, HttpSource, address, error_of, host, origin
from modelpm_modelscope import grammar

ENDPOINT = "https://modelscope.cn"
MASTER = "master"
TRUNCATED = 3000  # entries: a listing of so many may be cut
_MOST_LISTINGS = 1000
_SHOWN = 300

_Entry = Mapping[str, Any]


class ModelScope(HttpSource):
    """Serves ``modelscope://``. The token goes to the origin of the endpoint and nowhere else."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.base = _endpoint(context)
        self.endpoint = origin(self.base)
        self._token = context.secret(self.endpoint)
        if self._token is None and (said := context.environ.get("MODELSCOPE_API_TOKEN", "").strip()):
            self._token = Secret(said)

    def parse(self, rest: str) -> Reference:
        """As :meth:`modelpm.api.Parser.parse`."""
        return grammar.parse(rest)

    def resolve(self, reference: Reference) -> Snapshot:
        """List a repository at the commit that its revision stands for.

        Raises:
            NotFound: No such repository or revision.
            Denied: It is private, or the token is not accepted.
            Unavailable: The server did not answer, or not with what it should.
        """
        asked = reference.revision or MASTER
        entries, commit = self._listing(reference.path, asked)
        pinned = Reference("modelscope", reference.path, commit or asked)
        if len(entries) >= TRUNCATED:
            entries = self._walk(pinned)
        files = tuple(self._file(pinned, entry) for entry in entries if _kind(entry) != "tree")
        return Snapshot(pinned, commit or asked, files, self._license(reference.path))

    def locate(self, reference: Reference, path: str) -> tuple[str, ...]:
        """As :meth:`modelpm.api.Locator.locate`: the link of the page, which a mirror can replace, then the API's."""
        if not grammar.COMMIT.fullmatch(reference.revision or ""):
            return ()
        return self._locations(reference, reference.file or path)

    def authorization(self, url: str) -> Mapping[str, str] | None:
        """Return the token as newer and as older interfaces want it."""
        if self._token is None or origin(url) != self.endpoint:
            return super().authorization(url)
        value = self._token.reveal()
        return {"Authorization": f"Bearer {value}", "Cookie": f"m_session_id={value}"}

    def error_for(self, answer: Answer) -> ModelpmError:
        """Return what ModelScope means by a refusal."""
        said = _message(answer)
        if answer.status in {401, 403}:
            hint = "the account of the token needs access to it" if self._token else "set MODELSCOPE_API_TOKEN"
            return Denied(f"{host(self.base)} refused: {said}", hints=[hint], code=Code.LOGIN)
        if answer.status in {404, 410}:
            hint = f"check its name at {self.base}/models; what is private needs MODELSCOPE_API_TOKEN"
            return NotFound(f"{host(self.base)} has no such repository, revision or file: {said}", hints=[hint])
        return error_of(answer)

    def _listing(self, repo: str, revision: str, root: str = "", *, deep: bool = True) -> tuple[list[_Entry], str]:
        """Return the entries of a folder, and the commit they are of; empty if the server does not say it."""
        asked = {"Revision": revision, "Recursive": str(deep), **({"Root": root} if root else {})}
        data = self._data(f"{self._api(repo)}/repo/files?{urlencode(asked)}", repo)
        entries = data.get("Files") or []
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise self._malformed(f"its listing of {repo} is none")
        if grammar.COMMIT.fullmatch(revision):
            return entries, revision
        return entries, _commit(data.get("LatestCommitter"), entries)

    def _walk(self, pinned: Reference) -> list[_Entry]:
        """Return the entries of a repository that is too large for one listing: folder by folder."""
        found, folders, asked = dict[str, _Entry](), [""], 0
        while folders:
            folder = folders.pop()
            asked += 2
            if asked > _MOST_LISTINGS or len(found) > MAX_FILES:
                raise too_many(str(pinned))
            entries, _ = self._listing(pinned.path, pinned.revision or "", folder)
            if len(entries) >= TRUNCATED:
                entries, _ = self._listing(pinned.path, pinned.revision or "", folder, deep=False)
                if len(entries) >= TRUNCATED:
                    raise self._malformed(f"`{printable(folder)}` of {pinned.path} has more files than it can list")
                folders += [str(entry.get("Path")) for entry in entries if _kind(entry) == "tree"]
            found |= {str(entry.get("Path")): entry for entry in entries}
        return [found[path] for path in sorted(found)]

    def _data(self, url: str, repo: str) -> Mapping[str, Any]:
        """Return what an envelope holds; a refusal may come in one that began as a success."""
        answer = self.get(url, headers={"Accept": "application/json"})
        said = answer.json()
        data = said.get("Data") if isinstance(said, dict) else None
        if isinstance(said, dict) and said.get("Success") is False:
            code = said.get("Code")
            status = code if isinstance(code, int) and 400 <= code < 600 else 404  # noqa: PLR2004 - statuses of HTTP
            raise self.error_for(Answer(answer.url, status, answer.headers, answer.body))
        if not isinstance(data, dict):
            raise self._malformed(f"its answer about {repo} is none")
        return data

    def _file(self, pinned: Reference, entry: _Entry) -> RemoteFile:
        path, size, said = entry.get("Path"), entry.get("Size"), entry.get("Sha256")
        if not isinstance(path, str) or not path or not isinstance(size, int) or isinstance(size, bool):
            raise self._malformed(f"its listing of {pinned.path} has a file without name or size")
        if not 0 <= size <= MAX_SIZE:
            raise self._malformed(f"its listing of {pinned.path} has a file with a size that none can have")
        digest = None
        with suppress(ValueError):
            digest = Digest("sha256", str(said).lower())
        return RemoteFile(path, size, digest, self._locations(pinned, path))

    def _locations(self, pinned: Reference, path: str) -> tuple[str, ...]:
        revision, file = quote(pinned.revision or "", safe=""), quote(path, errors="replace")
        asked = f"Revision={revision}&FilePath={quote(path, safe='', errors='replace')}"
        page = f"{self.base}/models/{pinned.path}/resolve/{revision}/{file}"
        return page, f"{self._api(pinned.path)}/repo?{asked}"

    def _license(self, repo: str) -> str:
        with suppress(ModelpmError):
            said = self._data(self._api(repo), repo).get("License")
            return said if isinstance(said, str) else ""
        return ""

    def _api(self, repo: str) -> str:
        return f"{self.base}/api/v1/models/{repo}"

    def _malformed(self, what: str) -> Unavailable:
        return Unavailable(
            f"{host(self.base)} does not answer like ModelScope: {what}",
            hints=["check MODELSCOPE_ENDPOINT; a proxy or a captive portal may stand in between"],
            code=Code.BAD_ANSWER,
        )


def _endpoint(context: Context) -> str:
    said = context.environ.get("MODELSCOPE_ENDPOINT", "").strip() or str(context.settings.get("endpoint") or "").strip()
    text = said or ENDPOINT
    try:
        place = address(text if "://" in text else f"https://{text}")  # its own tools take a bare host, too
    except UsageError as error:
        raise _unusable(error.message) from error
    if place.query is not None or place.fragment or place.username is not None:
        raise _unusable("it has a user, a query or a fragment")
    return place.label.rstrip("/")


def _unusable(why: str) -> UsageError:
    where = "MODELSCOPE_ENDPOINT, or `endpoint` in the configuration"
    return UsageError(
        f"the endpoint of modelscope:// ({where}) cannot be used: {why}",
        hints=[f"it has the form {ENDPOINT}"],
    )


def _commit(latest: object, entries: Sequence[_Entry]) -> str:
    """Return the commit of a listing; empty if nothing tells.

    The server names it in full, or by its first digits, or not at all. Each file has the commit that changed it last,
    and at the newest of these every file is as it is listed.
    """
    said = latest if isinstance(latest, Mapping) else {}
    for whole in (said.get("Id"), said.get("Revision")):
        if isinstance(whole, str) and grammar.COMMIT.fullmatch(whole):
            return whole
    of_files = list(_commits(entries))
    short = said.get("ShortId")
    if isinstance(short, str) and short:
        found = next((commit for commit, _ in of_files if commit.startswith(short)), "")
        if found:
            return found
    return max(of_files, key=lambda each: each[1], default=("", 0))[0]


def _commits(entries: Sequence[_Entry]) -> Iterator[tuple[str, int]]:
    for entry in entries:
        commit, date = entry.get("Revision"), entry.get("CommittedDate")
        if _kind(entry) != "tree" and isinstance(commit, str) and grammar.COMMIT.fullmatch(commit):
            yield commit, date if isinstance(date, int) else 0


def _kind(entry: _Entry) -> object:
    return entry.get("Type") or "blob"


def _message(answer: Answer) -> str:
    try:
        said = answer.json()
    except ModelpmError:
        said = None
    text = (said.get("Message") or said.get("message")) if isinstance(said, dict) else None
    return printable(str(text)[:_SHOWN]) if text else str(answer.status)
