"""Parse a spec: ``[catalog/]id[@release][:variant]``, or ``scheme://…`` for a source."""

import re
from dataclasses import dataclass

from modelpm.errors import UsageError
from modelpm.network.redact import redact_urls, withhold_in_url
from modelpm.text.pasted import hub_spec
from modelpm.text.untrusted import MODEL_ID, printable

_URI = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+)://(.*)", re.DOTALL)
_CATALOG_SPEC = re.compile(
    r"(?:(?P<catalog>[^/@:]+)/)?(?P<id>[^/@:]+)(?:@(?P<release>[^:]+))?(?::(?P<variant>[^:@/]+))?"
)
_LONGEST = 4096  # characters
_GRAMMAR = "a model is `[catalog/]id[@release][:variant]`, e.g. `qwen3-8b:q5_k_m`, or a URI, e.g. `hf://owner/repo`"


@dataclass(frozen=True, slots=True)
class CatalogSpec:
    """A model by its catalog name; as a text, it is a spec again.

    Attributes:
        catalog: Name of the catalog; empty means the first that has the id.
        id: The model.
        release: A PEP 440 version, a prefix of one or a specifier; empty means the newest.
        variant: One variant's name; empty means the release's default.
    """

    catalog: str
    id: str
    release: str
    variant: str

    def __str__(self) -> str:
        name = f"{self.catalog}/{self.id}" if self.catalog else self.id
        release = f"@{self.release}" if self.release else ""
        return name + release + (f":{self.variant}" if self.variant else "")


@dataclass(frozen=True, slots=True)
class UriSpec:
    """A model by its source; as a text, it is a spec again.

    Attributes:
        scheme: Name of the source plugin, lower case.
        rest: What follows ``://``, for the source's own grammar.
    """

    scheme: str
    rest: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.rest}"


Spec = CatalogSpec | UriSpec


def parse_spec(text: str) -> Spec:
    """Read a spec.

    Raises:
        UsageError: Says what is wrong with it and what was probably meant.
    """
    if not isinstance(text, str):
        raise UsageError(f"a model is named by a text, not by a {type(text).__name__}", hints=[_GRAMMAR])
    if len(text) > _LONGEST:
        raise UsageError(
            f"a spec of {len(text)} characters is not a model: at most {_LONGEST} are read", hints=[_GRAMMAR]
        )
    text = text.strip()
    withhold_in_url(text)  # it may be refused for what it holds, and that is said and logged
    if uri := _URI.fullmatch(text):
        if not uri[2]:
            raise UsageError(f"`{printable(text)}` names nothing behind `://`", hints=[_GRAMMAR])
        _refuse_pasted(text)
        return UriSpec(uri[1].lower(), uri[2])
    if _looks_like_path(text):
        raise UsageError(
            f"`{printable(text)}` is a path, not a model", hints=[f"for a local file or folder: file://{_as_uri(text)}"]
        )
    _refuse_pasted(text)
    match = _CATALOG_SPEC.fullmatch(text)
    if not match:
        raise UsageError(f"`{printable(text)}` is not a model", hints=_meant(text))
    parts = {k: v or "" for k, v in match.groupdict().items()}
    for part in (parts["catalog"], parts["id"], parts["variant"]):
        if part and not MODEL_ID.fullmatch(part.lower()):
            raise UsageError(
                f"`{printable(text)}` is not a model: `{printable(part)}` is not a name", hints=_meant(text)
            )
    return CatalogSpec(
        parts["catalog"].lower(), parts["id"].lower(), parts["release"].strip(), parts["variant"].lower()
    )


def _refuse_pasted(text: str) -> None:
    """Refuse the address of a page: what is written down names its source, and who types it is understood before."""
    meant = hub_spec(text)
    if meant:
        raise UsageError(
            f"`{printable(redact_urls(text))}` is the address of a page or a download, not a model",
            hints=[f"write {printable(meant)}"],
        )


def _looks_like_path(text: str) -> bool:
    return text.startswith((".", "/", "~")) or "\\" in text or bool(re.match(r"[a-zA-Z]:", text))


def _as_uri(text: str) -> str:
    path = text.replace("\\", "/")
    return path if path.startswith("/") else "/absolute/path/" + path.removeprefix("./").removeprefix("~/")


def _meant(text: str) -> list[str]:
    if text.lower().startswith("file:"):
        return ["for a local file or folder: file:///absolute/path; in `models.toml`, relative to it: file:./path"]
    owner, _, rest = text.partition("/")
    if "==" in text:
        name, _, release = text.partition("==")
        return [f"a release follows @: {printable(name)}@{printable(release)}", _GRAMMAR]
    if rest and "/" in rest and re.fullmatch(r"[\w-]+(?:\.[\w-]+)+", owner):
        return [f"an address begins with its scheme: https://{printable(text)}", _GRAMMAR]
    if turned := re.fullmatch(r"([\w.-]+/[\w.-]+):([\w.-]+)@([\w.-]+)", text):
        return [f"the variant stands last: hf://{turned[1]}@{turned[3]}:{turned[2]}", _GRAMMAR]
    if rest and re.fullmatch(r"[\w.-]+", owner):
        return [f"a repository of the Hugging Face Hub is written hf://{printable(text)}", _GRAMMAR]
    return [_GRAMMAR]
