"""Send one blob to a registry: begun once, and continued where an earlier try, or an earlier run, was stopped."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from urllib.parse import quote

from modelpm.api import Code, ModelpmError, NotFound, Unavailable
from modelpm.api.oci import Content, Counter, Descriptor
from modelpm.api.toolkit import make_folder, read_bytes, write_atomic
from modelpm.http import Answer, HttpSource, PermanentError, host, origin, redirect_target

_MOST = 1 << 20  # bytes of the notes
_KEPT = 100
_BAD_UPLOAD = frozenset({400, 404, 409, 416})


class Uploads:
    """Remembers where the uploads of interrupted runs continue. Thread-safe.

    Two processes may lose each other's notes: then an upload begins again.

    Args:
        folder: Where they are kept; None keeps none.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / "uploads.json" if folder is not None else None
        self._lock = Lock()

    def get(self, key: str) -> str:
        """Return where an upload continues; empty if none was begun."""
        return self._read().get(key, "")

    def put(self, key: str, location: str) -> None:
        """Remember it, or with an empty location forget it; nothing if that cannot be written."""
        if self._path is None:
            return
        with self._lock, suppress(OSError, ModelpmError):
            notes = self._read()
            notes.pop(key, None)
            kept = dict(list(notes.items())[-_KEPT:]) | ({key: location} if location else {})
            make_folder(self._path.parent, below=self._path.parent)
            write_atomic(self._path, json.dumps(kept).encode(), mode=0o600)

    def _read(self) -> dict[str, str]:
        if self._path is None:
            return {}
        try:
            found = json.loads(read_bytes(self._path, _MOST))
        except (OSError, ValueError, RecursionError):
            return {}
        return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


@dataclass(slots=True)
class _Sent:
    """Counts what is sent, for the caller and for the core.

    Attributes:
        bytes: So many were handed to the connection.
    """

    told: Counter | None
    bytes: int = 0

    def add(self, count: int) -> None:
        """As :meth:`modelpm.api.oci.Counter.add`."""
        if self.told is not None:
            self.told.add(count)
        self.bytes += count


@dataclass(slots=True)
class Upload:
    """One blob on its way.

    Attributes:
        source: Sends requests.
        notes: Remembers where it continues.
        begin: The URL that begins uploads.
        blob: What is sent.
        content: Its bytes.
    """

    source: HttpSource
    notes: Uploads
    begin: str
    blob: Descriptor
    content: Content
    _location: str = ""
    _offset: int = 0
    _resumed: bool = False
    _sent: _Sent = field(init=False)

    def __post_init__(self) -> None:
        self._sent = _Sent(self.content.counter)
        self.content = Content(self.content.origin, self._sent)
        self._location = self.notes.get(self._key)

    def run(self, has: Callable[[], bool]) -> int:
        """Send it, and return how many bytes that took.

        Args:
            has: Whether the blob is there by now: an answer may have been lost.

        Raises:
            ModelpmError: It cannot be sent; a later run continues.
        """
        while True:
            before = self._offset
            try:
                self.source.retrying(self._try, origin(self.begin))
            except (Unavailable, NotFound) as error:
                if has():
                    break
                if self._began_wrongly(error):
                    continue
                if self._offset <= before:
                    raise
            else:
                break
        self._note("")
        return self._sent.bytes

    @property
    def _key(self) -> str:
        return f"{self.begin} {self.blob.digest}"

    def _try(self) -> None:
        """Send what is missing, in one request; after a failure the registry is asked how far it came."""
        if self._location:
            self._ask()
        if not self._location:
            self._follow(self.source.put(self.begin, b"", method="POST"))
            self._offset = 0
        if self._offset < self.blob.size:
            part = self.content.part(self._offset, self.blob.size)
            range_ = {"Content-Range": f"{self._offset}-{self.blob.size - 1}"} if self._offset else {}
            self._follow(self.source.put(self._location, part, method="PATCH", headers=range_))
            self._offset = self.blob.size
        mark = "&" if "?" in self._location else "?"
        self.source.put(f"{self._location}{mark}digest={quote(self.blob.digest)}", b"")

    def _ask(self) -> None:
        """Learn how much of an upload is there; one that is over, or has too much, is begun again."""
        try:
            answer = self.source.get(self._location)
        except NotFound:
            return self._forget()
        except PermanentError as error:
            if error.details.get("status") not in _BAD_UPLOAD:
                raise
            return self._forget()
        first, dash, last = answer.headers.get("Range", "").removeprefix("bytes=").partition("-")
        there = int(last) + 1 if dash and first == "0" and last.isdecimal() and len(last) < len("9" * 18) else 0
        if there == 1:  # what registries say of an upload without a byte, too
            return self._forget()
        if there > self.blob.size:
            return self._forget()
        self._offset, self._resumed = there, there > 0
        self._follow(answer)
        return None

    def _follow(self, answer: Answer) -> None:
        """Go where the registry says that the upload continues."""
        said = answer.headers.get("Location")
        if not said and answer.status != 204:  # noqa: PLR2004 - the answer to a question
            raise PermanentError(f"{host(answer.url)} does not say where an upload continues", code=Code.BAD_ANSWER)
        if said:
            self._location = redirect_target(answer.url, said)
            self._note(self._location)

    def _began_wrongly(self, error: ModelpmError) -> bool:
        """Whether what an earlier try left is refused, so that the upload is worth beginning once more."""
        if not self._resumed or error.details.get("status") not in _BAD_UPLOAD:
            return False
        self._forget()
        return True

    def _forget(self) -> None:
        self._location, self._offset, self._resumed = "", 0, False
        self._note("")

    def _note(self, location: str) -> None:
        self.notes.put(self._key, location)
