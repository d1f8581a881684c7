"""The Hub as a source: revision → commit, one listing at that commit, locations at that commit."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from modelpm.api import (
    MAX_SIZE,
    Context,
    Digest,
    ModelpmError,
    NotFound,
    Reference,
    RemoteFile,
    Secret,
    Snapshot,
    Unavailable,
    printable,
)
from modelpm.http import Answer, HttpSource, host, origin
from modelpm_huggingface import account, grammar
from modelpm_huggingface.refusals import Refusal

_NEXT = re.compile(r'<([^<>]+)>\s*;[^,]*\brel="?next"?', re.IGNORECASE)
_MAX_PAGES = 1000
_NAMED = 20  # branches or tags in a hint


class HuggingFace(HttpSource):
    """Serves ``hf://``. The token goes to the origin of the endpoint and nowhere else."""

    def __init__(self, context: Context) -> None:
        forbidden_by = account.offline(context.environ)
        super().__init__(replace(context, offline=context.offline or bool(forbidden_by)))
        if forbidden_by and not context.offline:
            self.offline_hint = f"unset {forbidden_by}"
        self._base = account.endpoint(context)
        self.endpoint = origin(self._base)
        self._configured = context.secret(self.endpoint)
        self._token, self._token_from = account.token(context.environ)
        if self._configured is not None:
            self._token, self._token_from = self._configured, "the configuration"

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
        files = tuple(self._file(pinned, entry) for entry in self._tree(pinned) if entry.get("type") == "file")
        return Snapshot(pinned, commit, files, license_name)

    def locate(self, reference: Reference, path: str) -> tuple[str, ...]:
        """As :meth:`modelpm.api.Locator.locate`; none where the reference is not pinned."""
        if not grammar.COMMIT.fullmatch(reference.revision or ""):
            return ()
        file = quote(reference.file or path, errors="replace")  # a name that is no text is for the core to refuse
        return (f"{self._base}/{reference.path}/resolve/{reference.revision}/{file}",)

    def credential(self, origin: str) -> Secret | None:
        """Return the Hub's token for its endpoint, and what is configured for any other origin."""
        return self._token if origin == self.endpoint else super().credential(origin)

    def error_for(self, answer: Answer) -> ModelpmError:
        """Return what the Hub means by a refusal."""
        return Refusal(answer, self._base, self._token_from).error()

    def _pin(self, path: str, revision: str) -> tuple[str, str]:
        """Return the commit a branch or tag stands for, and the license there."""
        try:
            info = self.get_json(f"{self._api(path)}/revision/{quote(revision, safe='')}")
        except NotFound as error:
            if error.code != "revision_not_found":
                raise
            raise NotFound(error.message, hints=self._revisions(path), code=error.code, **error.details) from error
        commit = info.get("sha") if isinstance(info, Mapping) else None
        if not isinstance(commit, str) or not grammar.COMMIT.fullmatch(commit):
            raise self._malformed(f"it names no commit of {path}")
        return commit, _license(info)

    def _revisions(self, path: str) -> list[str]:
        """Return hints that say which branches and tags there are; none where that cannot be learned."""
        hints = []
        with suppress(ModelpmError):
            refs = self.get_json(f"{self._api(path)}/refs")
            for kind in ("branches", "tags"):
                found = refs.get(kind) if isinstance(refs, Mapping) else None
                listed = found if isinstance(found, list) else []
                names = [printable(str(ref.get("name"))) for ref in listed if isinstance(ref, Mapping)]
                if names:
                    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
                    hints.append(f"{kind}: {', '.join(names[:_NAMED])}{more}")
        return hints or ["a branch, a tag or a full commit is needed; without `@` it is `main`"]

    def _tree(self, pinned: Reference) -> Iterator[Mapping[str, Any]]:
        url = f"{self._api(pinned.path)}/tree/{pinned.revision}?recursive=true&expand=false"
        for _ in range(_MAX_PAGES):
            answer = self.get(url, headers={"Accept": "application/json"})
            page = answer.json()
            if not isinstance(page, list) or not all(isinstance(entry, dict) for entry in page):
                raise self._malformed(f"its listing of {pinned.path} is none")
            yield from page
            following = _NEXT.search(answer.headers.get("Link", ""))
            if following is None:
                return
            # Behind a mirror the link still names the Hub's own host; only what stands behind it counts.
            _, found, rest = following[1].partition("/api/")
            if not found or f"{self._base}/api/{rest}" == url:
                raise self._malformed(f"its listing of {pinned.path} leads to a next page that is none")
            url = f"{self._base}/api/{rest}"
        raise self._malformed(f"its listing of {pinned.path} has more than {_MAX_PAGES} pages")

    def _file(self, pinned: Reference, entry: Mapping[str, Any]) -> RemoteFile:
        path, lfs = entry.get("path"), entry.get("lfs")
        large = isinstance(lfs, Mapping)
        oid, size = (
            (lfs.get("oid"), lfs.get("size")) if isinstance(lfs, Mapping) else (entry.get("oid"), entry.get("size"))
        )
        whole = isinstance(size, int) and not isinstance(size, bool) and 0 <= size <= MAX_SIZE
        if not isinstance(path, str) or not whole:
            raise self._malformed(f"its listing of {pinned.path} has a file without name or size")
        try:
            digest = Digest("sha256" if large else "git-sha1", str(oid).removeprefix("sha256:"))
        except ValueError as error:
            what = f"its listing of {pinned.path} has no digest of `{printable(path)}`"
            raise self._malformed(what) from error
        return RemoteFile(path, size, digest, self.locate(pinned, path))

    def _api(self, path: str) -> str:
        kind = "datasets" if path.startswith(grammar.DATASETS) else "models"
        return f"{self._base}/api/{kind}/{path.removeprefix(grammar.DATASETS)}"

    def _malformed(self, what: str) -> Unavailable:
        return Unavailable(
            f"{host(self._base)} does not answer like a Hub: {what}",
            hints=["check HF_ENDPOINT; a proxy or a captive portal may stand in between"],
            code="bad_answer",
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
