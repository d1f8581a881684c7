"""Turn the Hub's refusals into errors that say what to do. Pure; the order of the tests is the Hub's own clients'."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from urllib.parse import unquote

from modelpm.api import Code, Denied, ModelpmError, NotFound, Unavailable
from modelpm.http import Answer, error_of, host, label, origin
from modelpm_huggingface.grammar import DATASETS

_API = re.compile(
    r"/api/(?P<kind>models|datasets)/(?P<repo>[^/]+(?:/[^/]+)?)/(?:revision|tree|refs)(?:/(?P<revision>[^/]+))?"
)
_FILE = re.compile(r"/(?P<kind>datasets/)?(?P<repo>[^/]+(?:/[^/]+)?)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")


@dataclass(frozen=True, slots=True)
class Asked:
    """The target of a URL of the Hub; empty if the URL does not say."""

    repo: str = ""
    revision: str = ""
    file: str = ""


def asked(url: str) -> Asked:
    """Read a URL of the API or of a file back."""
    path = re.sub(r"^https?://[^/]+", "", label(url))
    found = _API.search(path) or _FILE.search(path)
    if not found:
        return Asked()
    groups = found.groupdict()
    kind = DATASETS if (groups["kind"] or "").startswith("datasets") else ""
    return Asked(kind + groups["repo"], unquote(groups["revision"] or ""), unquote(groups.get("file") or ""))


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal of the Hub.

    Attributes:
        answer: What it answered.
        base: Base of the Hub's URLs, for links to its pages.
        token_from: Where the secret for the endpoint came from; empty if there is none.
        kind: What it is: ``token``, or ``user and password``.
    """

    answer: Answer
    base: str
    token_from: str
    kind: str = "token"

    @property
    def what(self) -> Asked:
        """The target of the request."""
        return asked(self.answer.url)

    @property
    def said(self) -> str:
        """The Hub's own words, if any."""
        return self.answer.headers.get("X-Error-Message", "").strip()[:300]

    @property
    def elsewhere(self) -> str:
        """The base of the server that refused, where the endpoint redirected to another: no secret was sent there."""
        there, server = label(self.answer.url), origin(self.answer.url)
        if server == origin(self.base):
            return ""
        path = there.removeprefix(server)
        found = _API.search(path) or _FILE.search(path)
        return server + (path[: found.start()] if found else "")

    def error(self) -> ModelpmError:
        """Return what it means; where it comes from another server, say why the secret was not sent there."""
        elsewhere = self.elsewhere
        if not elsewhere:
            return self.meaning()
        meant = replace(self, base=elsewhere, token_from="").meaning()
        if not isinstance(meant, Denied | NotFound):
            return meant
        secret = f"the {self.kind} from {self.token_from} goes" if self.token_from else "a token goes"
        return type(meant)(
            f"{meant.message}\nthe endpoint {self.base} redirects to {elsewhere}, and {secret} to the endpoint only",
            hints=[f"to use that server itself: HF_ENDPOINT={elsewhere}", *meant.hints],
            code=meant.code,
            **meant.details,
        )

    def meaning(self) -> ModelpmError:
        """Return the error for the answer: its error code decides, else its words, else its status."""
        status, repo = self.answer.status, self.what.repo
        explain = _BY_CODE.get(self.answer.headers.get("X-Error-Code", ""))
        if explain is None and self.said == "Access to this resource is disabled.":
            explain = _disabled
        # The Hub answers an unknown token with 401 and the code of a missing repository.
        if status == HTTPStatus.UNAUTHORIZED and "Invalid credentials" in self.said:
            explain = _bad_token
        if explain is None and status == HTTPStatus.UNAUTHORIZED and self._wants_password:
            explain = _no_password
        if explain is None and repo:
            explain = _BY_STATUS.get(status)
        return explain(self) if explain else error_of(self.answer)

    @property
    def _wants_password(self) -> bool:
        return self.answer.headers.get("WWW-Authenticate", "").strip().lower().startswith("basic")


def _no_revision(refusal: Refusal) -> NotFound:
    what = refusal.what
    return NotFound(
        f"{what.repo} has no revision {what.revision}", code=Code.REVISION_NOT_FOUND, revision=what.revision
    )


def _no_file(refusal: Refusal) -> NotFound:
    what = refusal.what
    return NotFound(
        f"{what.repo} has no file {what.file} at {what.revision[:12]}",
        hints=[f"`modelpm show hf://{what.repo}` lists what there is"],
        code=Code.FILE_NOT_FOUND,
    )


