"""A catalog that is signed with TUF: python-tuf decides what is the newest index, over our transport.

The metadata stand in ``metadata/`` beside the catalog, the index as ``targets/<sha256>.index.json``. python-tuf keeps
what it has seen in the folder of the copy; the root of trust is kept with the configuration, and given to it each time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path

from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.api.metadata import Metadata
from tuf.ngclient import FetcherInterface, Updater

from modelpm.api.events import Bus
from modelpm.api.types import Context
from modelpm.catalog.index import MAX_INDEX, NAME
from modelpm.catalog.place import Place
from modelpm.catalog.remote.server import Server
from modelpm.catalog.remote.state import State
from modelpm.catalog.remote.web import WebCatalog, expired
from modelpm.disk import explained, make_folder
from modelpm.disk.reading import read_bytes
from modelpm.errors import Code, IntegrityError, ModelpmError, UsageError
from modelpm.text.untrusted import printable

MAX_ROOT = 512_000
_MAX_METADATA = 5_000_000
_ROLES = ("root", "timestamp", "snapshot", "targets")
_HELD_BACK = "its last good copy is used; try another network, and tell the publisher if it happens there as well"


class SignedCatalog(WebCatalog):
    """A catalog whose index is signed."""

    def __init__(self, place: Place, folder: Path, context: Context, bus: Bus, root: Path) -> None:
        super().__init__(place, folder, context, bus)
        self._root = root  # where the configuration keeps the root of trust

    def _fetched(self, server: Server, before: State) -> tuple[bytes, State] | None:
        with self._explained():
            updater = self._updater(server)
            updater.refresh()
            found = updater.get_targetinfo(NAME)
            expires = min(self._expiry(role) for role in _ROLES)
        if found is None or "sha256" not in found.hashes:
            raise IntegrityError(
                f"the catalog `{self.place.name}` signs no {NAME}",
                code=Code.CATALOG_MIXED,
                hints=["its publisher runs `modelpm catalog sign DIR`"],
            )
        after, digest = replace(before, expires=expires), found.hashes["sha256"]
        if digest == before.digest and (here := self._kept(NAME, MAX_INDEX)) is not None:
            return here, after
        url = f"{self.place.at}/targets/{digest}.{NAME}"
        with self._explained():
            data = _brought(server, url, min(found.length, MAX_INDEX))
            found.verify_length_and_hashes(data)
        return data, after

    def _updater(self, server: Server) -> Updater:
        name, at = self.place.name, self.place.at
        again = f"add it again: modelpm catalog remove {name}, then modelpm catalog add {name} {at} --root FILE"
        try:
            root = read_bytes(self._root, MAX_ROOT)
        except OSError as error:
            why = f"the root of trust of the catalog `{name}` cannot be read from {self._root}: {error.strerror}"
            raise UsageError(why, hints=[again]) from error
        if sha256(root).hexdigest() != self.place.root:
            why = f"{self._root} is not the root of trust that the configuration names for the catalog `{name}`"
            raise IntegrityError(why, code=Code.CATALOG_SIGNATURE, hints=[again])
        folder = self.folder / "tuf"
        make_folder(folder, below=self.folder)
        return Updater(str(folder), f"{at}/metadata/", fetcher=_Fetcher(server), bootstrap=root)

    def _expiry(self, role: str) -> float:
        return Metadata.from_file(str(self.folder / "tuf" / f"{role}.json")).signed.expires.timestamp()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Say in words what python-tuf refuses, and what can be done."""
        try:
            with explained(self.folder / "tuf", "keep the signed files in"):
                yield
        except ExpiredMetadataError as error:
            what = f"the signatures that its server offers have run out ({printable(str(error))})"
            raise expired(self.place, what) from error
        except (DownloadError, RepositoryError) as error:
            if isinstance(error.__cause__, ModelpmError):  # of our transport
                raise error.__cause__ from None
            code, why = _meaning(error)
            name, said = self.place.name, printable(str(error))
            message = f"the newest files of the catalog `{name}` are refused: {why} ({said})"
            raise IntegrityError(message, code=code, hints=[_HELD_BACK]) from error


class _Fetcher(FetcherInterface):
    """python-tuf's requests, sent as all others that modelpm sends."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            return iter((_brought(self._server, url, _MAX_METADATA),))
        except ModelpmError as error:
            status = error.details.get("status")
            if status in {
                HTTPStatus.NOT_FOUND,
                HTTPStatus.FORBIDDEN,
            }:  # python-tuf takes it for: the root is the newest
                raise DownloadHTTPError(error.message, status) from None
            raise


def _brought(server: Server, url: str, cap: int) -> bytes:
    """Return the bytes at a URL, in python-tuf's words where they are too many."""
    try:
        return server.get(url, cap=cap).body
    except ModelpmError as error:
        if error.code == Code.TOO_BIG:
            raise DownloadLengthMismatchError(error.message) from None
        raise


def _meaning(error: Exception) -> tuple[Code, str]:
    """Return what python-tuf's refusal means."""
    if isinstance(error, BadVersionNumberError):
        return Code.CATALOG_ROLLBACK, "the server offers older ones than this machine has seen, or skips one"
    if isinstance(error, UnsignedMetadataError):
        return Code.CATALOG_SIGNATURE, "too few of the keys that must sign them have"
    if isinstance(error, LengthOrHashMismatchError):
        return Code.CATALOG_MIXED, "they do not belong together, or were changed on the way"
    if isinstance(error, DownloadLengthMismatchError):
        return Code.TOO_BIG, "one is larger than it may be"
    if isinstance(error, DownloadHTTPError):
        return Code.CATALOG_MIXED, "one is missing on the server"
    return Code.CATALOG_SIGNATURE, "they break the rules of TUF"
