"""The Hub as a source: revision → commit, one listing at that commit, locations at that commit."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any
from urllib.parse import quote

from modelpm.api import (
    MAX_FILES,
    MAX_SIZE,
    Code,
    Context,
    Digest,
    FoundModel,
    ModelpmError,
    NotFound,
    Reference,
    RemoteFile,
    Secret,
    Snapshot,
    Unavailable,
    printable,
    too_many,
)
from modelpm.http import Answer, HttpSource, host, next_page, origin
from modelpm_huggingface import account, grammar, searching
from modelpm_huggingface.refusals import Refusal

_MAX_PAGES = 1000
_NO_LISTING = frozenset({400, 404, 405, 501})
_NAMED = 20  # branches or tags in a hint


class HuggingFace(HttpSource):
    """Serves ``hf://``. The token goes to the origin of the endpoint and nowhere else."""

    def __init__(self, context: Context) -> None:
        forbidden_by = account.offline(context.environ)
        super().__init__(replace(context, offline=context.offline or bool(forbidden_by)))
        if forbidden_by and not context.offline:
            self.offline_hint = f"unset {forbidden_by}"
        found = account.endpoint(context)
        self.base = found.base
        self.endpoint = origin(self.base)
        self._token, self._token_from = account.token(context.environ)
        if found.secret is not None:
            self._token, self._token_from = found.secret, "HF_ENDPOINT"
        configured = context.secret(self.endpoint)
        if configured is not None:
            self._token, self._token_from = configured, "the configuration"

    def parse(self, rest: str) -> Reference:
        """As :meth:`modelpm.api.Parser.parse`."""
        return grammar.parse(rest)

    def resolve(self, reference: Reference) -> Snapshot:
        """List a repository at the commit its revision stands for; selection is left to the core.

        Raises:
            NotFound: No such repository or revision, as far as this account can see.
            Denied: Gated, disabled, or a token that is not accepted.
            Unavailable: The Hub did not answer, or not with what it should.
        """
        commit, license_name = reference.revision or "main", ""
        if not grammar.COMMIT.fullmatch(commit):
            commit, license_name = self._pin(reference.path, commit)
        pinned = Reference("hf", reference.path, commit)
        found = (self._file(pinned, entry) for entry in self._tree(pinned) if entry.get("type") == "file")
        files = tuple(islice(found, MAX_FILES + 1))
        if len(files) > MAX_FILES:
            raise too_many(str(pinned))
        return Snapshot(pinned, commit, files, license_name)

    def locate(self, reference: Reference, path: str) -> tuple[str, ...]:
        """As :meth:`modelpm.api.Locator.locate`; none if the reference is not pinned."""
        if not grammar.COMMIT.fullmatch(reference.revision or ""):
            return ()
        file = quote(reference.file or path, errors="replace")  # a name that is not text is for the core to refuse
        return (f"{self.base}/{reference.path}/resolve/{reference.revision}/{file}",)

    def credential(self, origin: str) -> Secret | None:
        """Return the Hub's token for its endpoint, and what is configured for any other origin."""
        return self._token if origin == self.endpoint else super().credential(origin)

    def is_own(self, answer: Answer) -> bool:
        """Whether it is the Hub's: of the endpoint, or of a Hub that the endpoint redirects to."""
        return super().is_own(answer) or "X-Error-Code" in answer.headers

    def error_for(self, answer: Answer) -> ModelpmError:
        """Return what the Hub means by a refusal."""
        kind = "" if self._token is None else "user and password" if self._token.username is not None else "token"
        return Refusal(answer, self.base, self._token_from, kind).error()

    def _pin(self, path: str, revision: str) -> tuple[str, str]:
        """Return the commit a branch or tag stands for, and the license there."""
        try:
            info = self.get_json(f"{self._api(path)}/revision/{quote(revision, safe='')}")
        except NotFound as error:
            if error.code != Code.REVISION_NOT_FOUND:
                raise
            hints = self._revisions(path)
            if grammar.looks_like_a_variant(revision):
                hints.insert(0, f"a variant follows a colon: hf://{path}:{printable(revision)}")
            raise NotFound(error.message, hints=hints, code=error.code, **error.details) from error
        commit = info.get("sha") if isinstance(info, Mapping) else None
        if not isinstance(commit, str) or not grammar.COMMIT.fullmatch(commit):
            raise self._malformed(f"it names no commit of {path}")
        return commit, _license(info)

    def branches(self, reference: Reference) -> tuple[str, ...]:
        """As :meth:`modelpm.api.Branched.branches`."""
        return self._refs(reference.path, "branches")

    def search(self, text: str, limit: int) -> Iterator[FoundModel]:
        """As :meth:`modelpm.api.Searching.search`: the most downloaded first, as far as they are wanted."""
        listing = f"{self.base}/api/models"
        for answer in self.pages(f"{listing}?{searching.query(text, limit)}", headers={"Accept": "application/json"}):
            page = answer.json()
            if not isinstance(page, list) or not all(isinstance(entry, dict) for entry in page):
                raise self._malformed("the result of its search is none")
            rows = (searching.found(entry, _license(entry)) for entry in page)
            yield from (row for row in rows if row is not None)

    def _refs(self, path: str, kind: str) -> tuple[str, ...]:
        """Return the names of branches or tags."""
        refs = self.get_json(f"{self._api(path)}/refs")
        found = refs.get(kind) if isinstance(refs, Mapping) else None
        listed = found if isinstance(found, list) else []
        return tuple(str(ref.get("name")) for ref in listed if isinstance(ref, Mapping))

    def _revisions(self, path: str) -> list[str]:
        """Return hints that say which branches and tags there are; none if that cannot be learned."""
        hints = []
        with suppress(ModelpmError):
            for kind in ("branches", "tags"):
                names = [printable(name) for name in self._refs(path, kind)]
                if names:
                    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
                    hints.append(f"{kind}: {', '.join(names[:_NAMED])}{more}")
        return hints or ["a branch, a tag or a full commit is needed; without `@` it is `main`"]

    def _tree(self, pinned: Reference) -> Iterator[Mapping[str, Any]]:
        listing = f"{self._api(pinned.path)}/tree/{pinned.revision}"
        url = f"{listing}?recursive=true&expand=false"
        for _ in range(_MAX_PAGES):
            answer = self._listed(url, pinned.path)
            page = answer.json()
            if not isinstance(page, list) or not all(isinstance(entry, dict) for entry in page):
                raise self._malformed(f"its listing of {pinned.path} is none")
            yield from page
            following = next_page(answer.headers.get("Link", ""))
            if not following:
                return
            # A mirror's link may name another host, or another prefix; the next page is the same listing, further on.
            further = following.partition("#")[0].partition("?")[2]
            if not further or f"{listing}?{further}" == url:
                raise self._malformed(f"its listing of {pinned.path} leads to a next page that is none")
            url = f"{listing}?{further}"
        raise self._malformed(f"its listing of {pinned.path} has more than {_MAX_PAGES} pages")

    def _listed(self, url: str, path: str) -> Answer:
        try:
            return self.get(url, headers={"Accept": "application/json"})
        except ModelpmError as error:
            status = error.details.get("status")
            if error.code not in {Code.NOT_FOUND, Code.HTTP_STATUS, Code.NETWORK} or status not in _NO_LISTING:
                raise
            raise Unavailable(
                f"{host(self.base)} cannot list the files of {path}: it speaks only a part of the Hub's protocol "
                f"(its listing answered {status})",
                hints=[
                    "check HF_ENDPOINT; its server must pass on `/api/models/…/tree/…`",
                    f"or install single files by their address: modelpm install {self.base}/{path}/resolve/main/FILE",
                ],
                code=Code.NO_LISTING,
                status=status,
            ) from error

    def _file(self, pinned: Reference, entry: Mapping[str, Any]) -> RemoteFile:
        path, lfs = entry.get("path"), entry.get("lfs")
        large = isinstance(lfs, Mapping)
        oid, size = (
            (lfs.get("oid"), lfs.get("size")) if isinstance(lfs, Mapping) else (entry.get("oid"), entry.get("size"))
        )
        if not isinstance(path, str) or not isinstance(size, int) or isinstance(size, bool):
            raise self._malformed(f"its listing of {pinned.path} has a file without name or size")
        if not 0 <= size <= MAX_SIZE:
            raise self._malformed(f"its listing of {pinned.path} has a file with a size that none can have")
        try:
            digest = Digest("sha256" if large else "git-sha1", str(oid).removeprefix("sha256:"))
        except ValueError as error:
            what = f"its listing of {pinned.path} has no digest of `{printable(path[:200])}`"
            raise self._malformed(what) from error
        return RemoteFile(path, size, digest, self.locate(pinned, path))

    def _api(self, path: str) -> str:
        kind = "datasets" if path.startswith(grammar.DATASETS) else "models"
        return f"{self.base}/api/{kind}/{path.removeprefix(grammar.DATASETS)}"

    def _malformed(self, what: str) -> Unavailable:
        return Unavailable(
            f"{host(self.base)} does not answer like a Hub: {what}",
            hints=["check HF_ENDPOINT; a proxy or a captive portal may stand in between"],
            code=Code.BAD_ANSWER,
        )


def _license(info: Mapping[str, Any]) -> str:
    """Return the license of the model card, else of the tags, else nothing."""
    card = info.get("cardData")
    said = card.get("license") if isinstance(card, Mapping) else None
    if isinstance(said, list) and len(said) == 1:
        said = said[0]
    if said == "other" and isinstance(card, Mapping) and isinstance(card.get("license_name"), str):
        said = card["license_name"]
    if isinstance(said, str) and said:
        return said
    tags = info.get("tags")
    return (
        next((str(tag)[8:] for tag in tags or () if str(tag).startswith("license:")), "")
        if isinstance(tags, list)
        else ""
    )
