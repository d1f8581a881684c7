"""Whether what an origin sends is of the same version of a file as what is there: never are two put together."""

import threading
from dataclasses import dataclass, field

from modelpm.api.types import Stream
from modelpm.errors import Code, IntegrityError, ModelpmError, Unavailable
from modelpm.store.partials.partial import Partial
from modelpm.transfer.model import Fetch

_RESTARTS = 2  # times an object may change under us


@dataclass(slots=True)
class Versions:
    """What is known of the versions of one file.

    Where its digest is promised, a strong validator that changes only hints at another version: the digest will tell.
    Where nothing is promised, origin and validator are all that tells versions apart, and the partial remembers those
    of its bytes.

    Attributes:
        fetch: The file.
    """

    fetch: Fetch
    _seen: dict[str, str] = field(default_factory=dict)  # strong validators by label, where a digest is promised
    _ignored: bool = False
    _restarts: int = 0
    _wanted: tuple[str, str | None] | None = None  # origin and validator with which everything begins anew
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def validator(self, partial: Partial, label: str) -> str | None:
        """Return the validator that an origin's answer should have, where one is known."""
        if self.fetch.digest is not None:
            return None if self._ignored else self._seen.get(label)
        return partial.header.validator if partial.header.origin == label else None

    def provable(self, partial: Partial, label: str) -> bool:
        """Whether bytes of two answers may be put together: something says that they are of the same version."""
        return self.fetch.digest is not None or self.validator(partial, label) is not None

    def forget(self) -> None:
        """Believe no validator any more: the bytes that came with them were wrong."""
        self._seen.clear()

    def check(self, partial: Partial, label: str, stream: Stream, *, alone: bool) -> tuple[str, str | None] | None:
        """Hold an answer against what is there.

        Args:
            partial: What is there.
            label: Which origin answered.
            stream: Its answer.
            alone: Whether there is no other origin to ask.

        Returns:
            None where both belong together; else origin and validator with which everything is to begin anew.

        Raises:
            IntegrityError: ``changed``; another origin may have the version that is wanted, or none stays the same.
            Unavailable: ``changed``; ask again, and let the digest tell.
        """
        if self.fetch.digest is not None:
            self._check_promised(label, stream, alone=alone)
            return None
        theirs = (label, stream.validator) if stream.validator is not None else ("", None)
        with self._lock:
            known = (partial.header.origin, partial.header.validator)
            if known == theirs and (stream.validator is not None or not partial.present):
                return None
            if known[1] is None and not partial.present:
                partial.identify(*theirs)
                return None
            self._count(known, theirs, label)
            return theirs

    def _count(self, known: tuple[str, str | None], theirs: tuple[str, str | None], label: str) -> None:
        """Count a change of the object; every range that is under way notices the same one."""
        if theirs != self._wanted and known[1] is not None and known[0] == label:
            self._restarts += 1
        self._wanted = theirs
        if self._restarts > _RESTARTS:
            raise IntegrityError(
                f"{label} changed {self._restarts} times while it was fetched",
                code=Code.CHANGED,
                hints=["run the same command again when the file at the source stays the same"],
            )

    def _check_promised(self, label: str, stream: Stream, *, alone: bool) -> None:
        came = stream.validator
        if came is not None and not self._ignored and self._seen.setdefault(label, came) != came:
            raise self._other(label, alone=alone)

    def _other(self, label: str, *, alone: bool) -> ModelpmError:
        """Say that an origin changed, though the digest is pinned: another may still have the right bytes.

        The last one is asked on, without a validator: what is there already is of the right version if any is, and
        servers behind one name may differ in their validators and in nothing else. The digest will tell.
        """
        text = f"{label} has changed while it was fetched; wanted is the version with {self.fetch.digest}"
        if not alone:
            return IntegrityError(text, code=Code.CHANGED)
        self._ignored = True
        return Unavailable(text, code=Code.CHANGED)
