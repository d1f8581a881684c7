"""Ask the server of a catalog for its small files, and for a new one only where it changed."""

from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import NoReturn

from modelpm.api.types import Reference
from modelpm.catalog.index import MAX_INDEX
from modelpm.catalog.place import Place
from modelpm.catalog.remote.state import State
from modelpm.errors import Code, IntegrityError, ModelpmError, NotFound, UsageError
from modelpm.http import HttpSource

_LONGEST = 200  # characters of an entity tag


class Server(HttpSource):
    """The server of a catalog."""

    def resolve(self, reference: Reference) -> NoReturn:
        """Refuse: a catalog names models, and lists no files."""
        raise NotFound(f"{reference} is a catalog")

    def newer(self, url: str, before: State, hints: Sequence[str]) -> tuple[bytes, State] | None:
        """Return a document and the state that goes with it; None where the copy is the newest.

        Args:
            url: Where the document is.
            before: The state of the copy.
            hints: What to do if the document does not exist.

        Raises:
            UsageError: Code ``not_a_catalog``: no such document.
            ModelpmError: The server cannot be asked.
        """
        conditions = {"If-None-Match": before.tag, "If-Modified-Since": "" if before.tag else before.modified}
        try:
            answer = self.get(url, headers={k: v for k, v in conditions.items() if v}, cap=MAX_INDEX)
        except NotFound as error:
            raise UsageError(error.message, code=Code.NOT_A_CATALOG, hints=hints) from error
        except ModelpmError as error:
            if before.digest and error.details.get("status") == HTTPStatus.NOT_MODIFIED:
                return None
            raise
        tag, modified = (answer.headers.get(name, "")[:_LONGEST] for name in ("ETag", "Last-Modified"))
        return answer.body, replace(before, tag=tag, modified=modified)


def check_pin(place: Place, url: str, digest: str) -> None:
    """Refuse a document that is not the one that the configuration pins.

    Raises:
        IntegrityError: Code ``digest_mismatch``.
    """
    if place.sha256 not in {"", digest}:
        raise IntegrityError(
            f"{url} is not the one that is pinned: it has the sha256 {digest}",
            code=Code.DIGEST_MISMATCH,
            hints=[f"to take the new one: modelpm catalog add {place.name} {place.at} --sha256 {digest}"],
            expected=place.sha256,
            actual=digest,
        )