def _gated(refusal: Refusal) -> Denied:
    repo, base = refusal.what.repo, refusal.base
    if not refusal.token_from:
        return Denied(
            f"{repo} is gated, and no token was sent",
            hints=[
                f"accept its conditions at {base}/{repo}",
                f"then make a token at {base}/settings/tokens and set HF_TOKEN, or run `hf auth login`",
            ],
            code=Code.GATED,
        )
    return Denied(
        f"{repo} is gated, and the account of the token ({refusal.token_from}) is not let in",
        hints=[f"accept its conditions, or ask for access, at {base}/{repo}", "a token sees what its account may see"],
        code=Code.GATED,
    )


def _disabled(refusal: Refusal) -> Denied:
    repo = refusal.what.repo
    return Denied(f"{repo} is disabled", hints=[f"its page may say why: {refusal.base}/{repo}"], code=Code.DISABLED)


def _no_password(refusal: Refusal) -> Denied:
    """A registry or a reverse proxy that speaks the Hub's protocol, and asks for a user and a password."""
    server, where = host(refusal.base), origin(refusal.base)
    if refusal.token_from:
        message = (
            f"{server} wants a user and a password, and does not accept the {refusal.kind} from {refusal.token_from}"
        )
    else:
        message = f"{server} wants a user and a password, and none was sent"
    return Denied(
        message,
        hints=[f'name them in the configuration: [credentials."{where}"] username = "USER", password-env = "NAME"'],
        code=Code.LOGIN,
    )


def _bad_token(refusal: Refusal) -> Denied:
    where = f" from {refusal.token_from}" if refusal.token_from else ""
    return Denied(
        f"the Hub does not accept the token{where}",
        hints=[
            _without(refusal.token_from),
            f"it may have run out or be cut: make a new one at {refusal.base}/settings/tokens",
        ],
        code=Code.BAD_TOKEN,
    )


def _without(token_from: str) -> str:
    """Return how to ask without the token: public models need none, and one that has run out keeps them away."""
    if token_from.isidentifier():
        return f"public models need no token: unset {token_from}"
    return "public models need no token: HF_HUB_DISABLE_IMPLICIT_TOKEN=1 sends none"


def _not_visible(refusal: Refusal) -> ModelpmError:
    """A repository that is missing and one that is private look the same from outside: claim neither.

    The status decides what it counts as: 401 asks for a token, 404 with a token means that it would not help.
    """
    kind = Denied if refusal.answer.status == HTTPStatus.UNAUTHORIZED else NotFound
    repo, token_from = refusal.what.repo, refusal.token_from
    private = ["if it is private, set HF_TOKEN or run `hf auth login`; no token was sent"]
    if token_from:
        private = [f"if it is private, the account of the {refusal.kind} ({token_from}) needs access to it"]
        if kind is Denied and refusal.kind == "token":
            private.append(f"if the token has run out, leave it out: {_without(token_from)}")
    return kind(
        f"the Hub shows no repository {repo}: it is private, gated, or not there",
        hints=[f"check the spelling of hf://{repo}: its page is {refusal.base}/{repo}", *private],
        code=Code.REPO_NOT_FOUND,
    )


def _forbidden(refusal: Refusal) -> Denied:
    reason = f": {refusal.said}" if refusal.said else ""
    hint = f"check what the token ({refusal.token_from}) may do at {refusal.base}/settings/tokens"
    return Denied(
        f"the Hub refused {refusal.what.repo}{reason}", hints=[hint if refusal.token_from else "set HF_TOKEN"]
    )


def _limited(refusal: Refusal) -> ModelpmError:
    error = error_of(refusal.answer)
    wait = error.retry_after if isinstance(error, Unavailable) else None
    hint = "anonymous use is limited by address: with HF_TOKEN set, the limit is higher"
    return Unavailable(
        f"{host(refusal.base)} has had too many requests from here",
        retry_after=wait,
        hints=[] if refusal.token_from else [hint],
        code=Code.RATE_LIMITED,
        status=refusal.answer.status,
    )


_BY_CODE: Mapping[str, Callable[[Refusal], ModelpmError]] = {
    "RevisionNotFound": _no_revision,
    "EntryNotFound": _no_file,
    "GatedRepo": _gated,
    "RepoNotFound": _not_visible,
}
_BY_STATUS: Mapping[int, Callable[[Refusal], ModelpmError]] = {
    HTTPStatus.UNAUTHORIZED: _not_visible,
    HTTPStatus.FORBIDDEN: _forbidden,
    HTTPStatus.TOO_MANY_REQUESTS: _limited,
}
