"""Where a catalog is, and how far it is trusted: what ``[catalogs]`` in ``config.toml`` says of one. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from modelpm.errors import UsageError
from modelpm.network.private import is_private
from modelpm.text.untrusted import printable

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_SSH = re.compile(r"[A-Za-z0-9_.-]+@[A-Za-z0-9.-]+:(?!//)\S+")  # git@github.com:acme/catalog.git
_GIT = frozenset({"git", "git+https", "git+http", "git+ssh", "git+file", "ssh"})
_WEB = frozenset({"https", "http"})
_FILES = re.compile(r"/(?:index\.json|catalog\.toml)?$")
_GALLERY = re.compile(r"\.ya?ml(?:[?#]|$)")
_FORMS = (
    "a folder, `https://host/catalog`, a gallery `https://host/index.yaml`, "
    "or a repository: `git+https://host/catalog.git`, `git@host:catalog.git`"
)


class Medium(StrEnum):
    """How a catalog is reached."""

    FOLDER = "folder"
    WEB = "web"
    GALLERY = "gallery"
    GIT = "git"


@dataclass(frozen=True, slots=True)
class Place:
    """A catalog of the configuration.

    Attributes:
        name: Its name here.
        at: The folder, or the address without what git's own prefix says.
        medium: How it is reached.
        sha256: Digest of the one index that is taken; empty if any is.
        root: Digest of the root of trust that signs it; empty if it is not signed.
        trusted: Whether it answers names that do not say the catalog.
    """

    name: str
    at: str
    medium: Medium
    sha256: str = ""
    root: str = ""
    trusted: bool = True

    @classmethod
    def of(cls, name: str, value: str | Mapping[str, Any]) -> Self:
        """Read what the configuration says of a catalog: a folder as a text, or a table with a URL.

        Raises:
            UsageError: The address cannot be used.
        """
        if isinstance(value, str):
            return cls(name, value, Medium.FOLDER)
        medium, at = _medium(value["url"])
        sha256, root = value.get("sha256", ""), value.get("root", "")
        if at.startswith("http://") and medium is not Medium.GIT and not (sha256 or root or is_private(at)):
            raise UsageError(
                f"the catalog `{name}` is at {printable(at)}: anyone on the way could change what plain http brings",
                hints=["use https://, or pin it with --root FILE or --sha256 DIGEST"],
            )
        return cls(name, at, medium, sha256, root, bool(value.get("trusted", False)))

    @property
    def key(self) -> str:
        """What a copy must be of to count: the address, and what it was checked against."""
        return " ".join(filter(None, (self.at, self.root, self.sha256)))

    @property
    def is_remote(self) -> bool:
        """Whether others can change it from outside this machine."""
        return self.medium is not Medium.FOLDER

    @property
    def guarantee(self) -> str:
        """How what it says is checked against tampering, in a word or two."""
        if self.root:
            return "signed"
        if self.sha256:
            return "pinned"
        return "" if self.medium is Medium.FOLDER else "git" if self.medium is Medium.GIT else "https"


def is_url(text: str) -> bool:
    """Whether a text names a remote catalog, not a folder."""
    return bool(_SCHEME.match(text) or _SSH.fullmatch(text))


def _medium(url: str) -> tuple[Medium, str]:
    found = _SCHEME.match(url)
    scheme = found[1].lower() if found else ""
    if url.startswith("-") or any(ord(c) <= ord(" ") for c in url):
        raise UsageError(f"`{printable(url)}` is not the address of a catalog", hints=[f"write {_FORMS}"])
    if scheme in _GIT or (not scheme and _SSH.fullmatch(url)) or (scheme in _WEB and url.endswith(".git")):
        return Medium.GIT, url.removeprefix("git+")
    if scheme in _WEB and _GALLERY.search(url):
        return Medium.GALLERY, url
    if scheme in _WEB:
        return Medium.WEB, _FILES.sub("", url)
    raise UsageError(f"`{printable(url)}` is not the address of a catalog", hints=[f"write {_FORMS}"])
