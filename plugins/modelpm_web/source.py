"""One URL, one file. A GET of the first byte tells what a listing would: HEAD and GET are known to disagree."""

import re
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import unquote

from modelpm.api import Code, Context, Digest, IntegrityError, Reference, RemoteFile, Snapshot, UsageError, printable
from modelpm.http import Address, HttpSource, address, origin

_DIGEST = re.compile(r"sha256=([0-9a-fA-F]{64})")
_SHOWN = 200
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
        place = _read(reference)
        _refuse_secrets(place)
        if not place.path.rpartition("/")[2]:
            raise UsageError(f"{place.label} names no file", hints=[f"a web model is one file: {_EXAMPLE}"])
        _digest(place)
        return reference

    def resolve(self, reference: Reference) -> Snapshot:
        """Learn size and entity tag of the one file there is.

        Raises:
            NotFound: There is none.
            Denied: It is not for this caller.
            Unavailable: The server did not answer, or not with a file.
        """
        place = _read(reference)
        plain = _plain(reference)
        digest = _digest(place)
        unknown = RemoteFile(unquote(place.path.rpartition("/")[2]), None, digest, (str(plain),), plain)
        first = self.retrying(lambda: self._first_byte(unknown), origin(str(plain)))
        if "/" in first.name:
            raise IntegrityError(
                f"the server calls the file `{printable(first.name[:_SHOWN])}`: that is a path, not a name",
                hints=["nothing was written; tell the server's owner"],
                code=Code.HOSTILE_NAME,
            )
        file = replace(unknown, size=first.size, path=first.name or unknown.path)
        return Snapshot(reference, digest.hex if digest else first.validator or "", (file,))

    def locate(self, reference: Reference, path: str) -> tuple[str, ...]:  # noqa: ARG002 - there is one file
        """As :meth:`modelpm.api.Locator.locate`: the URL is the location."""
        return (str(_plain(reference)),)

    def _first_byte(self, file: RemoteFile) -> "_First":
        with self.open(file, file.locations[0], start=0, stop=1) as stream:
            return _First(stream.total, stream.validator, stream.name)


class _First(NamedTuple):
    """The facts that the answer to the first byte of a file tells."""

    size: int | None
    validator: str | None
    name: str


def _plain(reference: Reference) -> Reference:
    """Return it without the digest."""
    return replace(reference, path=reference.path.partition("#")[0])


def _read(reference: Reference) -> Address:
    try:
        return address(str(reference))
    except UsageError as error:
        # The part before an `@` may be a password, and a malformed URL cannot be cut apart.
        shown = "…" if "@" in reference.path else printable(re.split("[?#]", reference.path)[0][:_SHOWN])
        raise UsageError(
            f"cannot read `{reference.scheme}://{shown}`: {error.message}", hints=[f"the form is {_EXAMPLE}"]
        ) from error


def _refuse_secrets(place: Address) -> None:
    """Refuse what would put a credential into a lock, a log or the list of processes."""
    table = f'[credentials."{place.origin}"]'
    token = f'name the token in the configuration: {table} token-env = "NAME"'
    if place.username is not None:
        raise UsageError(
            f"the address at {place.origin} holds a user or password, which belongs in no file",
            hints=[f'name them in the configuration: {table} username = "USER", password-env = "NAME"'],
        )
    if place.is_signed:
        raise UsageError(
            f"{place.label} is a signed link: it is a credential, and runs out",
            hints=["give the address that hands out such links, or download the file and install it with file://"],
        )
    if place.has_secret:
        shown = place.label.partition(";")[0]
        raise UsageError(f"{shown} is given a token as a parameter, which belongs in no file", hints=[token])


def _digest(place: Address) -> Digest | None:
    if not place.fragment:
        return None
    found = _DIGEST.fullmatch(place.fragment)
    if not found:
        raise UsageError(f"`#{printable(place.fragment[:_SHOWN])}` is not a digest", hints=[f"the form is {_EXAMPLE}"])
    return Digest("sha256", found[1].lower())
