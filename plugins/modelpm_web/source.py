"""One URL, one file. What a listing would say is learned from its first byte: HEAD and GET are known to disagree."""

import re
from dataclasses import replace
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from modelpm.api import Context, Digest, Reference, RemoteFile, Snapshot, UsageError, printable
from modelpm.http import HttpSource, is_signed, label, origin

_DIGEST = re.compile(r"sha256=([0-9a-fA-F]{64})")
_HUB = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})
_SECRETS = frozenset({"token", "access_token", "api_key", "apikey", "auth", "password"})
_EXAMPLE = "https://host/path/model.gguf#sha256=<64 hexadecimal digits>"


class Web(HttpSource):
    """Serves one of the two web schemes. A reference's path is the URL without its scheme, the fragment included."""

    def __init__(self, context: Context, scheme: str) -> None:
        super().__init__(context)
        self._scheme = scheme

    def parse(self, rest: str) -> Reference:
        """Read a URL.

        Raises:
            UsageError: It is malformed, names no file, or carries what belongs in no lock.
        """
        reference = Reference(self._scheme, rest)
        parts = _split(reference)
        _refuse_secrets(parts, str(reference))
        if not parts.path.rpartition("/")[2]:
            raise UsageError(f"{label(str(reference))} names no file", hints=[f"a web model is one file: {_EXAMPLE}"])
        _refuse_hub_page(parts)
        _digest(parts)
        return reference

    def resolve(self, reference: Reference) -> Snapshot:
        """Learn size and entity tag of the one file there is.

        Raises:
            NotFound: There is none.
            Denied: It is not for this caller.
            Unavailable: The server did not answer, or not with a file.
        """
        parts = _split(reference)
        plain = replace(reference, path=parts._replace(fragment="").geturl().partition("://")[2])
        digest = _digest(parts)
        unknown = RemoteFile(unquote(parts.path.rpartition("/")[2]), None, digest, (str(plain),), plain)
        size, validator = self.retrying(lambda: self._first_byte(unknown), origin(str(plain)))
        return Snapshot(reference, digest.hex if digest else validator or "", (replace(unknown, size=size),))

    def locate(self, reference: Reference, path: str) -> tuple[str, ...]:  # noqa: ARG002 - there is one file
        """As :meth:`modelpm.api.Locator.locate`: the URL is the location."""
        return (_split(reference)._replace(fragment="").geturl(),)

    def _first_byte(self, file: RemoteFile) -> tuple[int | None, str | None]:
        with self.open(file, file.locations[0], start=0, stop=1) as stream:
            return stream.total, stream.validator


def _split(reference: Reference) -> SplitResult:
    url = str(reference)
    try:
        origin(url)
    except UsageError as error:
        raise UsageError(
            f"`{reference.scheme}://` is not followed by an address", hints=[f"e.g. {_EXAMPLE}"]
        ) from error
    return urlsplit(url)


def _refuse_secrets(parts: SplitResult, url: str) -> None:
    """Refuse what would put a credential into a lock, a log or the list of processes."""
    where = origin(url)
    secret = f'name the token in the configuration: [credentials."{where}"] token-env = "NAME"'
    if parts.username is not None:
        raise UsageError(f"the address at {where} holds a user or password, which belongs in no file", hints=[secret])
    if any(key.lower() in _SECRETS for key, _ in parse_qsl(parts.query)):
        raise UsageError(f"{label(url)} is given a token in its query, which belongs in no file", hints=[secret])
    if is_signed(url):
        raise UsageError(
            f"{label(url)} is a signed link: it is a credential, and runs out",
            hints=["give the address that hands out such links, or download the file and install it with file://"],
        )


def _refuse_hub_page(parts: SplitResult) -> None:
    """Send those who paste a page of the Hub to the source that knows what is behind it."""
    if parts.hostname not in _HUB or "/resolve/" in parts.path:
        return
    page = re.fullmatch(
        r"/(?P<repo>(?:datasets/)?[^/]+/[^/]+)(?:/(?:tree|blob)/(?P<revision>[^/]+)(?P<file>/.+)?)?/?", parts.path
    )
    if page:
        revision = f"@{page['revision']}" if page["revision"] not in {None, "main"} else ""
        raise UsageError(
            f"{parts.hostname}{parts.path} is a page, not a file",
            hints=[f"write hf://{page['repo']}{revision}{page['file'] or ''}"],
        )


def _digest(parts: SplitResult) -> Digest | None:
    if not parts.fragment:
        return None
    found = _DIGEST.fullmatch(parts.fragment)
    if not found:
        raise UsageError(f"`#{printable(parts.fragment)}` is no digest", hints=[f"the form is {_EXAMPLE}"])
    return Digest("sha256", found[1].lower())
